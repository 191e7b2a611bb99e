"""The proofs: each function returns which secret vouches for a request, or raises Rejected."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hub.types import Id, Micros
from hub.webhooks.reference import Ref, Rejected, scalar_text, text_bytes
from hub.webhooks.request import WebhookRequest
from hub.webhooks.scheme import (
    Ed25519Scheme,
    HmacScheme,
    Place,
    SignatureAt,
    Signed,
    StandardScheme,
    TokenScheme,
)
from hub.webhooks.secrets import (
    Key,
    SecretValue,
    decode_plain,
    decode_standard,
    from_base64,
    from_base64url,
    from_hex,
    usable,
)
from hub.webhooks.timestamp import read_timestamp

MAX_SIGNATURES = 16
MAX_TEXT = 8_192
NO_USABLE_KEY = "no usable secret is configured: none is set, or all are empty, expired or malformed"
NO_MATCH = "the signature does not match"
_DECODE = {"hex": from_hex, "base64": from_base64, "base64url": from_base64url}


@dataclass(frozen=True, slots=True)
class Proof:
    """Which secret vouches, over which bytes, and when the sender says it signed."""

    secret_id: Id
    signed: bytes | None = None
    timestamp: Micros | None = None


def prove_hmac(
    scheme: HmacScheme, request: WebhookRequest, secrets: Sequence[SecretValue], now: Micros | None
) -> Proof:
    """Check an HMAC over the scheme's signed string."""
    keys = _keys(usable(secrets, now, decode_plain(scheme.secret_encoding)))
    signatures = read_signatures(scheme.signature, request)
    signed, timestamp = signed_bytes(scheme, request)
    return Proof(_match_hmac(keys, signatures, signed, scheme.hash), signed, timestamp)


def prove_ed25519(
    scheme: Ed25519Scheme, request: WebhookRequest, secrets: Sequence[SecretValue], now: Micros | None
) -> Proof:
    """Check an ed25519 signature over the scheme's signed string."""
    keys = _keys(usable(secrets, now, decode_plain(scheme.secret_encoding)))
    signatures = read_signatures(scheme.signature, request)
    signed, timestamp = signed_bytes(scheme, request)
    return Proof(_match_ed25519(keys, signatures, signed), signed, timestamp)


def prove_standard(
    scheme: StandardScheme, request: WebhookRequest, secrets: Sequence[SecretValue], now: Micros | None
) -> Proof:
    """Check Standard Webhooks: symmetric secrets count for `v1` only, public keys for `v1a` only."""
    keys = _keys(usable(secrets, now, decode_standard))
    ident = _header(request, f"{scheme.prefix}-id")
    if "." in ident:
        raise Rejected("the id holds a full stop, which separates the signed parts")
    stamp = _header(request, f"{scheme.prefix}-timestamp")
    timestamp = read_timestamp(stamp, "s")
    listed = _items(_header(request, f"{scheme.prefix}-signature"), " ")
    signed = text_bytes(ident) + b"." + stamp.encode("ascii") + b"." + request.body
    symmetric, public = [key for key in keys if not key.public], [key for key in keys if key.public]
    found = _try_hmac(symmetric, _decoded(listed, "v1,", from_base64), signed, "sha256")
    found = found or _try_ed25519(public, _decoded(listed, "v1a,", from_base64), signed)
    if found is None:
        raise Rejected(NO_MATCH)
    return Proof(found, signed, timestamp)


def prove_token(
    scheme: TokenScheme, request: WebhookRequest, secrets: Sequence[SecretValue], now: Micros | None
) -> Proof:
    """Compare a token sent in clear with every secret."""
    keys = _keys(usable(secrets, now, decode_plain("utf8")))
    (sent,) = _places(scheme.token, request, "the token", most=1)
    return Proof(_match_secret(keys, text_bytes(sent), "the token does not match"))


def prove_basic(request: WebhookRequest, secrets: Sequence[SecretValue], now: Micros | None) -> Proof:
    """Compare HTTP basic credentials with every secret of the form `user:password`."""
    keys = [key for key in _keys(usable(secrets, now, decode_plain("utf8"))) if b":" in key.value]
    header = _header(request, "authorization")
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise Rejected("the request carries no basic credentials")
    try:
        sent = from_base64(encoded.strip(" "))
    except ValueError:
        raise Rejected("the basic credentials are malformed") from None
    return Proof(_match_secret(_keys(keys), sent, "the credentials do not match"))


