"""Recurrence rules of RFC 5545 (`FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17;BYMINUTE=0`) in a time zone. Pure.

From daily on: what happens more often is a cron expression or an interval. What a rule does not name, hour and minute
too, is that of the schedule's beginning; seconds are 0. A time that a clock change skips happens right after it, one
that occurs twice once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

from hub.errors import UsageError
from hub.types import SECOND, Micros

YEARS = timedelta(days=50 * 366)
MAX_COUNT = 10_000
_AROUND = timedelta(hours=3)
"""Farther than any clock change: local times are looked at from so much before."""
_FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY")
_PARTS = frozenset({
    "FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY", "BYSETPOS",
    "BYHOUR", "BYMINUTE", "BYSECOND",
})  # fmt: skip
_MOST = {"BYHOUR": 24, "BYMINUTE": 12, "BYSECOND": 1}
"""How many times of a day one rule may name."""
_RULE = re.compile(r"(?:RRULE:)?([A-Z]+=[A-Z0-9,+-]+(?:;[A-Z]+=[A-Z0-9,+-]+)*)\Z")


def check(spec: str, zone: ZoneInfo) -> None:
    """Refuse a rule that is none, or of which nothing comes. Raises UsageError."""
    found = _RULE.match(spec.upper())
    if found is None:
        raise _wrong(spec, "it is no list of NAME=VALUE, separated by semicolons")
    said = dict(part.split("=", 1) for part in found[1].split(";"))
    if strange := sorted(set(said) - _PARTS):
        raise _wrong(spec, f"{strange[0]} is no part of a rule")
    if said.get("FREQ") not in _FREQUENCIES:
        raise _wrong(spec, f"FREQ must be one of {', '.join(_FREQUENCIES)}")
    for name, most in _MOST.items():
        if said.get(name, "").count(",") >= most:
            raise _wrong(spec, f"{name} names more than {most}")
    count = said.get("COUNT", "1")
    if not (count.isdecimal() and 0 < int(count) <= MAX_COUNT):
        raise _wrong(spec, f"COUNT must be 1 to {MAX_COUNT}")
    if said.get("UNTIL", "").endswith("Z"):
        raise _wrong(spec, "UNTIL is told in the schedule's time zone, without a Z")
    try:
        first = next(times(spec, zone, start=1_767_225_600 * SECOND, after=0), None)
    except (ValueError, TypeError, OverflowError) as error:
        raise _wrong(spec, str(error)[:100]) from None
    if first is None and "UNTIL" not in said:
        raise UsageError(f"{spec[:100]!r} names a time that never comes")


def times(spec: str, zone: ZoneInfo, *, start: Micros, after: Micros) -> Iterator[Micros]:
    """The times later than `after` of a rule that begins at `start`, for fifty years."""
    begin = _local(start, zone).replace(second=0)
    from_ = max(_local(after, zone), begin)
    rule = _rule(spec, begin, from_ + YEARS)
    for moment in rule.xafter(from_ - _AROUND, inc=True):
        at = int(moment.replace(tzinfo=zone).timestamp()) * SECOND
        if at > after:
            yield at


def goes_on_from_any(spec: str) -> bool:
    """Whether a rule may be read from any time of it: it counts none and takes no hour from its beginning, which a
    clock change may have moved.
    """
    said = spec.upper()
    return "COUNT=" not in said and "BYHOUR=" in said and "BYMINUTE=" in said


def _rule(spec: str, begin: datetime, horizon: datetime) -> rrule:
    found = rrulestr(spec.upper(), dtstart=begin)
    assert isinstance(found, rrule)
    if "COUNT=" in spec.upper() or "UNTIL=" in spec.upper():
        return found
    return found.replace(until=horizon)


def _local(at: Micros, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at // SECOND, zone).replace(tzinfo=None, fold=0)


def _wrong(spec: str, why: str) -> UsageError:
    hint = "For example FREQ=WEEKLY;BYDAY=MO,WE;BYHOUR=9;BYMINUTE=0"
    return UsageError(f"{spec[:100]!r} is not a recurrence rule: {why}", hint=hint)
