"""Signing secrets: which may be tried now, and the key bytes they stand for."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from hub.types import Id, Micros

Encoding = Literal["utf8", "base64", "hex"]
Decoder: TypeAlias = Callable[[str], tuple[bytes, bool]]
"""Makes key bytes of a secret's text, and says whether they are a public key; ValueError when it is malformed."""
MAX_SECRETS = 16
STAND_IN = "stand-in"
"""The id of what is no secret of a source."""
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+\Z")


@dataclass(frozen=True, slots=True)
class SecretValue:
    """A secret in clear, for as long as a request is judged. `expires_at` in microseconds; None is never."""

    id: Id
    value: str = field(repr=False)
    expires_at: Micros | None = None
    _keys: dict[Decoder, Key | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def key(self, decode: Decoder) -> Key | None:
        """The key this secret stands for, worked out once for each way to decode; None if empty or malformed."""
        if decode not in self._keys:
            self._keys[decode] = self._decoded(decode)
        return self._keys[decode]

    def _decoded(self, decode: Decoder) -> Key | None:
        try:
            value, public = decode(self.value) if self.value.strip() else (b"", False)
        except ValueError:
            return None
        return Key(self.id, value, public) if value else None


class StandIn(SecretValue):
    """What stands in for a key of the provider's while the hub judges one request that it has signed itself."""

    __slots__ = ()

    def __init__(self, value: str) -> None:
        super().__init__(STAND_IN, value)


@dataclass(frozen=True, slots=True)
class Key:
    """The key bytes of one usable secret. `public` marks an ed25519 public key."""

    id: Id
    value: bytes = field(repr=False)
    public: bool = False


def usable(secrets: Sequence[SecretValue], now: Micros | None, decode: Decoder) -> list[Key]:
    """Return the keys of the secrets that are neither expired nor empty nor malformed.

    With `now` None a secret that has an expiry is left out: nobody can say that it still holds.
    """
    return [key for secret in secrets[:MAX_SECRETS] if _alive(secret, now) and (key := secret.key(decode)) is not None]


def _alive(secret: SecretValue, now: Micros | None) -> bool:
    return secret.expires_at is None or (now is not None and now < secret.expires_at)


def decode_plain(encoding: Encoding) -> Decoder:
    """The decoder for secrets that are plain text, base64 or hex; it raises ValueError on a malformed one."""
    return _PLAIN[encoding]


def decode_standard(text: str) -> tuple[bytes, bool]:
    """Decode a Standard Webhooks secret: `whsec_` (optional) + base64, or `whpk_` + an ed25519 public key."""
    if text.startswith("whsk_"):
        raise ValueError("whsk_ is the sender's private key; a receiver holds the whpk_ public key")
    if text.startswith("whpk_"):
        return from_base64(text.removeprefix("whpk_")), True
    return from_base64(text.removeprefix("whsec_")), False


def decode_public(text: str) -> tuple[bytes, bool]:
    """Decode a public key to DER: PEM, or the base64 of the DER, as providers show it."""
    lines = text.strip().splitlines()
    if lines[0].startswith("-----BEGIN"):
        lines = [line.strip() for line in lines[1:-1]]
    return from_base64("".join(lines)), True


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


def _plain_text(text: str) -> tuple[bytes, bool]:
    return text.encode("utf-8", "surrogatepass"), False


def _plain_base64(text: str) -> tuple[bytes, bool]:
    return from_base64(text), False


def _plain_hex(text: str) -> tuple[bytes, bool]:
    return from_hex(text), False


_PLAIN: dict[Encoding, Decoder] = {"utf8": _plain_text, "base64": _plain_base64, "hex": _plain_hex}
