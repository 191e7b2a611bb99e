"""Spans of time in a few words."""

from __future__ import annotations

from hub.types import SECOND, Micros

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def span(length: Micros) -> str:
    """`2 d 3 h`, `5 min`, `40 s`: the two largest units that say something."""
    seconds = max(int(length / SECOND), 0)
    parts = []
    for size, name in _UNITS:
        if seconds >= size:
            parts.append(f"{seconds // size} {name}")
            seconds %= size
    return " ".join(parts[:2]) or "0 s"
