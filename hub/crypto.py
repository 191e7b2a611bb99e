"""Secrets at rest: AES-256-GCM under a key kept outside the database, with a key id for rotation."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hub.errors import SettingError, UnavailableError
from hub.settings import Settings

_NONCE = 12


class Keyring:
    """The keys of this installation: the first seals, all of them open. Never prints itself."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._keys = {_key_id(key): key for key in keys}
        self.key_id = _key_id(keys[0])

    def __repr__(self) -> str:
        return f"Keyring({self.key_id})"

    def seal(self, value: str, *, context: str) -> bytes:
        """Encrypt `value`; `context` (row id and column) must be given again to open it."""
        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(self._keys[self.key_id]).encrypt(nonce, value.encode(), context.encode())

    def open(self, sealed: bytes, *, context: str, key_id: str) -> str:
        """Decrypt. Raises UnavailableError when the key is not here or the bytes are not what was sealed."""
        key = self._keys.get(key_id)
        if key is None:
            raise UnavailableError(
                f"a secret was sealed with key {key_id}, which this hub does not have",
                hint="Give the old key after the new one in HUB_ENCRYPTION_KEY, separated by a comma.",
                code="missing-key",
            )
        try:
            return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], context.encode()).decode()
        except InvalidTag:
            raise UnavailableError("a stored secret is damaged or was moved", code="damaged-secret") from None

    def digest(self, value: str, *, purpose: str) -> str:
        """Keyed hash of a token: what the database keeps in its place. The newest key counts."""
        return hmac.new(self._keys[self.key_id], f"{purpose}\x00{value}".encode(), hashlib.sha256).hexdigest()

    def digests(self, value: str, *, purpose: str) -> tuple[str, ...]:
        """The keyed hashes under every key, newest first: to find a row written before a rotation."""
        message = f"{purpose}\x00{value}".encode()
        return tuple(hmac.new(key, message, hashlib.sha256).hexdigest() for key in self._keys.values())


def load_keyring(settings: Settings) -> Keyring:
    """The keys from the setting, else from `key` in the home, made at first start with mode 0600."""
    text = settings.encryption_key.get_secret_value() or _key_file(settings.home / "key")
    return Keyring(tuple(_decode(part) for part in text.replace("\n", ",").split(",") if part.strip()))


def new_key() -> str:
    """A fresh key as text."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def _key_file(path: Path) -> str:
    try:
        with contextlib.suppress(FileNotFoundError):
            return path.read_text(encoding="ascii")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A second process that starts at the same time must not see half a key: write aside, link into place.
        # A name that nobody has had: another thread may be here, and a process that was killed here had this one's id.
        number, aside = tempfile.mkstemp(prefix="key.", dir=path.parent)
        with os.fdopen(number, "w") as file:
            file.write(new_key())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
        os.unlink(aside)
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise SettingError(
            f"the encryption key cannot be kept in {path}: {error.strerror}",
            hint="Make HUB_HOME writable, or set HUB_ENCRYPTION_KEY.",
        ) from None


def _decode(text: str) -> bytes:
    with contextlib.suppress(ValueError, binascii.Error):
        key = base64.urlsafe_b64decode(text.strip())
        if len(key) == 32:
            return key
    raise SettingError(
        "HUB_ENCRYPTION_KEY is not a key of 32 bytes in URL-safe base64",
        hint="Make one with `hub secrets key`.",
    )


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"hub-key-id\x00" + key).hexdigest()[:12]
