"""Times and numbers in words. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeAlias

Moment: TypeAlias = datetime
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def moment(text: object) -> Moment | None:
    """A time as RFC 3339 writes it, in UTC; None where it is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def spoken(seconds: float) -> str:
    """A length of time by its two largest units: `2 h 5 min`, `45 s`, `0.3 s`."""
    if not abs(seconds) < 1e12:
        return f"{seconds} s"
    sign, rest = ("-" if seconds < 0 else ""), abs(seconds)
    if rest < 10:
        return f"{sign}{round(rest, 1):g} s"
    rest = round(rest)
    parts: list[tuple[int, str]] = []
    for size, unit in _UNITS:
        many, rest = divmod(rest, size)
        if many or parts:
            parts.append((many, unit))
    return sign + " ".join(f"{many} {unit}" for many, unit in parts[:2] if many)


def counted(number: int, one: str, many: str = "") -> str:
    """A number and what it counts: `1 run`, `1,234 runs`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
