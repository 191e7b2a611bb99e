"""Sealing to a site: a content key of its own for every request, wrapped to the site's X25519 key with HPKE (RFC 9180,
base mode, HKDF-SHA256, AES-256-GCM). Pure but for randomness.

Every field is bound to its place (workspace, site, source, receipt, name of the field): moved anywhere else it does not
open.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hub.errors import RefusedError

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_VERSION = "hub-seal/1"
_NONCE = 12
_KEY = "key"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something sealed belongs. Ids as texts."""

    workspace: str
    site: str
    source: str
    receipt: str

    def of(self, name: str) -> bytes:
        """The place of one field."""
        parts = [_VERSION, self.workspace, self.site, self.source, self.receipt, name]
        return json.dumps(parts, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Sealed:
    """`wrapped` is the content key, sealed to the key `key_id`; each field is nonce and AES-256-GCM ciphertext."""

    key_id: str
    wrapped: bytes = field(repr=False)
    fields: Mapping[str, bytes] = field(repr=False)


class NotOpened(RefusedError):
    """It was sealed to a key that is not here, for another place, or was damaged."""

    code = "not-opened"


def key_id(public: bytes) -> str:
    """The name of a public key: 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


def seal(public: bytes, place: Place, fields: Mapping[str, bytes]) -> Sealed:
    """Seal fields to whoever has the private half. Raises ValueError for what is no X25519 key of 32 bytes."""
    content = AESGCM.generate_key(256)
    wrapped = _SUITE.encrypt(content, X25519PublicKey.from_public_bytes(public), info=place.of(_KEY))
    cipher = AESGCM(content)
    closed = {}
    for name, value in fields.items():
        nonce = os.urandom(_NONCE)
        closed[name] = nonce + cipher.encrypt(nonce, value, place.of(name))
    return Sealed(key_id(public), wrapped, closed)


def opened(seeds: Iterable[bytes], place: Place, sealed: Sealed) -> dict[str, bytes]:
    """The fields in clear, by that private key (seed of 32 bytes) which fits. Raises NotOpened."""
    for seed in seeds:
        private = X25519PrivateKey.from_private_bytes(seed)
        if key_id(private.public_key().public_bytes_raw()) == sealed.key_id:
            return _opened(private, place, sealed)
    raise NotOpened(f"it was sealed to the key {sealed.key_id}, which is not here")


def _opened(private: X25519PrivateKey, place: Place, sealed: Sealed) -> dict[str, bytes]:
    try:
        cipher = AESGCM(_SUITE.decrypt(sealed.wrapped, private, info=place.of(_KEY)))
        return {
            name: cipher.decrypt(value[:_NONCE], value[_NONCE:], place.of(name))
            for name, value in sealed.fields.items()
        }
    except (InvalidTag, ValueError):
        raise NotOpened("it was damaged, or sealed for another place") from None
