"""The keys of a site, and what it proves with them: that it has a key, and who it is (RFC 7523, `private_key_jwt`).

Pure but for randomness. Times are seconds.
"""

from __future__ import annotations

import base64
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.errors import UsageError
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

ALGORITHM = "Ed25519"
ASSERTION_S = 60
"""How long an assertion is good, at most."""
SKEW_S = 300
"""How far the clocks of site and plane may be apart; of more the plane tells its time."""
JOINING = "hub-sync/join"
"""The audience of the proof that a site has the key that it brings."""
MAX_TEXT = 4096
SEALS_KEPT = 8
"""Older keys that are kept to open with; the oldest of them is years old unless somebody rotates by hand."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The seeds of a site's Ed25519 key, with which it signs, and of its X25519 key, to which is sealed."""

    sign: bytes
    seal: bytes

    @classmethod
    def new(cls) -> Keys:
        """Random ones."""
        return cls(os.urandom(32), os.urandom(32))

    @classmethod
    def read(cls, text: str) -> Keys:
        """As `written` wrote them."""
        found = json.loads(text)
        return cls(bytes.fromhex(found["sign"]), bytes.fromhex(found["seal"]))

    def written(self) -> str:
        """As JSON, to be sealed."""
        return json.dumps({"sign": self.sign.hex(), "seal": self.seal.hex()})

    def __repr__(self) -> str:
        return f"Keys({self.id})"

    @property
    def id(self) -> str:
        """The thumbprint of the public signing key (RFC 7638)."""
        return self._key().thumbprint()

    @property
    def public(self) -> dict[str, Any]:
        """The public signing key as JWK."""
        return dict(self._key().as_dict(private=False))

    @property
    def seal_public(self) -> str:
        """The public key that is sealed to, as hexadecimal text."""
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey  # noqa: PLC0415 - on joining only

        return X25519PrivateKey.from_private_bytes(self.seal).public_key().public_bytes_raw().hex()

    def proof(self, site_id: str, token: str, now: float) -> str:
        """That this site has the key, said for one token."""
        return self._signed({"iss": site_id, "aud": JOINING, "tok": token}, now)

    def assertion(self, client_id: str, audience: str, now: float) -> str:
        """Who asks for an access token."""
        return self._signed({"iss": client_id, "sub": client_id, "aud": audience}, now)

    def _signed(self, claims: dict[str, Any], now: float) -> str:
        header = {"alg": ALGORITHM, "kid": self.id}
        whole = {**claims, "iat": int(now), "exp": int(now) + ASSERTION_S, "jti": str(uuid.uuid4())}
        return jwt.encode(header, whole, self._key(), algorithms=[ALGORITHM])

    def _key(self) -> OKPKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

        public = Ed25519PrivateKey.from_private_bytes(self.sign).public_key().public_bytes_raw()
        return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": _b64(public), "d": _b64(self.sign)})


@dataclass(frozen=True, slots=True)
class Bundle:
    """The keys of a link: those it uses, their successor while the plane may not know it, and older keys to which
    something may have been sealed that still waits at the plane."""

    now: Keys
    next: Keys | None = None
    seals: tuple[bytes, ...] = ()

    @classmethod
    def read(cls, text: str) -> Bundle:
        """As `written` wrote them."""
        found = json.loads(text)
        following = found.get("next")
        seals = tuple(bytes.fromhex(one) for one in found.get("seals", ()))
        return cls(Keys.read(found["now"]), Keys.read(following) if following else None, seals)

    def written(self) -> str:
        """As JSON, to be sealed."""
        following = self.next.written() if self.next else None
        return json.dumps({"now": self.now.written(), "next": following, "seals": [one.hex() for one in self.seals]})

    def opening(self) -> tuple[bytes, ...]:
        """The seeds of all keys that may open something, the newest first."""
        newest = (self.next.seal, self.now.seal) if self.next else (self.now.seal,)
        return tuple(dict.fromkeys((*newest, *self.seals)))

    def followed_by(self, keys: Keys) -> Bundle:
        """These keys have given way to others; what was sealed to them can still be opened."""
        older = tuple(one for one in self.opening() if one != keys.seal)
        return Bundle(keys, None, older[:SEALS_KEPT])


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """The id of a public key. Raises UsageError for what is no public Ed25519 key."""
    if set(jwk) - {"kid"} != {"kty", "crv", "x"} or jwk["kty"] != "OKP" or jwk["crv"] != "Ed25519":
        raise UsageError("sign_key is not the JWK of a public Ed25519 key: kty, crv, x")
    try:
        return str(OKPKey.import_key(dict(jwk)).thumbprint())
    except (JoseError, ValueError, TypeError) as error:
        raise UsageError("sign_key is not the JWK of a public Ed25519 key") from error


def claimed(text: str) -> str:
    """The id of the key that a token says it was signed with; empty for what is no token."""
    try:
        head = text.split(".")[0]
        found = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
        return str(found["kid"])[:200] if isinstance(found, dict) and found.get("alg") == ALGORITHM else ""
    except (ValueError, KeyError, IndexError):
        return ""


def verified(text: str, jwk: Mapping[str, Any]) -> dict[str, Any] | None:
    """The claims of a token that this key has signed, whatever its times; None for any other."""
    if len(text) > MAX_TEXT:
        return None
    try:
        claims = jwt.decode(text, OKPKey.import_key(dict(jwk)), algorithms=[ALGORITHM]).claims
    except (JoseError, ValueError, TypeError):
        return None
    times = claims.get("iat"), claims.get("exp")
    whole = all(isinstance(one, int) for one in times) and isinstance(claims.get("jti"), str)
    return claims if whole and 0 < claims["exp"] - claims["iat"] <= ASSERTION_S else None


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
