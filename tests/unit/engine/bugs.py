"""Bugs put into the rules on purpose, one function each: the state machine must find every one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hub.engine import rules
from hub.engine.run import (
    Cancel,
    Claim,
    Complete,
    Dispatch,
    Fail,
    Lose,
    MarkLate,
    Pause,
    Redispatch,
    Reject,
    Release,
    Resume,
    Run,
    Suspend,
    Transition,
    Wait,
    Wake,
)
from hub.states import MOVES, State, StateType

S = StateType
Patch = Callable[[pytest.MonkeyPatch], None]


def _instead(patch: pytest.MonkeyPatch, kind: type, rule: Callable[..., Any]) -> None:
    patch.setitem(rules._RULES, kind, rule)


def _changed(patch: pytest.MonkeyPatch, kind: type, **more: Any) -> None:
    """The real rule's transition with some fields changed."""
    real = rules._RULES[kind]

    def rule(run: Run, signal: Any, now: int) -> Any:
        made = real(run, signal, now)
        return replace(made, **more) if isinstance(made, Transition) else made

    _instead(patch, kind, rule)


def _any_move(patch: pytest.MonkeyPatch) -> None:
    """Without the table's own check, which would stop some bugs before a run sees them."""
    patch.setattr(rules, "MOVES", dict.fromkeys(MOVES, frozenset(StateType)))


def final_states_are_not_final(patch: pytest.MonkeyPatch) -> None:
    """A run that has ended starts again."""
    _any_move(patch)
    patch.setattr(rules, "TERMINAL", frozenset())


def stale_reports_are_obeyed(patch: pytest.MonkeyPatch) -> None:
    """A zombie ends the attempt of another child."""
    patch.setattr(rules, "_stale", lambda _run, _signal: None)


def epochs_are_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    """Two doorbells of one attempt are both answered."""
    real = rules._stale
    patch.setattr(
        rules, "_stale", lambda run, signal: real(replace(run, epoch=getattr(signal, "epoch", run.epoch)), signal)
    )


def a_claim_is_taken_twice(patch: pytest.MonkeyPatch) -> None:
    """Two children execute one attempt."""
    _any_move(patch)

    def claimed(run: Run, _signal: Claim, _now: int) -> Transition:
        return rules._move(run, State(S.RUNNING, "Running"), "started", attempt_move="claim", started=True)

    _instead(patch, Claim, claimed)


def retries_are_not_counted(patch: pytest.MonkeyPatch) -> None:
    """A flow that always fails is retried for ever."""
    real = rules.awaiting_retry
    patch.setattr(rules, "awaiting_retry", lambda *given: replace(real(*given), changes={}))


def hopeless_failures_are_retried(patch: pytest.MonkeyPatch) -> None:
    """What its author called final is tried again."""
    real = rules.failed
    _instead(patch, Fail, lambda run, signal, now: real(run, replace(signal, retryable=True), now))


def retries_do_not_wait(patch: pytest.MonkeyPatch) -> None:
    """The delay is forgotten."""
    real = rules.awaiting_retry
    patch.setattr(rules, "awaiting_retry", lambda run, signal, now: replace(real(run, signal, now), due_at=now))


