"""Times as people type them: `2h`, `30m`, `7d` ago, or RFC 3339."""

from __future__ import annotations

import re

from hub.errors import UsageError
from hub.types import SECOND, from_rfc3339, now_us, rfc3339

_AGO = re.compile(r"(\d{1,6})([smhd])\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def span(text: str | None) -> int | None:
    """Seconds of a length of time typed by a person (`90s`, `30m`, `2h`, `7d`); `off` is 0, None stays None.

    Raises UsageError.
    """
    if text is None or text == "off":
        return None if text is None else 0
    found = _AGO.match(text)
    if found is None:
        raise UsageError(f"{text!r} is no length of time.", hint="Write 90s, 30m, 2h or 7d, or off.")
    return int(found[1]) * _SECONDS[found[2]]


def span_text(seconds: int) -> str:
    """A length of time as a person types it, in the largest unit that says it exactly; `off` for 0."""
    units = sorted(_SECONDS.items(), key=lambda unit: -unit[1])
    return next((f"{seconds // size}{unit}" for unit, size in units if seconds % size == 0), "") if seconds else "off"


def moment(text: str | None, *, now: int | None = None) -> str | None:
    """RFC 3339 of a time typed by a person; None stays None. Raises UsageError."""
    if text is None:
        return None
    ago = _AGO.match(text)
    if ago:
        return rfc3339((now_us() if now is None else now) - int(ago[1]) * _SECONDS[ago[2]] * SECOND)
    try:
        return rfc3339(from_rfc3339(text))
    except ValueError:
        hint = "Write 30m, 2h or 7d for so long ago, or a time like 2026-01-31T08:00:00Z."
        raise UsageError(f"{text!r} is no time.", hint=hint) from None
