"""Signing secrets: which may be tried now, and the key bytes they stand for."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hub.types import Id, Micros

Encoding = Literal["utf8", "base64", "hex"]
MAX_SECRETS = 16
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+\Z")


@dataclass(frozen=True, slots=True)
class SecretValue:
    """A secret in clear, for as long as a request is judged. `expires_at` in microseconds; None is never."""

    id: Id
    value: str = field(repr=False)
    expires_at: Micros | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """The key bytes of one usable secret. `public` marks an ed25519 public key."""

    id: Id
    value: bytes = field(repr=False)
    public: bool = False


def usable(
    secrets: Sequence[SecretValue], now: Micros | None, decode: Callable[[str], tuple[bytes, bool]]
) -> list[Key]:
    """Return the keys of the secrets that are neither expired nor empty nor malformed.

    With `now` None a secret that has an expiry is left out: nobody can say that it still holds.
    """
    keys: list[Key] = []
    for secret in secrets[:MAX_SECRETS]:
        if not secret.value.strip() or not _alive(secret, now):
            continue
        try:
            value, public = decode(secret.value)
        except ValueError:
            continue
        if value:
            keys.append(Key(secret.id, value, public))
    return keys


def _alive(secret: SecretValue, now: Micros | None) -> bool:
    return secret.expires_at is None or (now is not None and now < secret.expires_at)


def decode_plain(encoding: Encoding) -> Callable[[str], tuple[bytes, bool]]:
    """A decoder for secrets that are plain text, base64 or hex; it raises ValueError on a malformed one."""

    def decode(text: str) -> tuple[bytes, bool]:
        if encoding == "utf8":
            return text.encode("utf-8", "surrogatepass"), False
        return (from_base64(text) if encoding == "base64" else from_hex(text)), False

    return decode


def decode_standard(text: str) -> tuple[bytes, bool]:
    """Decode a Standard Webhooks secret: `whsec_` (optional) + base64, or `whpk_` + an ed25519 public key."""
    if text.startswith("whsk_"):
        raise ValueError("whsk_ is the sender's private key; a receiver holds the whpk_ public key")
    if text.startswith("whpk_"):
        return from_base64(text.removeprefix("whpk_")), True
    return from_base64(text.removeprefix("whsec_")), False


def from_base64(text: str) -> bytes:
    """Decode canonical, padded base64; raises ValueError on anything else."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise ValueError("not base64") from None
    if base64.b64encode(raw).decode("ascii") != text:
        raise ValueError("not canonical base64")
    return raw


def from_base64url(text: str) -> bytes:
    """Decode unpadded or padded URL-safe base64; raises ValueError on anything else."""
    bare = text.rstrip("=")
    if not re.fullmatch(r"[A-Za-z0-9_-]*", bare):
        raise ValueError("not URL-safe base64")
    standard = bare.translate(str.maketrans("-_", "+/"))
    return from_base64(standard + "=" * (-len(standard) % 4))


def from_hex(text: str) -> bytes:
    """Decode hex of either case without white space; raises ValueError on anything else."""
    if not _HEX.match(text):
        raise ValueError("not hex")
    return bytes.fromhex(text)
