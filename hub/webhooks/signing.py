"""Signing a payload the way a provider does: for demos, tests and `hub trigger`. The mirror of `verify`."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import load_der_private_key

from hub.errors import UsageError
from hub.types import SECOND, Micros, new_id, rfc3339
from hub.webhooks import standard
from hub.webhooks.placing import placed, with_header
from hub.webhooks.preset import Preset, Sample
from hub.webhooks.reference import Rejected, text_bytes
from hub.webhooks.request import WebhookRequest, header_pairs
from hub.webhooks.scheme import (
    BasicScheme,
    DigestScheme,
    EcdsaScheme,
    Ed25519Scheme,
    HmacScheme,
    NoScheme,
    Place,
    PluginScheme,
    Scheme,
    Signed,
    StandardScheme,
    TimestampAt,
    TokenScheme,
)
from hub.webhooks.secrets import decode_plain, decode_public
from hub.webhooks.signed import url_forms
from hub.webhooks.signers import Signature, Signer, Unsignable

Mac: TypeAlias = HmacScheme | Ed25519Scheme | EcdsaScheme | DigestScheme


def sample_request(preset: Preset, name: str, url: str) -> WebhookRequest:
    """Make the unsigned request of a preset's sample. Raises UsageError naming the samples there are."""
    sample = next((sample for sample in preset.samples if sample.name == name), None)
    if sample is None:
        known = ", ".join(sample.name for sample in preset.samples) or "none"
        raise UsageError(f"preset {preset.id} has no sample {name!r}", hint=f"its samples are {known}")
    address = f"{url}?{sample.query}" if sample.query else url
    return WebhookRequest(sample.method, address, _sample_headers(sample), sample.body.encode("utf-8"))


def sign(
    preset: Preset,
    secret: str,
    request: WebhookRequest,
    *,
    now: Micros,
    delivery_id: str | None = None,
    options: Mapping[str, str] | None = None,
    signer: Signer | None = None,
) -> WebhookRequest:
    """Return the request with the headers by which the provider would sign it at `now` (microseconds).

    For ed25519 the secret is the 32-byte private key in the scheme's encoding, or `whsk_` + base64; for ECDSA and the
    tokens of `jwt` the private key, PEM or the base64 of its DER. Raises UsageError where only the provider has what
    signs, and for a malformed secret.
    """
    found = signature(preset, secret, request, now=now, delivery_id=delivery_id, options=options, signer=signer)
    if found.stand_in is not None:
        raise UsageError(
            f"only {preset.name} can sign for others: receivers verify it by a key of the provider's own",
            hint="`hub trigger` signs for this hub's own door.",
        )
    return found.request


def signature(
    preset: Preset,
    secret: str | None,
    request: WebhookRequest,
    *,
    now: Micros,
    delivery_id: str | None = None,
    options: Mapping[str, str] | None = None,
    signer: Signer | None = None,
) -> Signature:
    """As `sign`, but where only the provider has the key, one that is made for this request stands in for it.

    `secret` None is that of a source which has none, because the keys are fetched.
    """
    scheme = preset.rules(options).verify
    ident = delivery_id or new_id()
    if isinstance(scheme, PluginScheme):
        return _by_plugin(preset, scheme, secret, request, now, ident, signer)
    return Signature(_by_scheme(preset, scheme, secret or "", request, now, ident))


def _by_plugin(
    preset: Preset, scheme: PluginScheme, secret: str | None, request: WebhookRequest, now: Micros, ident: str,
    signer: Signer | None,
) -> Signature:  # fmt: skip
    name = scheme.kind.removeprefix("plugin:")
    found = None if signer is None else signer(name, request, secret, scheme.settings, now, ident)
    if isinstance(found, Signature):
        return found
    why = found.reason if isinstance(found, Unsignable) else f"no plugin signs for {scheme.kind}"
    hint = (found.hint if isinstance(found, Unsignable) else "") or "Let the provider send one, or replay a kept one."
    raise UsageError(f"a request of {preset.name} cannot be signed here: {why}", hint=hint)


def _by_scheme(
    preset: Preset, scheme: Scheme, secret: str, request: WebhookRequest, now: Micros, ident: str
) -> WebhookRequest:
    match scheme:
        case HmacScheme() | Ed25519Scheme() | EcdsaScheme() | DigestScheme():
            return _sign(scheme, secret, request, now, ident)
        case StandardScheme():
            return _sign_standard(scheme, secret, request, now, ident)
        case TokenScheme():
            return placed(scheme.token, secret, request, items=scheme.items)
        case BasicScheme():
            return with_header(request, "authorization", "Basic " + _base64(secret.encode("utf-8")))
        case NoScheme():
            return request
    raise UsageError(f"preset {preset.id} is verified by {scheme.kind}, which nobody can sign")


