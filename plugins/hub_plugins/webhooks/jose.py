"""JSON Web Tokens: one algorithm that the source's configuration names, whatever a token says of itself.

Addresses and keys inside a token (`jku`, `x5u`, `jwk`, `x5c`) are never looked at.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)
from hub.webhooks.body import BodyError, parse_json
from hub.webhooks.reference import Rejected
from hub.webhooks.secrets import decode_plain, decode_public, from_base64url
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, RSAKey
from joserfc.jws import JWSRegistry, deserialize_compact

from hub_plugins.webhooks.asked import Asked

Algorithm: TypeAlias = Literal["HS256", "RS256", "ES256"]
JwsKey: TypeAlias = OctKey | RSAKey | ECKey
MAX_TOKEN = 16_384
MAX_KEYS = 100
LEEWAY_S = 60
_RSA_BITS = 2_048
_WARNED_BELOW = 14
_TYPES: dict[str, type[RSAKey] | type[ECKey]] = {"RS256": RSAKey, "ES256": ECKey}


class _Registry(JWSRegistry):
    max_header_length = 8_192


@dataclass(frozen=True, slots=True)
class Token:
    """A token whose header names the algorithm that is expected; nothing else of it is believed yet."""

    text: str = field(repr=False)
    algorithm: Algorithm
    kid: str | None

    @property
    def signed(self) -> bytes:
        """The bytes that its signature protects."""
        return self.text.rpartition(".")[0].encode("ascii")


def read_token(text: str, algorithm: Algorithm) -> Token:
    """Read a compact token's header. Raises Rejected."""
    parts = text.split(".")
    if len(text) > MAX_TOKEN or len(parts) != 3 or not text.isascii():
        raise Rejected("the token is not a compact JSON Web Token")
    header = _object(parts[0], "the token's header")
    if header.get("alg") != algorithm:
        said = str(header.get("alg"))[:20]
        raise Rejected(f"the token is signed with {said!r}, this source takes {algorithm} alone")
    if "crit" in header or "b64" in header:
        raise Rejected("the token asks for extensions that are not taken")
    kid = header.get("kid")
    if kid is not None and (not isinstance(kid, str) or len(kid) > 256):
        raise Rejected("the token's key id is no short text")
    return Token(text, algorithm, kid)


def open_token(token: Token, key: JwsKey) -> dict[str, Any] | None:
    """The claims, if the key vouches for them; None if it does not. Raises Rejected for claims that are no object."""
    registry = _Registry(algorithms=[token.algorithm], strict_check_header=False)
    try:
        opened = deserialize_compact(token.text, key, registry=registry)
    except (JoseError, ValueError, TypeError):
        return None
    try:
        claims = parse_json(opened.payload)
    except BodyError:
        claims = None
    if not isinstance(claims, dict):
        raise Rejected("the token's claims are no JSON object")
    return claims


def open_with_secrets(asked: Asked, token: Token) -> tuple[dict[str, Any], str]:
    """The claims, and the id of the secret whose key vouches for them. Every secret is tried. Raises Rejected."""
    shared = token.algorithm == "HS256"
    found: tuple[dict[str, Any], str] | None = None
    for secret in asked.usable(decode_plain("utf8") if shared else decode_public):
        key = symmetric(secret.value) if shared else _public(secret.value, token.algorithm)
        claims = None if key is None else open_token(token, key)
        if claims is not None and found is None:
            found = claims, secret.id
    if found is None:
        raise Rejected("the token's signature does not match")
    return found


def key_set(raw: bytes) -> dict[str | None, JwsKey]:
    """Read a JWK set: its public signing keys by id; a key of several without an id is left out. Raises ValueError."""
    document = _parsed(raw)
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise ValueError(f"it is no set of at most {MAX_KEYS} keys")
    found = dict(pair for entry in entries if (pair := _named(entry)) is not None)
    if len(entries) > 1:
        found.pop(None, None)
    return found


