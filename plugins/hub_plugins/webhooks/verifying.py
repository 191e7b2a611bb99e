"""The verifiers of this plugin's presets by name, and the one place that makes an answer of how they end."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from hub.outbound.call import Caller
from hub.outbound.rule import Rule, networks, own_addresses
from hub.settings import Settings
from hub.types import Micros
from hub.webhooks.reference import Rejected
from hub.webhooks.request import WebhookRequest
from hub.webhooks.secrets import SecretValue, StandIn
from hub.webhooks.verify import Verdict

from hub_plugins.webhooks.adyen import verify_adyen
from hub_plugins.webhooks.asked import Asked, Verify
from hub_plugins.webhooks.certificates import verify_paypal, verify_sns
from hub_plugins.webhooks.documents import LIMITS, Documents, Unavailable
from hub_plugins.webhooks.mtls import verify_mtls
from hub_plugins.webhooks.tokens import verify_connect, verify_jwt, verify_netlify, verify_plaid, verify_pubsub

log = logging.getLogger("hub.webhooks")
VERIFIERS: Mapping[str, Verify] = {
    "adyen": verify_adyen,
    "atlassian-connect": verify_connect,
    "aws-sns": verify_sns,
    "google-pubsub": verify_pubsub,
    "jwt": verify_jwt,
    "mtls": verify_mtls,
    "netlify": verify_netlify,
    "paypal": verify_paypal,
    "plaid": verify_plaid,
}


def caller_of(settings: Settings) -> Caller:
    """What makes the requests of this plugin in a hub with these settings."""
    return Caller(Rule(networks=networks(settings.outbound_networks), own=own_addresses()), LIMITS)


class Verifiers:
    """What verifies in a process: its documents, and how many proxies it trusts."""

    def __init__(self, documents: Documents, *, proxies: int = 0) -> None:
        self._documents, self._proxies = documents, proxies

    @classmethod
    def of(cls, settings: Settings) -> Verifiers:
        """Those of a hub with these settings."""
        return cls(Documents(caller_of(settings)), proxies=settings.web_trusted_proxies)

    def judge(
        self,
        name: str,
        request: WebhookRequest,
        secrets: Sequence[SecretValue],
        settings: Mapping[str, str],
        now: Micros | None,
    ) -> Verdict | None:
        """Judge a request by the verifier of a name; None if there is none. Never raises for what a sender sends."""
        verify = VERIFIERS.get(name)
        if verify is None:
            return None
        try:
            return verify(Asked(request, secrets, settings, now, self._known(secrets), self._proxies))
        except Rejected as refusal:
            return Verdict(False, str(refusal))
        except Unavailable as missing:
            return Verdict(False, str(missing), retry_after=missing.retry_after)
        except Exception as error:
            log.warning("a webhook could not be verified by %s", name, exc_info=True)
            return Verdict(False, f"could not be verified: {type(error).__name__}")

    def _known(self, secrets: Sequence[SecretValue]) -> Documents:
        stand_in = next((secret for secret in secrets if isinstance(secret, StandIn)), None)
        return self._documents if stand_in is None else Documents(self._documents.caller, given=stand_in.value)
