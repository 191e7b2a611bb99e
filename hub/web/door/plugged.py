"""Presets whose verification is code: the verifiers of plugins, by the hook `hub_webhook_verify`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hub.hooks import Hooks
from hub.types import Micros
from hub.webhooks.request import WebhookRequest
from hub.webhooks.secrets import SecretValue
from hub.webhooks.verify import Verdict, Verifier


def verifiers(hooks: Hooks) -> Mapping[str, Verifier]:
    """The verifier of every name: it asks the plugins, and what none of them vouches for is not verified."""
    return _Plugged(hooks)


class _Plugged(Mapping[str, Verifier]):
    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    def __getitem__(self, name: str) -> Verifier:
        def ask(
            request: WebhookRequest, secrets: Sequence[SecretValue], settings: Mapping[str, str], now: Micros | None
        ) -> Verdict:
            source = {"verifier": name, "settings": dict(settings), "now": now}
            verdict = self._hooks.webhook_verify(source=source, request=request, secrets=secrets)
            if isinstance(verdict, Verdict):
                return verdict
            return Verdict(False, f"no plugin vouches for it (plugin:{name})")

        return ask

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