def _sample_headers(sample: Sample) -> tuple[tuple[str, str], ...]:
    return header_pairs({"Content-Type": "application/json", **sample.headers})


def _sign(scheme: Mac, secret: str, request: WebhookRequest, now: Micros, ident: str) -> WebhookRequest:
    stamp = _stamp(scheme.timestamp, now)
    if scheme.id is not None:
        request = placed(scheme.id, ident, request)
    if scheme.timestamp is not None and scheme.timestamp.source != scheme.signature.source:
        request = placed(scheme.timestamp, stamp or "", request)
    if scheme.body_hash is not None and request.body and not request.is_form:
        digest = hashlib.new(scheme.body_hash.hash, request.body).digest()
        request = placed(scheme.body_hash, _ENCODE[scheme.body_hash.encoding](digest), request)
    for ref, text in scheme.required:
        request = placed(Place.model_validate({"from": ref}), text, request)
    text = scheme.signature.prefix + _ENCODE[scheme.signature.encoding](_mac(scheme, secret, request, ident, stamp))
    bare = Place.model_validate({"from": scheme.signature.source})
    return placed(bare, _beside_timestamp(scheme, stamp, text), request)


def _beside_timestamp(scheme: Signed, stamp: str | None, signature: str) -> str:
    """Providers such as Stripe put time and signature into one header, `t=...,v1=...`."""
    place = scheme.timestamp
    if place is None or place.source != scheme.signature.source:
        return signature
    return f"{place.prefix}{stamp}{place.separator}{signature}"


def _mac(scheme: Mac, secret: str, request: WebhookRequest, ident: str, stamp: str | None) -> bytes:
    url = text_bytes(next(url_forms(request.url, scheme.url)))
    known = {"url": url, **({"form": b""} if scheme.body_hash and request.body and not request.is_form else {})}
    try:
        signed = scheme.signed.build(request, id=ident, timestamp=stamp, known=known)
    except Rejected as problem:
        raise UsageError(f"this request cannot be signed: {problem}") from None
    try:
        return _raw_signature(scheme, secret, signed)
    except ValueError as error:
        raise UsageError(f"the secret is malformed: {error}") from None


def _raw_signature(scheme: Mac, secret: str, signed: bytes) -> bytes:
    if isinstance(scheme, EcdsaScheme):
        key = load_der_private_key(decode_public(secret)[0], None)
        if not isinstance(key, EllipticCurvePrivateKey):
            raise ValueError("not a private key of an elliptic curve")
        return key.sign(signed, ECDSA(SHA256() if scheme.hash == "sha256" else SHA384()))
    if isinstance(scheme, DigestScheme):
        return hashlib.new(scheme.hash, secret.encode("utf-8") + signed).digest()
    raw, _ = decode_plain(scheme.secret_encoding)(secret)
    if isinstance(scheme, HmacScheme):
        return hmac.digest(raw, signed, scheme.hash)
    return Ed25519PrivateKey.from_private_bytes(raw).sign(signed)


def _sign_standard(
    scheme: StandardScheme, secret: str, request: WebhookRequest, now: Micros, ident: str
) -> WebhookRequest:
    stamp = str(now // SECOND)
    try:
        signature = standard.signature(secret, ident, stamp, request.body)
    except ValueError as error:
        hint = "whsec_ and the base64 of 24 to 64 bytes"
        raise UsageError(f"the secret is malformed: {error}", hint=hint) from None
    for name, value in (("id", ident), ("timestamp", stamp), ("signature", signature)):
        request = with_header(request, f"{scheme.prefix}-{name}", value)
    return request


def _stamp(place: TimestampAt | None, now: Micros) -> str | None:
    if place is None:
        return None
    if place.unit == "rfc3339":
        return rfc3339(now)
    return str(now // (SECOND if place.unit == "s" else 1000))


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


_ENCODE: dict[str, Callable[[bytes], str]] = {
    "hex": bytes.hex,
    "base64": _base64,
    "base64url": lambda raw: base64.urlsafe_b64encode(raw).decode("ascii").rstrip("="),
}