def the_budget_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A run is retried for days when minutes were allowed."""
    patch.setattr(rules, "_affordable", lambda _run, _waiting, _now: True)


def crashes_are_not_counted(patch: pytest.MonkeyPatch) -> None:
    """A flow that kills its process is started for ever."""
    _changed(patch, Lose, changes={})


def a_crash_too_many(patch: pytest.MonkeyPatch) -> None:
    """One crash retry more than allowed."""
    real = rules.lost

    def lost(run: Run, signal: Lose, now: int) -> Any:
        made = real(replace(run, crash_retries=run.crash_retries + 1), signal, now)
        return replace(made, before=run) if isinstance(made, Transition) else made

    _instead(patch, Lose, lost)


def going_home_costs_a_crash(patch: pytest.MonkeyPatch) -> None:
    """Every restart of a worker brings its runs nearer to CRASHED."""
    real = rules.released

    def released(run: Run, signal: Release, now: int) -> Any:
        made = real(run, signal, now)
        spent = isinstance(made, Transition) and made.state.name == "Recovering"
        return replace(made, changes={"crashes": run.crashes + 1}) if spent else made

    _instead(patch, Release, released)


def a_lost_attempt_keeps_its_slot(patch: pytest.MonkeyPatch) -> None:
    """Slots leak until nothing can be dispatched."""
    _changed(patch, Lose, attempt_move=None)


def a_late_run_keeps_its_slot(patch: pytest.MonkeyPatch) -> None:
    """The same, for runs that nobody could take."""
    _changed(patch, MarkLate, attempt_move=None)


def cancelled_before_it_stopped(patch: pytest.MonkeyPatch) -> None:
    """CANCELLED is hoped for, not confirmed."""
    _instead(patch, Cancel, lambda run, signal, _now: rules._cancelled(run, signal.message))


def finishing_undoes_a_cancel(patch: pytest.MonkeyPatch) -> None:
    """COMPLETED after a cancel was accepted."""
    _any_move(patch)

    def completed(run: Run, signal: Complete, _now: int) -> Transition:
        return rules._end(run, State(S.COMPLETED, signal.name), "completed")

    _instead(patch, Complete, completed)


def a_lost_run_forgets_its_cancel(patch: pytest.MonkeyPatch) -> None:
    """Killed while cancelling, it is started again."""
    _any_move(patch)
    real = rules.lost
    _instead(patch, Lose, lambda run, signal, now: real(replace(run, state=State(S.RUNNING, "Running")), signal, now))


def attempts_keep_their_number(patch: pytest.MonkeyPatch) -> None:
    """The next attempt cannot be told from the last."""
    real = rules.dispatched

    def dispatched(run: Run, signal: Dispatch, now: int) -> Any:
        made = real(run, signal, now)
        return replace(made, attempt=max(1, run.attempt)) if isinstance(made, Transition) else made

    _instead(patch, Dispatch, dispatched)


def doorbells_keep_their_number(patch: pytest.MonkeyPatch) -> None:
    """The message that came late is as good as the new one."""
    real = rules.redispatched

    def redispatched(run: Run, signal: Redispatch, now: int) -> Any:
        made = real(run, signal, now)
        return replace(made, epoch=run.epoch) if isinstance(made, Transition) else made

    _instead(patch, Redispatch, redispatched)


def paused_runs_are_dispatched(patch: pytest.MonkeyPatch) -> None:
    """A pause that holds nothing."""
    _any_move(patch)
    real = rules.dispatched

    def dispatched(run: Run, signal: Dispatch, now: int) -> Any:
        waits = run.state.type in (S.SCHEDULED, S.PAUSED)
        made = real(replace(run, state=State(S.SCHEDULED, "Scheduled")) if waits else run, signal, now)
        return replace(made, before=run) if isinstance(made, Transition) else made

    _instead(patch, Dispatch, dispatched)


def running_runs_can_be_paused(patch: pytest.MonkeyPatch) -> None:
    """Paused, and executing all the same."""
    _any_move(patch)
    _instead(patch, Pause, lambda run, signal, _now: rules._move(run, State(S.PAUSED, "Paused"), "paused"))


def resuming_skips_the_queue(patch: pytest.MonkeyPatch) -> None:
    """A resumed run says it runs; nobody runs it."""
    _any_move(patch)
    _changed(patch, Resume, state=State(S.RUNNING, "Running"))


def time_outs_are_failures_like_others(patch: pytest.MonkeyPatch) -> None:
    """TimedOut is told nowhere."""
    real = rules.failed
    _instead(patch, Fail, lambda run, signal, now: real(run, replace(signal, timed_out=False), now))


def rejected_runs_are_tried_again(patch: pytest.MonkeyPatch) -> None:
    """Parameters that are wrong stay wrong."""
    _any_move(patch)

    def rejected(run: Run, signal: Reject, now: int) -> Any:
        return rules._move(run, State(S.SCHEDULED, "Recovering"), "lost", attempt_move="end", due_at=now)

    _instead(patch, Reject, rejected)


def sleeping_costs_a_retry(patch: pytest.MonkeyPatch) -> None:
    """A flow that sleeps often enough has no retries left."""
    real = rules.suspended

    def suspended(run: Run, signal: Suspend, now: int) -> Any:
        made = real(run, signal, now)
        return replace(made, changes={"retries_used": run.retries_used + 1}) if isinstance(made, Transition) else made

    _instead(patch, Suspend, suspended)


def a_sleeper_keeps_its_slot(patch: pytest.MonkeyPatch) -> None:
    """Sleeping runs block the workers that they left."""
    _changed(patch, Suspend, attempt_move=None)


def sleepers_wake_at_once(patch: pytest.MonkeyPatch) -> None:
    """A sleep of a week ends in the next second."""
    real = rules.suspended
    _instead(patch, Suspend, lambda run, signal, now: real(run, replace(signal, due_at=signal.due_at and now), now))


def a_sleeper_forgets_its_cancel(patch: pytest.MonkeyPatch) -> None:
    """Cancelled while it left, it comes back."""
    _any_move(patch)
    real = rules.suspended

    def suspended(run: Run, signal: Suspend, now: int) -> Any:
        made = real(replace(run, state=State(S.RUNNING, "Running")), signal, now)
        return replace(made, before=run)

    _instead(patch, Suspend, suspended)


def what_came_too_early_is_waited_for(patch: pytest.MonkeyPatch) -> None:
    """Answered while it was leaving, it waits for ever."""
    real = rules.suspended

    def suspended(run: Run, signal: Suspend, now: int) -> Any:
        return real(run, replace(signal, due_at=None) if signal.why == "wait" else signal, now)

    _instead(patch, Suspend, suspended)


def waiting_in_place_gives_the_slot_back(patch: pytest.MonkeyPatch) -> None:
    """More runs execute than there are slots."""
    _changed(patch, Wait, attempt_move="end")


def the_woken_sleep_on(patch: pytest.MonkeyPatch) -> None:
    """Who waits for what was cancelled waits until it would have come."""
    _changed(patch, Wake, due_at=None)


ALL: list[Patch] = [
    final_states_are_not_final, stale_reports_are_obeyed, epochs_are_not_looked_at, a_claim_is_taken_twice,
    retries_are_not_counted, hopeless_failures_are_retried, retries_do_not_wait, the_budget_is_forgotten,
    crashes_are_not_counted,
    a_crash_too_many, going_home_costs_a_crash, a_lost_attempt_keeps_its_slot, a_late_run_keeps_its_slot,
    cancelled_before_it_stopped, finishing_undoes_a_cancel, a_lost_run_forgets_its_cancel, attempts_keep_their_number,
    doorbells_keep_their_number, paused_runs_are_dispatched, running_runs_can_be_paused, resuming_skips_the_queue,
    time_outs_are_failures_like_others, rejected_runs_are_tried_again, sleeping_costs_a_retry,
    a_sleeper_keeps_its_slot, sleepers_wake_at_once, a_sleeper_forgets_its_cancel, what_came_too_early_is_waited_for,
    waiting_in_place_gives_the_slot_back, the_woken_sleep_on,
]  # fmt: skip