def jwk(document: Any) -> JwsKey | None:
    """Read one public signing key; None if it is not one. Symmetric keys are never published, so they do not count."""
    if not isinstance(document, dict) or document.get("use", "sig") != "sig":
        return None
    key: JwsKey
    try:
        match document.get("kty"):
            case "RSA":
                key = RSAKey.import_key(document)
            case "EC":
                key = ECKey.import_key(document)
            case _:
                return None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key if _is_strong(key) else None


def suits(key: JwsKey, algorithm: Algorithm) -> bool:
    """Whether a published key is one for the algorithm."""
    named = key.as_dict(private=False).get("alg", algorithm)
    return isinstance(key, _TYPES[algorithm]) and named == algorithm if algorithm in _TYPES else False


def private_key(text: str, algorithm: Algorithm) -> JwsKey | None:
    """A private key, PEM or the base64 of its DER (PKCS#8); None for anything else."""
    try:
        der = decode_public(text)[0]
        pem = load_der_private_key(der, None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        key: JwsKey = _TYPES[algorithm].import_key(pem)
    except (JoseError, ValueError, TypeError, IndexError, UnsupportedAlgorithm):
        return None
    return key if _is_strong(key) else None


def public_text(key: RSAKey | ECKey) -> str:
    """The public half as a source holds it: the base64 of its DER."""
    der = key.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b64encode(der).decode("ascii")


def check_claims(
    claims: Mapping[str, Any],
    now: float | None,
    *,
    issuers: Iterable[str] = (),
    audience: str = "",
    expires: bool = True,
) -> None:
    """Judge issuer, audience and times (Unix seconds; `now` None leaves them). Raises Rejected."""
    wanted = tuple(issuers)
    if wanted and claims.get("iss") not in wanted:
        raise Rejected("the token was issued by somebody else")
    said = claims.get("aud")
    if audience and audience not in (said if isinstance(said, list) else [said]):
        raise Rejected("the token is meant for somebody else")
    if expires and "exp" not in claims:
        raise Rejected("the token does not say when it ends")
    if now is None:
        return
    if "exp" in claims and now >= number(claims, "exp") + LEEWAY_S:
        raise Rejected("the token has expired")
    for name in ("nbf", "iat"):
        if name in claims and now < number(claims, name) - LEEWAY_S:
            raise Rejected(f"the token is of the future ({name})")


def number(claims: Mapping[str, Any], name: str) -> float:
    """A time among the claims. Raises Rejected."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Rejected(f"the token's {name} is no number")
    return float(value)


def symmetric(raw: bytes) -> OctKey | None:
    """The key of a shared secret; None if it is none."""
    if b"BEGIN " in raw:
        return None  # a public key is nobody's secret
    try:
        # HMAC itself fills a short key up with zeros (RFC 2104); the library only warns of short ones.
        return OctKey.import_key(raw.ljust(_WARNED_BELOW, b"\0"))
    except (JoseError, ValueError):
        return None


def _public(der: bytes, algorithm: Algorithm) -> JwsKey | None:
    try:
        pem = load_der_public_key(der).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        key: JwsKey = RSAKey.import_key(pem) if algorithm == "RS256" else ECKey.import_key(pem)
    except (JoseError, ValueError, TypeError):
        return None
    return key if _is_strong(key) else None


def _is_strong(key: JwsKey) -> bool:
    return not isinstance(key, RSAKey) or key.public_key.key_size >= _RSA_BITS


def _named(entry: Any) -> tuple[str | None, JwsKey] | None:
    key = jwk(entry)
    kid = entry.get("kid") if isinstance(entry, dict) else None
    if key is None or not (kid is None or isinstance(kid, str)):
        return None
    return kid, key


def _object(segment: str, what: str) -> dict[str, Any]:
    try:
        found = _parsed(from_base64url(segment))
    except ValueError:
        raise Rejected(f"{what} cannot be read") from None
    if not isinstance(found, dict):
        raise Rejected(f"{what} is no JSON object")
    return found


def _parsed(raw: bytes) -> Any:
    try:
        return parse_json(raw)
    except BodyError as error:
        raise ValueError(error.detail) from None
