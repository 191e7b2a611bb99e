"""Versions of flow control with a bug: the properties find out each of them."""

from __future__ import annotations

from typing import Any

import pytest
from hub.engine import flowcontrol
from hub.runtime import admission, cancelling, throttling
from hub.store import flow_states, lanes, open_store, run_cancels

from . import test_flow_control_properties as properties

DAY = properties.DAY


def windows_that_slide(patch: pytest.MonkeyPatch) -> None:
    real = flowcontrol.let_through

    def slides(window: Any, limit: int, period: int, now: int) -> Any:
        passes, after = real(window, limit, period, now)
        return passes, flowcontrol.Window(now, after.count) if passes else after

    patch.setattr(flowcontrol, "let_through", slides)


def one_more_than_the_limit(patch: pytest.MonkeyPatch) -> None:
    real = flowcontrol.let_through
    patch.setattr(flowcontrol, "let_through", lambda window, limit, *rest: real(window, limit + 1, *rest))


def a_debounce_that_never_ends(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(flowcontrol, "quiet_until", lambda _opened, period, _timeout, now: now + period)


def a_debounce_that_nobody_prolongs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(flowcontrol, "quiet_until", lambda opened, period, _timeout, _now: opened + period)


def the_first_counts(patch: pytest.MonkeyPatch) -> None:
    real = admission.runs.revise

    def keeps(tx: Any, scope: Any, seen: Any, values: Any) -> bool:
        return real(tx, scope, seen, {**values, "parameters": seen["parameters"]})

    patch.setattr(admission.runs, "revise", keeps)


def a_batch_of_one_too_many(patch: pytest.MonkeyPatch) -> None:
    real = flowcontrol.is_full
    patch.setattr(flowcontrol, "is_full", lambda count, size, most: real(count, size, most + 1))


def all_are_batched(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(admission, "is_batched", lambda *_: True)


def keys_are_not_told_apart(patch: pytest.MonkeyPatch) -> None:
    real = flow_states.hold
    patch.setattr(flow_states, "hold", lambda tx, scope, owner, control, _key: real(tx, scope, owner, control, ""))


def who_ended_is_active(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(admission, "TERMINAL", ())


def a_key_lasts_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(flowcontrol, "IDEMPOTENCY_WINDOW", 100 * DAY)


def no_burst(patch: pytest.MonkeyPatch) -> None:
    real = flowcontrol.start_at
    patch.setattr(flowcontrol, "start_at", lambda free, limit, period, _burst, now: real(free, limit, period, 1, now))


def starts_are_not_counted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(throttling.flowcontrol, "start_at", lambda free_at, *_: (0, free_at))


def an_event_is_looked_at_for_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cancelling, "compile_expression", lambda *_: Always())


class Always:
    def matches(self, _variables: Any) -> bool:
        return True


def older_events_count(patch: pytest.MonkeyPatch) -> None:
    real = run_cancels.add

    def add(tx: Any, scope: Any, run_id: Any, rows: Any) -> None:
        real(tx, scope, run_id, [{**row, "after_seq": 0} for row in rows])

    patch.setattr(run_cancels, "add", add)


def what_was_passed_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    real = run_cancels.add

    def add(tx: Any, scope: Any, run_id: Any, rows: Any) -> None:
        real(tx, scope, run_id, [{**row, "caught_up": True, "after_seq": 1 << 40} for row in rows])

    patch.setattr(run_cancels, "add", add)


def no_limit_of_lanes(patch: pytest.MonkeyPatch) -> None:

    patch.setattr(lanes, "_FULL", "SELECT '' WHERE 1 = 0")


BUGS = [
    (windows_that_slide, properties.test_rate_limit),
    (one_more_than_the_limit, properties.test_rate_limit),
    (keys_are_not_told_apart, properties.test_rate_limit),
    (a_debounce_that_never_ends, properties.test_debounce),
    (a_debounce_that_nobody_prolongs, properties.test_debounce),
    (the_first_counts, properties.test_debounce),
    (a_batch_of_one_too_many, properties.test_batch),
    (all_are_batched, properties.test_batch),
    (keys_are_not_told_apart, properties.test_singleton),
    (who_ended_is_active, properties.test_singleton),
    (a_key_lasts_for_ever, properties.test_idempotency),
    (no_burst, properties.test_throttle),
    (starts_are_not_counted, properties.test_throttle),
    (no_limit_of_lanes, properties.test_concurrency),
    (an_event_is_looked_at_for_all, properties.test_cancel_on),
    (older_events_count, properties.test_cancel_on),
    (what_was_passed_is_forgotten, properties.test_cancel_on),
]


@pytest.mark.parametrize(("bug", "test"), BUGS, ids=[f"{test.__name__[5:]}-{bug.__name__}" for bug, test in BUGS])
def test_a_version_with_a_bug_is_found_out(monkeypatch: pytest.MonkeyPatch, bug: Any, test: Any) -> None:
    store = open_store("sqlite://")
    store.migrate()
    bug(monkeypatch)
    with pytest.raises(AssertionError):
        test.hasty(store=store)
    store.close()
