"""Secrets that this process knows, kept out of what it writes about itself: its log and the errors of plugins."""

from __future__ import annotations

import threading
from collections.abc import Iterable

SHORTEST = 4
"""A shorter secret would take pieces out of ordinary words, and is none."""
_lock = threading.Lock()
_known: tuple[str, ...] = ()


def register(secrets: Iterable[str]) -> None:
    """Know these from now on."""
    global _known
    with _lock:
        new = {secret for secret in secrets if len(secret) >= SHORTEST}
        if not new <= set(_known):
            # Longest first: of two secrets one may be a part of the other.
            _known = tuple(sorted(new | set(_known), key=len, reverse=True))


def redacted(text: str) -> str:
    """The text with `***` in the place of every known secret."""
    for secret in _known:
        if secret in text:
            text = text.replace(secret, "***")
    return text