def read_signatures(place: SignatureAt, request: WebhookRequest) -> list[bytes]:
    """Return the signatures a request carries, decoded; undecodable ones are left out. Raises Rejected."""
    items = _places(place, request, "the signature", most=MAX_SIGNATURES)
    if place.pick == "one" and len(items) > 1:
        raise Rejected(f"the request carries {len(items)} signatures where one is expected")
    return _decoded(items, "", _DECODE[place.encoding])


def signed_bytes(scheme: Signed, request: WebhookRequest) -> tuple[bytes, Micros | None]:
    """Build the signed string and read its time. Raises Rejected."""
    stamp = _timestamp_text(scheme, request)
    ident = None if scheme.id is None else _places(scheme.id, request, "the id", most=1)[0]
    timestamp = None
    if scheme.timestamp is not None and stamp is not None:
        timestamp = read_timestamp(stamp, scheme.timestamp.unit)
    return scheme.signed.build(request, id=ident, timestamp=stamp), timestamp


def _timestamp_text(scheme: Signed, request: WebhookRequest) -> str | None:
    place = scheme.timestamp
    if place is None or (not place.required and place.source.read(request) is None):
        return None
    return _places(place, request, "the timestamp", most=1)[0]


def _header(request: WebhookRequest, name: str) -> str:
    return _text(Ref("header", name), request, f"the header {name}")


def _text(ref: Ref, request: WebhookRequest, what: str) -> str:
    text = scalar_text(ref.demand(request, what))
    if not text:
        raise Rejected(f"{what} is missing")
    if len(text) > MAX_TEXT:
        raise Rejected(f"{what} is longer than {MAX_TEXT} characters")
    return text


def _places(place: Place, request: WebhookRequest, what: str, *, most: int) -> list[str]:
    """Read the items of a place that carry its prefix, without it; at least one and at most `most`."""
    text = _text(place.source, request, what)
    items = _items(text, place.separator) if place.separator else [text]
    chosen = [item[len(place.prefix) :] for item in items if item.startswith(place.prefix)]
    chosen = [item for item in chosen if item]
    if not chosen:
        raise Rejected(f"{what} is missing or not of the form expected")
    if len(chosen) > most:
        raise Rejected(f"{what} comes {len(chosen)} times in one value, at most {most} allowed")
    return chosen


def _items(text: str, separator: str) -> list[str]:
    items = [item.strip(" ") for item in text.split(separator)]
    if len(items) > 2 * MAX_SIGNATURES:
        raise Rejected(f"the request carries {len(items)} signatures")
    return [item for item in items if item]


def _decoded(items: list[str], prefix: str, decode: Callable[[str], bytes]) -> list[bytes]:
    signatures = []
    for item in items:
        if item.startswith(prefix):
            try:
                signatures.append(decode(item[len(prefix) :]))
            except ValueError:
                continue
    return signatures


def _keys(keys: list[Key]) -> list[Key]:
    if not keys:
        raise Rejected(NO_USABLE_KEY)
    return keys


def _match_hmac(keys: list[Key], signatures: list[bytes], signed: bytes, hash_name: str) -> Id:
    found = _try_hmac(keys, signatures, signed, hash_name)
    if found is None:
        raise Rejected(NO_MATCH)
    return found


def _match_ed25519(keys: list[Key], signatures: list[bytes], signed: bytes) -> Id:
    found = _try_ed25519(keys, signatures, signed)
    if found is None:
        raise Rejected(NO_MATCH)
    return found


def _try_hmac(keys: list[Key], signatures: list[bytes], signed: bytes, hash_name: str) -> Id | None:
    # Every key against every signature: an early exit would tell by its time which secret is in use.
    found: Id | None = None
    for key in keys:
        # hmac.digest() gives up the interpreter's lock even for a small body and may wait long to get it back.
        expected = hmac.new(key.value, signed, hash_name).digest()
        for signature in signatures:
            if hmac.compare_digest(expected, signature) and found is None:
                found = key.id
    return found


def _try_ed25519(keys: list[Key], signatures: list[bytes], signed: bytes) -> Id | None:
    found: Id | None = None
    for key in keys:
        for signature in signatures:
            if _ed25519_holds(key.value, signature, signed) and found is None:
                found = key.id
    return found


def _ed25519_holds(public: bytes, signature: bytes, signed: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _match_secret(keys: list[Key], sent: bytes, refusal: str) -> Id:
    found: Id | None = None
    for key in keys:
        if hmac.compare_digest(key.value, sent) and found is None:
            found = key.id
    if found is None:
        raise Rejected(refusal)
    return found
