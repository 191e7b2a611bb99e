"""Windows, thresholds and cool-down, without a store."""

from __future__ import annotations

import pytest
from hub.runtime.counting import MOST_KEPT, Seen, Trigger, Verdict, Window, count, is_overdue, miss
from hub.types import SECOND


def fed(trigger: Trigger, *seen: tuple[int, str], window: Window | None = None) -> tuple[list[Verdict], Window]:
    """Feed events given as second and kind (e: expected, a: opens, b: both)."""
    window, found = window or Window(), []
    for number, (second, kind) in enumerate(seen):
        event = Seen(f"e{number}", second * SECOND, kind in "eb", kind in "ab")
        verdict, window = count(trigger, window, event)
        found.append(verdict)
    return found, window


def outcomes(found: list[Verdict]) -> list[str]:
    return [verdict.outcome for verdict in found]


def test_it_fires_when_enough_came_in_time_and_ignores_the_rest_of_the_window() -> None:
    found, _ = fed(Trigger(threshold=3, within=10 * SECOND), (0, "e"), (4, "e"), (9, "e"), (9, "e"), (10, "e"))
    assert outcomes(found) == ["counted", "counted", "fired", "filtered", "counted"]
    assert found[2].events == ("e0", "e1", "e2")
    assert found[2].reason == "3 of 3 within 10 s"
    assert "has fired in this window" in found[3].reason
    assert found[4].reason.startswith("1 of 3")


def test_a_window_that_ends_short_counts_anew() -> None:
    found, _ = fed(Trigger(threshold=2, within=10 * SECOND), (0, "e"), (10, "e"), (19, "e"))
    assert outcomes(found) == ["counted", "counted", "fired"]
    assert found[2].events == ("e1", "e2")


def test_after_opens_the_window_and_does_not_count() -> None:
    trigger = Trigger(after=("a",), within=10 * SECOND)
    found, _ = fed(trigger, (0, "e"), (1, "a"), (2, "a"), (3, "e"), (12, "e"))
    assert outcomes(found) == ["filtered", "counted", "filtered", "fired", "filtered"]
    assert found[3].events == ("e1", "e3")
    both, _ = fed(trigger, (0, "b"), (1, "b"))
    assert outcomes(both) == ["counted", "fired"]


def test_cool_down_rests_after_a_firing() -> None:
    found, _ = fed(Trigger(cool_down=60 * SECOND), (0, "e"), (59, "e"), (60, "e"), (61, "e"))
    assert outcomes(found) == ["fired", "cooled_down", "fired", "cooled_down"]
    assert "rests until 1970-01-01T00:01:00" in found[1].reason


def test_an_absence_is_the_end_of_a_window_in_which_too_few_came() -> None:
    trigger = Trigger(is_proactive=True, after=("a",), within=10 * SECOND, threshold=2)
    found, window = fed(trigger, (0, "a"), (5, "e"))
    assert outcomes(found) == ["counted", "counted"]
    assert not is_overdue(trigger, window, 10 * SECOND - 1)
    assert is_overdue(trigger, window, 10 * SECOND)
    verdict, after = miss(trigger, window)
    assert (verdict.outcome, verdict.events) == ("fired", ("e0", "e1"))
    assert verdict.reason.startswith("1 of 2 came between 1970-01-01T00:00:00")
    assert after.opened_at is None


def test_what_comes_in_time_ends_the_wait_or_begins_the_next_one() -> None:
    once = Trigger(is_proactive=True, after=("a",), within=10 * SECOND)
    found, window = fed(once, (0, "a"), (9, "e"))
    assert found[1].reason.startswith("it came in time")
    assert window.opened_at is None
    heartbeat = Trigger(is_proactive=True, within=10 * SECOND)
    _, window = fed(heartbeat, (0, "e"), (9, "e"), (18, "e"))
    assert (window.opened_at, window.until_at, window.count) == (18 * SECOND, 28 * SECOND, 0)


def test_a_window_remembers_its_first_event_and_the_last_ones() -> None:
    trigger = Trigger(threshold=10_000, within=1_000 * SECOND)
    _, window = fed(trigger, *[(0, "e")] * 300)
    assert window.count == 300
    assert len(window.events) == MOST_KEPT
    assert (window.events[0], window.events[1], window.events[-1]) == ("e0", "e201", "e299")


@pytest.mark.parametrize("stored", [{}, {"kind": "event", "types": [], "match": ""}, {"types": ["a"]}])
def test_what_older_hubs_have_stored_is_a_plain_trigger(stored: dict[str, object]) -> None:
    assert Trigger.of(stored).is_plain
