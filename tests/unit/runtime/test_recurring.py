"""Recurrence rules: in the zone's own time, from any time that is known, and nothing that never ends."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hub.errors import UsageError
from hub.runtime import calendar, recurring
from hub.types import SECOND

BERLIN = "Europe/Berlin"


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


def shown(when: int | None, zone: str = BERLIN) -> str:
    assert when is not None
    return datetime.fromtimestamp(when / SECOND, ZoneInfo(zone)).strftime("%a %Y-%m-%d %H:%M")


def schedule(spec: str, zone: str = BERLIN, begin: str = "2026-01-05T10:20:30+00:00", **more: Any) -> dict[str, Any]:
    return {"kind": "rrule", "spec": spec, "timezone": zone, "anchor_at": at(begin), "created_at": 0, **more}


def first(spec: str, count: int, after: str, **more: Any) -> list[str]:
    plan, now, found = schedule(spec, **more), at(after), []
    for _ in range(count):
        following = calendar.next_time(plan, after=now)
        assert following is not None
        plan["next_at"] = now = following
        found.append(shown(now))
    return found


def test_a_rule_happens_in_its_zone_on_both_sides_of_a_clock_change() -> None:
    assert first("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17;BYMINUTE=0", 3, "2026-03-01T00:00:00+00:00") == [
        "Fri 2026-03-27 17:00", "Fri 2026-04-24 17:00", "Fri 2026-05-29 17:00",
    ]  # fmt: skip
    assert first("RRULE:FREQ=DAILY;BYHOUR=2;BYMINUTE=30", 3, "2026-03-28T00:00:00+00:00") == [
        "Sat 2026-03-28 02:30", "Sun 2026-03-29 03:30", "Mon 2026-03-30 02:30",
    ]  # fmt: skip
    twice = first("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", 2, "2026-10-24T12:00:00+00:00")
    assert twice == ["Sun 2026-10-25 02:30", "Mon 2026-10-26 02:30"], "an hour that comes twice counts once"


def test_what_a_rule_does_not_name_is_that_of_its_beginning() -> None:
    found = first("freq=weekly;interval=2", 3, "2026-01-05T10:20:30+00:00")
    assert found == ["Mon 2026-01-19 11:20", "Mon 2026-02-02 11:20", "Mon 2026-02-16 11:20"]


@pytest.mark.parametrize(
    "spec", ["FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE;BYHOUR=9;BYMINUTE=0,30", "FREQ=YEARLY;INTERVAL=3;BYHOUR=1;BYMINUTE=0"]
)
def test_it_may_be_read_from_any_time_that_is_known(spec: str) -> None:
    plan, zone = schedule(spec), ZoneInfo(BERLIN)
    whole = list(islice(recurring.times(spec, zone, start=plan["anchor_at"], after=plan["anchor_at"]), 12))
    for known, following in pairwise(whole):
        assert calendar.next_time({**plan, "next_at": known}, after=known) == following
    assert calendar.last_time({**plan, "next_at": whole[0]}, first=whole[0], until=whole[7] + 1) == whole[7]
    assert calendar.last_time({**plan, "next_at": whole[0]}, first=whole[0], until=whole[0] + 1) == whole[0]


def test_a_rule_that_is_counted_or_dated_ends() -> None:
    plan = schedule("FREQ=DAILY;COUNT=3;BYHOUR=9;BYMINUTE=0", next_at=at("2026-01-07T08:00:00+00:00"))
    assert shown(calendar.next_time(plan, after=at("2026-01-07T08:00:00+00:00"))) == "Thu 2026-01-08 09:00"
    assert calendar.next_time(plan, after=at("2026-01-08T09:00:00+00:00")) is None
    until = schedule("FREQ=DAILY;UNTIL=20260107T235959;BYHOUR=9;BYMINUTE=0")
    assert calendar.next_time(until, after=at("2026-01-07T09:00:00+00:00")) is None


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("0 9 * * *", "no list"),
        ("DTSTART:20260101T000000\nRRULE:FREQ=DAILY", "no list"),
        ("FREQ=DAILY;BYEASTER=0", "no part"),
        ("FREQ=HOURLY", "FREQ must be"),
        ("BYHOUR=9", "FREQ must be"),
        ("FREQ=DAILY;BYMINUTE=0,1,2,3,4,5,6,7,8,9,10,11,12", "more than 12"),
        ("FREQ=DAILY;BYSECOND=0,1", "more than 1"),
        ("FREQ=DAILY;COUNT=100000", "COUNT"),
        ("FREQ=DAILY;COUNT=0", "COUNT"),
        ("FREQ=DAILY;BYHOUR=99", "not a recurrence rule"),
        ("FREQ=DAILY;BYDAY=XX", "not a recurrence rule"),
        ("FREQ=DAILY;COUNT=x", "COUNT must be"),
        ("FREQ=DAILY;UNTIL=20260101T000000Z", "without a Z"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never comes"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=31", "never comes"),
    ],
)
def test_what_can_never_be_planned_is_refused(spec: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        calendar.check("rrule", spec, BERLIN)


def test_a_rule_far_from_its_beginning_is_planned() -> None:
    plan = schedule("FREQ=WEEKLY;BYDAY=SU;BYHOUR=0;BYMINUTE=0", "UTC", "2001-01-01T00:00:00+00:00")
    assert shown(calendar.next_time(plan, after=at("2026-11-27T00:00:00+00:00")), "UTC") == "Sun 2026-11-29 00:00"
    assert datetime.fromtimestamp(0, UTC).year == 1970
