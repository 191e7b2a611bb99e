"""Rules of the level silver about webhooks: what is forged is refused, and what is documented is understood."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from hub.errors import HubError
from hub.testing.conformance.rules import Broken, NotHere
from hub.testing.conformance.secrecy import options_of
from hub.testing.conformance.subject import Subject
from hub.types import SECOND, Micros, now_us
from hub.web.door.plugged import verifiers
from hub.webhooks.events import check_content, provider_events
from hub.webhooks.handshake import find_handshake
from hub.webhooks.preset import Preset
from hub.webhooks.request import WebhookRequest
from hub.webhooks.scheme import (
    BasicScheme,
    EcdsaScheme,
    Ed25519Scheme,
    HmacScheme,
    NoScheme,
    PluginScheme,
    Scheme,
    StandardScheme,
)
from hub.webhooks.secrets import SecretValue
from hub.webhooks.signing import sample_request, sign
from hub.webhooks.verify import Verdict, verify

_DAY: Micros = 86_400 * SECOND
_URL = "https://hub.example/in/a-test"
_STRANGE = (b"", b"\xff\xfe\x00", b"[" * 100_000, b"x" * 1_048_576)
"""Bodies that nobody should send: none, no text, deep, large."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A sample as its provider would send it, and the secret that a source has for it."""

    preset: Preset
    sample: str
    request: WebhookRequest
    held: str
    now: Micros


def forged_webhooks_are_refused(subject: Subject) -> None:
    """C13: A forged, changed or old webhook is refused, and so is one with a strange body, without an error."""
    signed = _signed(subject)
    for one in signed:
        where = f"preset {one.preset.id}"
        for body in (one.request.body, *_STRANGE):
            forged = replace(one.request, body=body)
            if _verdict(subject, one, forged, secret=_other(one)).valid:
                raise Broken(f"{where}: a request that was signed by another secret is taken ({len(body)} bytes)")
        fair = _verdict(subject, one, one.request)
        if fair.signed is not None and one.request.body and one.request.body in fair.signed:
            changed = replace(one.request, body=one.request.body + b" ")
            if _verdict(subject, one, changed).valid:
                raise Broken(f"{where}: a request whose body was changed after it was signed is taken")
        if fair.timestamp_checked and _verdict(subject, one, one.request, later=_DAY).valid:
            raise Broken(f"{where}: a request is taken a day after it was signed")
        failed = subject.failures("hub_webhook_verify")
        if failed:
            raise Broken(f"{where}: hub_webhook_verify raises: {failed[0]}: answer Verdict(False, reason) instead")


def samples_are_understood(subject: Subject) -> None:
    """C14: Every preset has samples; each is accepted as its provider signs it, and gives an event of a known type."""
    for preset in subject.presets:
        if not preset.samples and not preset.consumer:
            raise Broken(f"preset {preset.id} has no sample: give one that its provider documents")
    found_types: dict[str, set[str]] = {}
    for one in _signed(subject):
        where, options = f"preset {one.preset.id}, sample {one.sample}", options_of(one.preset)
        verdict = _verdict(subject, one, one.request)
        if not verdict.valid:
            raise Broken(f"{where} is not accepted as it is signed: {verdict.reason}")
        if find_handshake(one.preset, one.request, options) is not None:
            continue  # it is answered, and is no event
        try:
            check_content(one.preset, one.request)
            found = provider_events(one.preset, one.request, options)
        except (HubError, ValueError) as error:
            raise Broken(f"{where} cannot be read: {error}") from None
        for event in found:
            if event.type == "event":
                raise Broken(f"{where} gives no event type: `event: {{type: ...}}` names no place that the sample has")
            found_types.setdefault(one.preset.id, set()).add(event.type)
    for preset in subject.presets:
        types = found_types.get(preset.id, set())
        if preset.events and types and types.isdisjoint(preset.events):
            told = ", ".join(sorted(types))
            raise Broken(f"preset {preset.id}: its samples are {told}, none of which is among its `events`: add them")


def _signed(subject: Subject) -> list[Signed]:
    found = [one for preset in subject.presets for one in _of(subject, preset)]
    if not found:
        raise NotHere("it has no preset that can be signed here")
    return found


def _of(subject: Subject, preset: Preset) -> Iterator[Signed]:
    options, now = options_of(preset), now_us()
    scheme = preset.rules(options).verify
    if preset.consumer or isinstance(scheme, NoScheme):
        return
    signing, held = _keys(scheme)
    for sample in preset.samples:
        request = sample_request(preset, sample.name, _URL)
        try:
            made = sign(
                preset, signing, request, now=now, delivery_id="d-1", options=options, signer=subject_signer(subject)
            )  # fmt: skip
        except HubError:
            continue  # only the provider can sign it
        yield Signed(preset, sample.name, made, held, now)


def subject_signer(subject: Subject):  # type: ignore[no-untyped-def]
    """What signs for its presets whose verification is code."""

    def ask(name, request, secret, settings, now, ident):  # type: ignore[no-untyped-def]
        source = {"verifier": name, "settings": dict(settings), "now": now, "delivery_id": ident}
        return subject.loaded.hooks.webhook_sign(source=source, request=request, secret=secret)

    return ask


def _verdict(subject: Subject, one: Signed, request: WebhookRequest, *, secret: str = "", later: Micros = 0) -> Verdict:
    return verify(
        one.preset, request, [SecretValue("s", secret or one.held)], now=one.now + later,
        options=options_of(one.preset), verifiers=verifiers(subject.loaded.hooks),
    )  # fmt: skip


def _keys(scheme: Scheme) -> tuple[str, str]:
    """What signs, and what a source holds to verify it."""
    match scheme:
        case BasicScheme():
            return "mona:lisa", "mona:lisa"
        case StandardScheme():
            return (_standard(b"k"),) * 2
        case Ed25519Scheme():
            key = Ed25519PrivateKey.generate()
            return key.private_bytes_raw().hex(), key.public_key().public_bytes_raw().hex()
        case EcdsaScheme():
            made = generate_private_key(SECP256R1())
            private = made.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
            public = made.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            return base64.b64encode(private).decode(), base64.b64encode(public).decode()
        case HmacScheme() | PluginScheme():
            return ("00ff" * 16,) * 2
    return ("a-secret",) * 2


def _other(one: Signed) -> str:
    """Another secret of the same form."""
    scheme = one.preset.rules(options_of(one.preset)).verify
    match scheme:
        case BasicScheme():
            return "mona:other"
        case StandardScheme():
            return _standard(b"x")
        case HmacScheme() | PluginScheme():
            return "11ee" * 16
    return _keys(scheme)[1] if isinstance(scheme, Ed25519Scheme | EcdsaScheme) else "another"


def _standard(letter: bytes) -> str:
    return "whsec_" + base64.b64encode(letter * 32).decode()
