"""`vault:MOUNT/PATH#KEY`: a key of a secret in HashiCorp Vault (or OpenBao), KV version 2."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

from hub.errors import UnavailableError

from hub_plugins.secrets.settings import PREFIX, Settings

_REFERENCE = re.compile(r"(?P<mount>[A-Za-z0-9_-]+)/(?P<path>[A-Za-z0-9_./-]+)#(?P<key>[^#]+)")
_KEPT = 256
_AWAY_S = 5.0
"""After a failure to reach Vault nobody else waits for it for so long."""


class Vault:
    """What one process has read lately. A secret is asked for once in `vault_keep` seconds, not by every task."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str, str], tuple[float, dict[str, Any]]] = {}
        self._away: tuple[float, str] = (0.0, "")

    def resolve(self, text: str, settings: Settings) -> str:
        """The value of the key. Raises UnavailableError."""
        found = _REFERENCE.fullmatch(text)
        if found is None or ".." in found["path"]:
            raise UnavailableError("Vault is asked as vault:MOUNT/PATH#KEY")
        if not settings.vault_url:
            raise UnavailableError(f"nobody said where Vault is: {PREFIX}VAULT_URL")
        place = (settings.vault_url.rstrip("/"), found["mount"], found["path"])
        value = self._secret(place, settings).get(found["key"])
        if not isinstance(value, str):
            raise UnavailableError(f"the secret has no text under the key {found['key']}")
        return value

    def _secret(self, place: tuple[str, str, str], settings: Settings) -> dict[str, Any]:
        now = time.monotonic()
        with self._lock:
            until, kept = self._kept.get(place, (0.0, {}))
            if now < until:
                return kept
            away_until, why = self._away
        if now < away_until:
            raise UnavailableError(why)
        data = self._read(place, settings)
        with self._lock:
            self._kept.pop(place, None)
            self._kept[place] = (now + settings.vault_keep, data)
            while len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]
        return data

    def _read(self, place: tuple[str, str, str], settings: Settings) -> dict[str, Any]:
        import httpx2  # noqa: PLC0415 - a quarter of a second that only users of Vault should pay

        url, mount, path = place
        headers = {"X-Vault-Token": _token(settings), "X-Vault-Request": "true"}
        if settings.vault_namespace:
            headers["X-Vault-Namespace"] = settings.vault_namespace
        try:
            answer = httpx2.get(
                f"{url}/v1/{mount}/data/{path}", headers=headers, timeout=settings.vault_timeout,
                follow_redirects=False,
            )  # fmt: skip
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            why = f"Vault does not answer: {type(error).__name__}"  # its text may hold the address with a password
            with self._lock:
                self._away = (time.monotonic() + _AWAY_S, why)
            raise UnavailableError(why) from None
        return _data(answer)


def _token(settings: Settings) -> str:
    if settings.vault_token_file is not None:
        try:
            return settings.vault_token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise UnavailableError(f"the file of {PREFIX}VAULT_TOKEN_FILE cannot be read") from None
    token = settings.vault_token.get_secret_value()
    if not token or not token.isascii() or not token.isprintable():
        raise UnavailableError(f"there is no token for Vault: {PREFIX}VAULT_TOKEN or VAULT_TOKEN_FILE")
    return token


def _data(answer: Any) -> dict[str, Any]:
    if answer.status_code in (400, 403):
        raise UnavailableError(f"Vault refuses the token ({answer.status_code}), or it may not read this path")
    if answer.status_code == 404:
        raise UnavailableError("Vault has no such secret, or its newest version is deleted")
    if answer.status_code != 200:
        raise UnavailableError(f"Vault answers {answer.status_code}")
    try:
        data = answer.json()["data"]["data"]
    except (ValueError, KeyError, TypeError):
        data = None
    if not isinstance(data, dict):
        raise UnavailableError("what answers is no KV version 2 of Vault")
    return data
