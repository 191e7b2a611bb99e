"""Signing by Standard Webhooks 1.0: `v1` (HMAC-SHA256) and `v1a` (ed25519), any number of keys at once."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hub.webhooks.secrets import from_base64

SYMMETRIC, PRIVATE, PUBLIC = "whsec_", "whsk_", "whpk_"


def new_secret() -> str:
    """A symmetric secret of 32 bytes, for `v1`."""
    return SYMMETRIC + _base64(secrets.token_bytes(32))


def new_key() -> str:
    """A private key, for `v1a`."""
    key = Ed25519PrivateKey.generate()
    return PRIVATE + _base64(key.private_bytes_raw() + key.public_key().public_bytes_raw())


def public_of(private: str) -> str:
    """What the receiver gets of a private key. Raises ValueError."""
    return PUBLIC + _base64(_private(private).public_key().public_bytes_raw())


def signature(secret: str, ident: str, timestamp: str, body: bytes) -> str:
    """One item of the header `webhook-signature`. Raises ValueError for a malformed secret."""
    signed = f"{ident}.{timestamp}.".encode() + body
    if secret.startswith(PRIVATE):
        return "v1a," + _base64(_private(secret).sign(signed))
    return "v1," + _base64(hmac.digest(from_base64(secret.removeprefix(SYMMETRIC)), signed, "sha256"))


def headers(keys: Iterable[str], ident: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a message, signed with every key: a receiver that knows one of them can verify it."""
    stamp = str(timestamp)
    signed = " ".join(signature(key, ident, stamp, body) for key in keys)
    return {"webhook-id": ident, "webhook-timestamp": stamp, "webhook-signature": signed}


def _private(text: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(from_base64(text.removeprefix(PRIVATE))[:32])


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
