from __future__ import annotations

from typing import Any

import pytest
from hub.errors import UsageError
from hub.runtime import calendar
from hub.types import SECOND, from_rfc3339, rfc3339


def cron(spec: str, zone: str = "UTC") -> dict[str, Any]:
    return {"kind": "cron", "spec": spec, "timezone": zone, "anchor_at": None, "created_at": 0}


def interval(seconds: str, *, anchor: int | None = None, created: int = 0) -> dict[str, Any]:
    return {"kind": "interval", "spec": seconds, "timezone": "UTC", "anchor_at": anchor, "created_at": created}


def times(schedule: dict[str, Any], after: str, count: int) -> list[str]:
    found, moment = [], from_rfc3339(after)
    for _ in range(count):
        at = calendar.next_time(schedule, after=moment)
        assert at is not None
        assert at > moment
        moment = at
        found.append(rfc3339(at)[:16])
    return found


def test_a_cron_time_is_that_of_its_zone() -> None:
    assert times(cron("0 8 * * *", "Europe/Berlin"), "2026-11-22T12:00:00Z", 1) == ["2026-11-23T07:00"]
    assert times(cron("0 8 * * *"), "2026-11-22T08:00:00Z", 1) == ["2026-11-23T08:00"]
    assert times(cron("*/20 * * * *"), "2026-11-22T08:00:00.5Z", 2) == ["2026-11-22T08:20", "2026-11-22T08:40"]


def test_a_time_that_the_clock_skips_happens_right_after() -> None:
    # 2026-03-29 02:30 does not exist in Berlin.
    found = times(cron("30 2 * * *", "Europe/Berlin"), "2026-03-28T12:00:00Z", 2)
    assert found == ["2026-03-29T01:00", "2026-03-30T00:30"]


def test_a_time_that_occurs_twice_happens_once() -> None:
    # 2026-10-25 02:30 occurs twice in Berlin.
    found = times(cron("30 2 * * *", "Europe/Berlin"), "2026-10-24T12:00:00Z", 2)
    assert found == ["2026-10-25T00:30", "2026-10-26T01:30"]


def test_an_interval_counts_from_its_anchor_and_does_not_drift() -> None:
    anchor = from_rfc3339("2026-01-01T00:00:10Z")
    assert times(interval("60", anchor=anchor), "2026-11-22T08:00:00Z", 2) == ["2026-11-22T08:00", "2026-11-22T08:01"]
    assert calendar.next_time(interval("60", anchor=anchor), after=anchor) == anchor + 60 * SECOND
    assert calendar.next_time(interval("60", anchor=anchor), after=anchor - 1) == anchor
    assert calendar.next_time(interval("0.5e2", created=7), after=0) == 7


def test_an_interval_whose_anchor_is_to_come_waits_for_it() -> None:
    assert calendar.next_time(interval("60", anchor=1_000 * SECOND), after=0) == 1_000 * SECOND


def test_fractions_of_a_second_do_not_lose_ticks() -> None:
    schedule = interval("1.5", created=0)
    assert calendar.next_time(schedule, after=1_499_999) == 1_500_000
    assert calendar.next_time(schedule, after=1_500_000) == 3_000_000


@pytest.mark.parametrize("spec", ["", "* * * *", "61 * * * *", "a b c d e", "0 0 31 2 *", "@reboot", "* * * * * * *"])
def test_a_cron_expression_that_is_none_is_refused(spec: str) -> None:
    with pytest.raises(UsageError):
        calendar.check("cron", spec, "UTC")


@pytest.mark.parametrize("spec", ["", "0", "-5", "0.5", "inf", "nan", "1e12", "an hour"])
def test_an_interval_that_is_none_is_refused(spec: str) -> None:
    with pytest.raises(UsageError):
        calendar.check("interval", spec, "UTC")


@pytest.mark.parametrize("zone", ["", "Mars/Base", "/etc/passwd", "../UTC", "Europe", "\x00"])
def test_a_time_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(UsageError, match="time zone"):
        calendar.check("cron", "* * * * *", zone)
