"""When a schedule's next planned time is. Pure: the clock comes in as an argument."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from hub.errors import UsageError
from hub.runtime import recurring
from hub.types import SECOND, Micros

MIN_INTERVAL = 1.0
MAX_INTERVAL = 366 * 86_400.0
_CLOCK_CHANGE: Micros = 3 * 3600 * SECOND


def check(kind: str, spec: str, timezone: str) -> None:
    """Refuse a schedule that could never be planned. Raises UsageError with what is wrong."""
    zone(timezone)
    if kind == "interval":
        seconds(spec)
        return
    if kind == "rrule":
        recurring.check(spec, zone(timezone))
        return
    try:
        next(CronSim(spec, datetime(2026, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        hint = "Five fields: minute hour day month weekday, for example '*/5 * * * *'."
        raise UsageError(f"{spec[:100]!r} is not a cron expression: {error}", hint=hint) from None
    except StopIteration:
        raise UsageError(f"{spec[:100]!r} names a time that never comes") from None


def next_time(schedule: Mapping[str, Any], *, after: Micros) -> Micros | None:
    """The first planned time later than `after`; None when none comes within fifty years.

    Cron times are those of the schedule's time zone: a time that a clock change skips happens right after it, one
    that occurs twice happens once. Intervals count from the anchor (or the schedule's making), so they do not drift.
    """
    if schedule["kind"] == "interval":
        step = int(seconds(schedule["spec"]) * SECOND)
        anchor = _anchor(schedule)
        return int(anchor + (max((after - anchor) // step, -1) + 1) * step)
    if schedule["kind"] == "rrule":
        begin = _begin(schedule, after)
        return next(recurring.times(schedule["spec"], zone(schedule["timezone"]), start=begin, after=after), None)
    local = datetime.fromtimestamp(after / SECOND, zone(schedule["timezone"]))
    try:
        moment = next(CronSim(schedule["spec"], local))
    except StopIteration:
        return None
    return int(moment.timestamp()) * SECOND


def last_time(schedule: Mapping[str, Any], *, first: Micros, until: Micros) -> Micros:
    """The last planned time not later than `until`; `first` is one that is known to be planned before."""
    if schedule["kind"] == "interval":
        step = int(seconds(schedule["spec"]) * SECOND)
        return first + (until - first) // step * step
    if schedule["kind"] == "rrule":
        begin = _begin(schedule, first)
        later = recurring.times(schedule["spec"], zone(schedule["timezone"]), start=begin, after=first)
        return max(takewhile(lambda at: at <= until, later), default=first)
    local = datetime.fromtimestamp(until / SECOND, zone(schedule["timezone"]))
    # Backwards is only a guess: around a clock change it may differ from the forward rule, which decides.
    guess = next(CronSim(schedule["spec"], local, reverse=True), None)
    after = first if guess is None else max(first, int(guess.timestamp()) * SECOND - _CLOCK_CHANGE)
    found = first
    while True:
        following = next_time(schedule, after=max(after - 1, found))
        if following is None or following > until:
            return found
        found = following


def _anchor(schedule: Mapping[str, Any]) -> Micros:
    return int(schedule["anchor_at"] if schedule["anchor_at"] is not None else schedule["created_at"])


def _begin(schedule: Mapping[str, Any], before: Micros) -> Micros:
    """Where a rule is read from: a time of it that is known, so that years need not be gone through, or its anchor."""
    known = schedule.get("next_at")
    if known is None or known > before or not recurring.goes_on_from_any(schedule["spec"]):
        return _anchor(schedule)
    return int(known)


def seconds(spec: str) -> float:
    """The seconds of an interval. Raises UsageError outside 1 second to 366 days."""
    try:
        value = float(spec)
    except ValueError:
        raise UsageError(f"{spec[:40]!r} is not a number of seconds", hint="For example 300.") from None
    if not MIN_INTERVAL <= value <= MAX_INTERVAL:
        raise UsageError(f"an interval is {MIN_INTERVAL:g} to {MAX_INTERVAL:g} seconds, not {value:g}")
    return value


def zone(name: str) -> ZoneInfo:
    """The time zone of that name. Raises UsageError when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = "Names are those of the IANA database, for example Europe/Berlin or UTC."
        raise UsageError(f"there is no time zone {name[:60]!r}", hint=hint) from None
