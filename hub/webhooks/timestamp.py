"""Signed times: read strictly, and compared with the clock both ways."""

from __future__ import annotations

from typing import Literal

from hub.types import SECOND, Micros, from_rfc3339
from hub.webhooks.reference import Rejected

MAX_DIGITS = 20
_UNIT = {"s": SECOND, "ms": 1000}


def read_timestamp(text: str, unit: Literal["s", "ms", "rfc3339"]) -> Micros:
    """Read a timestamp; the unit is the preset's and never guessed. Raises Rejected."""
    if unit == "rfc3339":
        return _read_rfc3339(text)
    # int() would take signs, spaces, underscores and the digits of other scripts.
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise Rejected("the timestamp is not a plain number")
    return int(text) * _UNIT[unit]


def check_window(at: Micros, now: Micros, tolerance: int) -> None:
    """Raise Rejected when `at` is more than `tolerance` seconds before or after `now`."""
    if abs(now - at) > max(tolerance, 0) * SECOND:
        side = "past" if at < now else "future"
        raise Rejected(f"the timestamp is outside the window of {tolerance} s, in the {side}")


def _read_rfc3339(text: str) -> Micros:
    if not (text.isascii() and len(text) <= 40):
        raise Rejected("the timestamp is not an RFC 3339 time")
    try:
        return from_rfc3339(text)
    except (ValueError, OverflowError):
        raise Rejected("the timestamp is not an RFC 3339 time") from None
