"""Secrets that this process knows, kept out of what it writes about itself and of what leaves for a plane.

A secret is recognised as it is and as it is commonly written down: JSON-escaped, URL-quoted, in base64.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

SHORTEST = 4
"""A shorter secret would take pieces out of ordinary words, and is none."""
BLOT = "***"
_SHORTEST_BASE64 = 6
"""Characters of a piece of base64 that a secret makes for certain; shorter ones stand in ordinary text."""
_SECRET_NAME = re.compile(
    r"passw(or)?d|passphrase|secret|token|api_?key|private_?key|access_?key|credential|authorization|cookie", re.I
)
_lock = threading.Lock()
_known: tuple[str, ...] = ()


def register(secrets: Iterable[str]) -> None:
    """Know these from now on."""
    global _known
    with _lock:
        new = {form for secret in secrets if len(secret) >= SHORTEST for form in forms(secret)}
        if not new <= set(_known):
            _known = _ordered(new | set(_known))


def redacted(text: str) -> str:
    """The text with `***` in the place of every known secret."""
    return without(text, _known)


def holds(data: bytes | None) -> bool:
    """Whether a known secret stands in these bytes."""
    if not data or not _known:
        return False
    return any(secret.encode("utf-8", "surrogatepass") in data for secret in _known)


def needles(secrets: Iterable[str]) -> tuple[str, ...]:
    """What to look for so as to find these secrets, and those that this process knows, however they are written."""
    return _ordered({form for secret in secrets if len(secret) >= SHORTEST for form in forms(secret)} | set(_known))


def without(text: str, found: tuple[str, ...]) -> str:
    """The text with `***` in the place of each needle."""
    for needle in found:
        if needle in text:
            text = text.replace(needle, BLOT)
    return text


def blotted(value: Any, found: tuple[str, ...], name: str = "") -> Any:
    """JSON without needles in its texts, keys and numbers, and without texts whose `name` is one for secrets."""
    if isinstance(value, dict):
        return {without(key, found): blotted(item, found, key) for key, item in value.items()}
    if isinstance(value, list):
        return [blotted(item, found, name) for item in value]
    if isinstance(value, str):
        return BLOT if value and _SECRET_NAME.search(name) else without(value, found)
    if isinstance(value, bool) or value is None:
        return value
    return BLOT if without(str(value), found) != str(value) else value


@lru_cache(maxsize=1024)
def forms(secret: str) -> frozenset[str]:
    """A secret as it is, JSON-escaped, URL-quoted, and what it is made of in base64 wherever it begins in there."""
    raw = secret.encode("utf-8", "surrogatepass")
    found = {secret, json.dumps(secret)[1:-1], quote(raw, safe=""), quote_plus(raw), quote(raw)}
    for before in range(3):
        # A character of base64 stands for six bits: those at either end that are not the secret's own are left out.
        start, end = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            piece = encode(b"\0" * before + raw)[start:end].decode()
            if len(piece) >= _SHORTEST_BASE64:
                found.add(piece)
    return frozenset(found)


def _ordered(found: set[str]) -> tuple[str, ...]:
    # Longest first: of two secrets one may be a part of the other.
    return tuple(sorted(found, key=lambda one: (-len(one), one)))
