"""Judging one request: every active secret is tried in constant time, and whatever is not proved is refused.

`verify` answers for any input; only a wrong configuration (an unknown option) raises.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from hub.engine.values import quick
from hub.types import Id, Micros
from hub.webhooks.preset import NO_VERIFICATION, Options, Preset
from hub.webhooks.reference import Rejected
from hub.webhooks.request import WebhookRequest
from hub.webhooks.scheme import (
    BasicScheme,
    DigestScheme,
    EcdsaScheme,
    Ed25519Scheme,
    HmacScheme,
    NoScheme,
    PluginScheme,
    Scheme,
    StandardScheme,
    TokenScheme,
    tolerance_of,
)
from hub.webhooks.secrets import SecretValue
from hub.webhooks.signatures import (
    Proof,
    prove_basic,
    prove_digest,
    prove_ecdsa,
    prove_ed25519,
    prove_hmac,
    prove_standard,
    prove_token,
)
from hub.webhooks.timestamp import check_window

log = logging.getLogger("hub.webhooks")


@quick
@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. `reason` is empty for a valid request and goes to the receipt, never to the sender.

    `timestamp_checked` is False when nothing was compared with a clock; `signed` are the bytes that the signature
    protects, None where none does. With `retry_after` (seconds) nothing is decided: what the verification needs, such
    as a key of the provider's, cannot be had now, and the sender is asked to send again.
    """

    valid: bool
    reason: str = ""
    secret_id: Id | None = None
    timestamp_checked: bool = False
    timestamp: Micros | None = None
    signed: bytes | None = field(default=None, repr=False)
    retry_after: int = 0

    @property
    def signed_digest(self) -> str | None:
        """The hex SHA-256 of the signed bytes, None where there are none."""
        return None if self.signed is None else sha256(self.signed).hexdigest()


Verifier = Callable[[WebhookRequest, Sequence[SecretValue], Mapping[str, str], Micros | None], Verdict]
"""A plugin's verifier: (request, secrets, settings, now) -> verdict. It must never raise."""


def verify(
    preset: Preset,
    request: WebhookRequest,
    secrets: Sequence[SecretValue],
    *,
    now: Micros | None,
    tolerance: int | None = None,
    options: Options = None,
    verifiers: Mapping[str, Verifier] | None = None,
    verify_none: bool = False,
) -> Verdict:
    """Judge a request by a preset and a source's options.

    `now` in microseconds; None leaves the time window unchecked and the verdict says so. `tolerance` in
    seconds replaces the preset's. `verify_none` is the owner's written word that this source checks nothing.
    Raises UsageError when the options are not the preset's.
    """
    scheme = NO_VERIFICATION if verify_none else preset.rules(options).verify
    try:
        return _judge(
            scheme, request, secrets, now=now, tolerance=tolerance, verifiers={} if verifiers is None else verifiers
        )
    except Rejected as refusal:
        return Verdict(False, str(refusal))
    except Exception as error:
        log.warning("a webhook could not be verified", exc_info=True)
        return Verdict(False, f"could not be verified: {type(error).__name__}")


def _judge(
    scheme: Scheme,
    request: WebhookRequest,
    secrets: Sequence[SecretValue],
    *,
    now: Micros | None,
    tolerance: int | None,
    verifiers: Mapping[str, Verifier],
) -> Verdict:
    if type(scheme) is not HmacScheme:  # the usual one; isinstance of pydantic's classes is slow where it fails
        if isinstance(scheme, NoScheme):
            return Verdict(True)
        if isinstance(scheme, PluginScheme):
            return _ask_plugin(scheme, request, secrets, now, verifiers)
    window = tolerance_of(scheme) if tolerance is None else tolerance
    return _in_window(_prove(scheme, request, secrets, now), now, window)


def _prove(scheme: Scheme, request: WebhookRequest, secrets: Sequence[SecretValue], now: Micros | None) -> Proof:
    match scheme:
        case HmacScheme():
            return prove_hmac(scheme, request, secrets, now)
        case Ed25519Scheme():
            return prove_ed25519(scheme, request, secrets, now)
        case EcdsaScheme():
            return prove_ecdsa(scheme, request, secrets, now)
        case DigestScheme():
            return prove_digest(scheme, request, secrets, now)
        case StandardScheme():
            return prove_standard(scheme, request, secrets, now)
        case TokenScheme():
            return prove_token(scheme, request, secrets, now)
        case BasicScheme():
            return prove_basic(request, secrets, now)
        case _:
            raise Rejected(f"there is no verifier for {scheme.kind}")


def _in_window(proof: Proof, now: Micros | None, tolerance: int | None) -> Verdict:
    """Turn a proof into a verdict. The time is judged last: only a signed time means anything."""
    checked = proof.timestamp is not None and now is not None and tolerance is not None
    verdict = Verdict(True, "", proof.secret_id, checked, proof.timestamp, proof.signed)
    if proof.timestamp is None or now is None or tolerance is None:
        return verdict
    try:
        check_window(proof.timestamp, now, tolerance)
    except Rejected as refusal:
        return replace(verdict, valid=False, reason=str(refusal))
    return verdict


def _ask_plugin(
    scheme: PluginScheme,
    request: WebhookRequest,
    secrets: Sequence[SecretValue],
    now: Micros | None,
    verifiers: Mapping[str, Verifier],
) -> Verdict:
    name = scheme.kind.removeprefix("plugin:")
    verifier = verifiers.get(name)
    if verifier is None:
        raise Rejected(f"the plugin {name}, which verifies this preset, is not installed")
    return verifier(request, secrets, scheme.settings, now)
