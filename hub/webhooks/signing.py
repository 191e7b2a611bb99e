"""Signing a payload the way a provider does: for demos, tests and `hub trigger`. The mirror of `verify`."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hub.errors import UsageError
from hub.types import SECOND, Micros, new_id, rfc3339
from hub.webhooks.preset import Preset, Sample
from hub.webhooks.reference import Rejected
from hub.webhooks.request import WebhookRequest, header_pairs
from hub.webhooks.scheme import (
    BasicScheme,
    Ed25519Scheme,
    HmacScheme,
    NoScheme,
    Place,
    Signed,
    StandardScheme,
    TimestampAt,
    TokenScheme,
)
from hub.webhooks.secrets import decode_plain, from_base64


def sample_request(preset: Preset, name: str, url: str) -> WebhookRequest:
    """Make the unsigned request of a preset's sample. Raises UsageError naming the samples there are."""
    sample = next((sample for sample in preset.samples if sample.name == name), None)
    if sample is None:
        known = ", ".join(sample.name for sample in preset.samples) or "none"
        raise UsageError(f"preset {preset.id} has no sample {name!r}", hint=f"its samples are {known}")
    return WebhookRequest(sample.method, url, _sample_headers(sample), sample.body.encode("utf-8"))


def sign(
    preset: Preset,
    secret: str,
    request: WebhookRequest,
    *,
    now: Micros,
    delivery_id: str | None = None,
    options: Mapping[str, str] | None = None,
) -> WebhookRequest:
    """Return the request with the headers by which the provider would sign it at `now` (microseconds).

    For ed25519 the secret is the 32-byte private key in the scheme's encoding, or `whsk_` + base64.
    """
    scheme = preset.rules(options).verify
    ident = delivery_id or new_id()
    match scheme:
        case HmacScheme() | Ed25519Scheme():
            return _sign(scheme, secret, request, now, ident)
        case StandardScheme():
            return _sign_standard(scheme, secret, request, now, ident)
        case TokenScheme():
            return _placed(scheme.token, secret, request)
        case BasicScheme():
            return _with(request, "authorization", "Basic " + _base64(secret.encode("utf-8")))
        case NoScheme():
            return request
    raise UsageError(f"preset {preset.id} is verified by {scheme.kind}, which only its plugin can sign")


def _sample_headers(sample: Sample) -> tuple[tuple[str, str], ...]:
    return header_pairs({"Content-Type": "application/json", **sample.headers})


def _sign(
    scheme: HmacScheme | Ed25519Scheme, secret: str, request: WebhookRequest, now: Micros, ident: str
) -> WebhookRequest:
    stamp = _stamp(scheme.timestamp, now)
    if scheme.id is not None:
        request = _placed(scheme.id, ident, request)
    if scheme.timestamp is not None and scheme.timestamp.source != scheme.signature.source:
        request = _placed(scheme.timestamp, stamp or "", request)
    try:
        signed = scheme.signed.build(request, id=ident, timestamp=stamp)
    except Rejected as problem:
        raise UsageError(f"this request cannot be signed: {problem}") from None
    text = scheme.signature.prefix + _ENCODE[scheme.signature.encoding](_mac(scheme, secret, signed))
    return _with(request, scheme.signature.source.name, _beside_timestamp(scheme, stamp, text))


def _beside_timestamp(scheme: Signed, stamp: str | None, signature: str) -> str:
    """Providers such as Stripe put time and signature into one header, `t=...,v1=...`."""
    place = scheme.timestamp
    if place is None or place.source != scheme.signature.source:
        return signature
    return f"{place.prefix}{stamp}{place.separator}{signature}"


def _mac(scheme: HmacScheme | Ed25519Scheme, secret: str, signed: bytes) -> bytes:
    try:
        key, _ = decode_plain(scheme.secret_encoding)(secret)
        if isinstance(scheme, HmacScheme):
            return hmac.digest(key, signed, scheme.hash)
        return Ed25519PrivateKey.from_private_bytes(key).sign(signed)
    except ValueError as error:
        raise UsageError(f"the secret is malformed: {error}") from None


def _sign_standard(
    scheme: StandardScheme, secret: str, request: WebhookRequest, now: Micros, ident: str
) -> WebhookRequest:
    stamp = str(now // SECOND)
    signed = f"{ident}.{stamp}.".encode() + request.body
    try:
        if secret.startswith("whsk_"):
            key = from_base64(secret.removeprefix("whsk_"))[:32]
            signature = "v1a," + _base64(Ed25519PrivateKey.from_private_bytes(key).sign(signed))
        else:
            key = from_base64(secret.removeprefix("whsec_"))
            signature = "v1," + _base64(hmac.digest(key, signed, "sha256"))
    except ValueError as error:
        hint = "whsec_ and the base64 of 24 to 64 bytes"
        raise UsageError(f"the secret is malformed: {error}", hint=hint) from None
    for name, value in (("id", ident), ("timestamp", stamp), ("signature", signature)):
        request = _with(request, f"{scheme.prefix}-{name}", value)
    return request


def _stamp(place: TimestampAt | None, now: Micros) -> str | None:
    if place is None:
        return None
    if place.unit == "rfc3339":
        return rfc3339(now)
    return str(now // (SECOND if place.unit == "s" else 1000))


def _placed(place: Place, value: str, request: WebhookRequest) -> WebhookRequest:
    if place.source.kind == "header":
        return _with(request, place.source.name, place.prefix + value)
    if place.source.kind == "query":
        joint = "&" if "?" in request.url else "?"
        url = f"{request.url}{joint}{place.source.name}={place.prefix}{value}"
        return WebhookRequest(request.method, url, request.headers, request.body)
    return request  # inside the body: the payload has it already


def _with(request: WebhookRequest, name: str, value: str) -> WebhookRequest:
    kept = tuple(pair for pair in request.headers if pair[0].lower() != name.lower())
    return WebhookRequest(request.method, request.url, (*kept, (name, value)), request.body)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


_ENCODE: dict[str, Callable[[bytes], str]] = {
    "hex": bytes.hex,
    "base64": _base64,
    "base64url": lambda raw: base64.urlsafe_b64encode(raw).decode("ascii").rstrip("="),
}
