"""The proofs: each function returns which secret vouches for a request, or raises Rejected."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hub.engine.values import quick
from hub.types import Id, Micros
from hub.webhooks.places import MAX_SIGNATURES, read_header, read_items, split_items
from hub.webhooks.reference import Ref, Rejected, scalar_text, text_bytes, walk
from hub.webhooks.request import WebhookRequest
from hub.webhooks.scheme import (
    DigestScheme,
    EcdsaScheme,
    Ed25519Scheme,
    HmacScheme,
    SignatureAt,
    StandardScheme,
    TokenScheme,
)
from hub.webhooks.secrets import Key, SecretValue, decode_plain, decode_public, decode_standard, from_base64, usable
from hub.webhooks.signed import DECODE, SignedString, read_signed
from hub.webhooks.timestamp import read_timestamp

NO_USABLE_KEY = "no usable secret is configured: none is set, or all are empty, expired or malformed"
MAX_TOKENS = 1_000
NO_MATCH = "the signature does not match"

_WHAT = "the signature"
_CURVES = {"P-256": "secp256r1", "P-384": "secp384r1"}
_HASHES = {"sha256": SHA256, "sha384": SHA384}


@quick
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
    return _proof(read_signed(scheme, request), lambda signed: _try_hmac(keys, signatures, signed, scheme.hash))


def prove_ed25519(
    scheme: Ed25519Scheme, request: WebhookRequest, secrets: Sequence[SecretValue], now: Micros | None
) -> Proof:
    """Check an ed25519 signature over the scheme's signed string."""
    keys = _keys(usable(secrets, now, decode_plain(scheme.secret_encoding)))
    signatures = read_signatures(scheme.signature, request)
    return _proof(read_signed(scheme, request), lambda signed: _try_ed25519(keys, signatures, signed))


def prove_ecdsa(
    scheme: EcdsaScheme, request: WebhookRequest, secrets: Sequence[SecretValue], now: Micros | None
) -> Proof:
    """Check an ECDSA signature over the scheme's signed string."""
    keys = _keys(usable(secrets, now, decode_public))
    signatures = read_signatures(scheme.signature, request)
    return _proof(read_signed(scheme, request), lambda signed: _try_ecdsa(keys, signatures, signed, scheme))


def prove_digest(
    scheme: DigestScheme, request: WebhookRequest, secrets: Sequence[SecretValue], now: Micros | None
) -> Proof:
    """Check a plain hash of the secret and the signed string."""
    keys = _keys(usable(secrets, now, decode_plain("utf8")))
    signatures = read_signatures(scheme.signature, request)
    return _proof(read_signed(scheme, request), lambda signed: _try_digest(keys, signatures, signed, scheme.hash))


def prove_standard(
    scheme: StandardScheme, request: WebhookRequest, secrets: Sequence[SecretValue], now: Micros | None
) -> Proof:
    """Check Standard Webhooks: symmetric secrets count for `v1` only, public keys for `v1a` only."""
    keys = _keys(usable(secrets, now, decode_standard))
    ident = read_header(request, f"{scheme.prefix}-id")
    if "." in ident:
        raise Rejected("the id holds a full stop, which separates the signed parts")
    stamp = read_header(request, f"{scheme.prefix}-timestamp")
    timestamp = read_timestamp(stamp, "s")
    listed = split_items(read_header(request, f"{scheme.prefix}-signature"), " ")
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
    if scheme.items is not None:
        return Proof(_match_items(keys, scheme, request))
    (sent,) = read_items(scheme.token, request, "the token", most=1)
    return Proof(_match_secret(keys, text_bytes(sent), "the token does not match"))


def prove_basic(request: WebhookRequest, secrets: Sequence[SecretValue], now: Micros | None) -> Proof:
    """Compare HTTP basic credentials with every secret of the form `user:password`."""
    keys = [key for key in _keys(usable(secrets, now, decode_plain("utf8"))) if b":" in key.value]
    header = read_header(request, "authorization")
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
    items = _in_places(place, request) if place.also else read_items(place, request, _WHAT, most=MAX_SIGNATURES)
    if place.pick == "one" and len(items) > 1:
        raise Rejected(f"the request carries {len(items)} signatures where one is expected")
    return _decoded(items, "", DECODE[place.encoding])


def _in_places(place: SignatureAt, request: WebhookRequest) -> list[str]:
    """The items of every place that holds something; of the first one where none does, which is then refused."""
    places = [place, *(place.model_copy(update={"source": ref}) for ref in place.also)]
    found = [one for one in places if one.source.read(request) is not None] or [place]
    return [item for one in found for item in read_items(one, request, _WHAT, most=MAX_SIGNATURES)]


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


def _proof(said: SignedString, find: Callable[[bytes], Id | None]) -> Proof:
    """Look for the string that a signature fits."""
    for signed in said.candidates:
        found = find(signed)
        if found is not None:
            return Proof(found, signed, said.timestamp)
    raise Rejected(NO_MATCH)


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


def _try_digest(keys: list[Key], signatures: list[bytes], signed: bytes, hash_name: str) -> Id | None:
    found: Id | None = None
    for key in keys:
        expected = hashlib.new(hash_name, key.value + signed).digest()
        for signature in signatures:
            if hmac.compare_digest(expected, signature) and found is None:
                found = key.id
    return found


def _try_ecdsa(keys: list[Key], signatures: list[bytes], signed: bytes, scheme: EcdsaScheme) -> Id | None:
    found: Id | None = None
    for key in keys:
        for signature in signatures:
            if _ecdsa_holds(key.value, signature, signed, scheme) and found is None:
                found = key.id
    return found


def _ecdsa_holds(der: bytes, signature: bytes, signed: bytes, scheme: EcdsaScheme) -> bool:
    try:
        public = load_der_public_key(der)
        if not isinstance(public, EllipticCurvePublicKey) or public.curve.name != _CURVES[scheme.curve]:
            return False
        public.verify(signature, signed, ECDSA(_HASHES[scheme.hash]()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


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


def _match_items(keys: list[Key], scheme: TokenScheme, request: WebhookRequest) -> Id:
    """Every item must carry a token that matches; which of several secrets it was is told of the first."""
    what = f"the items of {scheme.items}"
    items = Ref("json", scheme.items or "").demand(request, what)
    if not isinstance(items, list) or not 0 < len(items) <= MAX_TOKENS:
        raise Rejected(f"{what} are not a list of 1 to {MAX_TOKENS}")
    sent = [scalar_text(walk(item, scheme.token.source.name)) or "" for item in items]
    found = [_match_secret(keys, token.encode("utf-8", "surrogatepass"), "a token does not match") for token in sent]
    return found[0]


def _match_secret(keys: list[Key], sent: bytes, refusal: str) -> Id:
    found: Id | None = None
    for key in keys:
        if hmac.compare_digest(key.value, sent) and found is None:
            found = key.id
    if found is None:
        raise Rejected(refusal)
    return found
