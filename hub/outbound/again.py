"""When something that could not be delivered is tried again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_WAIT_S = 86_400.0


def next_delay(delays: Sequence[float], attempt: int, *, retry_after: float | None, spread: float) -> float | None:
    """Seconds until the next attempt after number `attempt`; None when it was the last.

    Up to 20 % is added (`spread` 0 to 1) so that what failed together does not return together; a Retry-After is never
    undercut.
    """
    if attempt > len(delays):
        return None
    wanted = max(delays[attempt - 1], min(retry_after or 0.0, LONGEST_WAIT_S))
    return wanted * (1 + 0.2 * spread)


def retry_after(text: str | None, *, now: datetime | None = None) -> float | None:
    """The seconds that a header Retry-After asks for, as a number or a date; None where it says neither."""
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if at.tzinfo is None:
        return None
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())
