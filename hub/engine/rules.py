"""`decide`: the only code that says what a signal does to a run. One constructor per transition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from hub.engine.run import (
    Begin,
    Cancel,
    Claim,
    Complete,
    Dispatch,
    Fail,
    GoOn,
    Lose,
    MarkLate,
    Pause,
    Redispatch,
    Refusal,
    Reject,
    Release,
    Resume,
    Run,
    Signal,
    Stopped,
    Suspend,
    Transition,
    Wait,
    Wake,
)
from hub.errorclasses import ErrorClass
from hub.states import DONE, MOVES, TERMINAL, State, StateType
from hub.types import SECOND, Micros

S = StateType
# By name: an attribute of an enumeration costs ten times as much, and every task comes here twice.
_PENDING_TYPE, _RUNNING_TYPE, _CANCELLING_TYPE = S.PENDING, S.RUNNING, S.CANCELLING
_TO_BEGIN = (S.PENDING, S.SCHEDULED)
_RUNNING, _RETRYING = State(S.RUNNING, "Running"), State(S.RUNNING, "Retrying")


def decide(run: Run, signal: Signal, *, now: Micros) -> Transition | Refusal:
    """Say what `signal` does to `run` at `now`: the transition to commit, or why not."""
    kind = run.state.type
    if kind in TERMINAL:
        return _refuse(run, "already_final", f"the run is already {run.state.name}")
    made_as = type(signal)
    if made_as in _REPORTS and (stale := _stale(run, signal)) is not None:
        return stale
    answer = _RULES[made_as](run, signal, now)
    if isinstance(answer, Transition) and answer.state.type not in MOVES[kind]:
        raise AssertionError(f"rule {type(signal).__name__} left the table: {run.state.type} -> {answer.state.type}")
    return answer


# --- one constructor per transition ------------------------------------------------------------------------------


def dispatched(run: Run, signal: Dispatch, _now: Micros) -> Transition | Refusal:
    """SCHEDULED -> PENDING: an attempt is opened for a worker with a free slot."""
    if run.home == "inline":
        return _refuse(run, "not_here", "the run lives in the process that called it")
    if run.state.type is not S.SCHEDULED:
        return _wrong(run, signal)
    return Transition(
        run,
        State(S.PENDING, "Pending"),
        "dispatched",
        run.attempt + 1,
        1,
        attempt_move="open",
        worker_id=signal.worker_id,
    )


def redispatched(run: Run, signal: Redispatch, _now: Micros) -> Transition | Refusal:
    """PENDING -> PENDING: the same attempt with the next epoch; an answer to the old doorbell is stale."""
    if run.state.type is not S.PENDING:
        return _wrong(run, signal)
    return Transition(
        run,
        State(S.PENDING, "Pending", "published again: the first message was not claimed"),
        "dispatched",
        run.attempt,
        run.epoch + 1,
        attempt_move="reopen",
        worker_id=signal.worker_id,
    )


def claimed(run: Run, signal: Claim, _now: Micros) -> Transition | Refusal:
    """PENDING -> RUNNING: exactly one child wins this."""
    if run.state.type is not S.PENDING:
        return _wrong(run, signal)
    return _move(run, _running(run), "started", attempt_move="claim", started=True)


def begun(run: Run, signal: Begin, _now: Micros) -> Transition | Refusal:
    """SCHEDULED or PENDING -> RUNNING in the caller's own process; opens the next attempt."""
    if run.kind == "flow" and run.home != "inline":
        return _refuse(run, "not_here", "the run is executed by a worker")
    if run.state.type not in _TO_BEGIN:
        return _wrong(run, signal)
    # By position: every task begins here.
    return Transition(run, _running(run), "started", run.attempt + 1, run.epoch, None, None, None, True)


def completed(run: Run, signal: Complete, _now: Micros) -> Transition | Refusal:
    """RUNNING -> COMPLETED. An accepted cancel holds: while cancelling, finishing means CANCELLED."""
    kind = run.state.type
    if kind is _CANCELLING_TYPE:
        return _being_cancelled(run) if signal.declared else _cancelled(run, "finished after the cancel was accepted")
    if kind is not _RUNNING_TYPE and not (run.kind == "task" and kind is _PENDING_TYPE):
        return _wrong(run, signal)
    plain = signal.name == DONE.name and not signal.message
    state = DONE if plain else State(S.COMPLETED, signal.name, signal.message)
    return _declared(run, state, "completed") if signal.declared else _end(run, state, "completed")


def failed(run: Run, signal: Fail, now: Micros) -> Transition | Refusal:
    """RUNNING -> SCHEDULED/AwaitingRetry while retries and budget last, else -> FAILED (TimedOut when over time)."""
    if run.state.type is S.CANCELLING:
        return _cancelled(run, "ended after the cancel was accepted")
    if run.state.type is not S.RUNNING:
        return _wrong(run, signal)
    if signal.retryable and run.retry.left(run.retries_used):
        waiting = awaiting_retry(run, signal, now)
        if _affordable(run, waiting, now):
            return waiting
    name, event = ("TimedOut", "timed_out") if signal.timed_out else ("Failed", "failed")
    return _end(run, State(S.FAILED, name, signal.message), event, _class(signal))


def awaiting_retry(run: Run, signal: Fail, now: Micros) -> Transition:
    """RUNNING -> SCHEDULED: the slot is given back, the run is due again after the policy's delay."""
    delay = run.retry.delay(run.retries_used, spread=signal.spread, asked=signal.retry_after)
    due = now + int(delay * SECOND)
    return _move(
        run,
        State(S.SCHEDULED, "AwaitingRetry", signal.message),
        "awaiting_retry",
        attempt_move="end",
        due_at=due,
        changes={"retries_used": run.retries_used + 1},
        error_class=_class(signal),
    )


def lost(run: Run, signal: Lose, now: Micros) -> Transition | Refusal:
    """The attempt ends as LOST: back to SCHEDULED/Recovering until the crash retries are spent, then CRASHED."""
    if run.state.type is S.CANCELLING:
        return _cancelled(run, "its process ended", attempt_move="lose")
    if run.state.type not in (S.RUNNING, S.PENDING):
        return _wrong(run, signal)
    if run.home == "inline" or run.crashes >= run.crash_retries:
        return _move(
            run,
            State(S.CRASHED, "Crashed", signal.message),
            "crashed",
            attempt_move="lose",
            ended=True,
            error_class=ErrorClass.LOST_WORKER,
        )
    return _move(
        run,
        State(S.SCHEDULED, "Recovering", signal.message),
        "lost",
        attempt_move="lose",
        due_at=now,
        changes={"crashes": run.crashes + 1},
        error_class=ErrorClass.LOST_WORKER,
    )


def released(run: Run, signal: Release, now: Micros) -> Transition | Refusal:
    """RUNNING or PENDING -> SCHEDULED/Recovering without a crash counted: the worker is going home."""
    if run.state.type is S.CANCELLING:
        return _cancelled(run, "its worker stopped", attempt_move="release")
    if run.home == "inline" or run.state.type not in (S.RUNNING, S.PENDING):
        return _wrong(run, signal)
    return _move(run, State(S.SCHEDULED, "Recovering", signal.message), "released", attempt_move="release", due_at=now)


def suspended(run: Run, signal: Suspend, now: Micros) -> Transition | Refusal:
    """RUNNING -> SCHEDULED (Sleeping, AwaitingRetry) or PAUSED (Suspended): the slot is given back, no retry is spent.

    Of a run that lives in its caller's process this is for one nested in a run that leaves: it goes on within that.
    """
    if run.state.type is S.CANCELLING:
        return _cancelled(run, "it left after the cancel was accepted")
    if run.state.type is not S.RUNNING:
        return _wrong(run, signal)
    if signal.why == "wait" and signal.due_at is None:
        return _move(run, State(S.PAUSED, "Suspended", signal.message), "suspended", attempt_move="end")
    name, event = _LEFT[signal.why]
    due = now if signal.due_at is None else signal.due_at
    return _move(run, State(S.SCHEDULED, name, signal.message), event, attempt_move="end", due_at=due)


_LEFT = {
    "sleep": ("Sleeping", "sleeping"),
    "retry": ("AwaitingRetry", "awaiting_retry"),
    "wait": ("Scheduled", "resumed"),
}


def waiting(run: Run, signal: Wait, _now: Micros) -> Transition | Refusal:
    """RUNNING -> RUNNING/Waiting: shown as waiting; its process lives, its lease is renewed, its slot is taken."""
    if run.state.type is not S.RUNNING:
        return _wrong(run, signal)
    return _move(run, State(S.RUNNING, "Waiting", signal.message), "waiting")


def going_on(run: Run, signal: GoOn, _now: Micros) -> Transition | Refusal:
    """RUNNING/Waiting -> RUNNING: its process goes on."""
    if run.state.type is not S.RUNNING:
        return _wrong(run, signal)
    return _move(run, replace(_running(run), message=signal.message), "went_on")


def cancel_requested(run: Run, signal: Cancel, _now: Micros) -> Transition | Refusal:
    """Waiting -> CANCELLED at once; RUNNING -> CANCELLING until what runs it has ended."""
    if run.state.type is S.CANCELLING:
        return _being_cancelled(run)
    if run.state.type is S.RUNNING and run.kind == "flow":
        return _move(run, State(S.CANCELLING, "Cancelling", signal.message), "cancel_requested")
    return _cancelled(run, signal.message)


def stopped(run: Run, signal: Stopped, _now: Micros) -> Transition | Refusal:
    """CANCELLING -> CANCELLED: confirmed, not hoped for. A task stops with its flow, from RUNNING."""
    if run.state.type is not S.CANCELLING and not (run.kind == "task" and run.state.type is S.RUNNING):
        return _wrong(run, signal)
    return _cancelled(run, signal.message)


def rejected(run: Run, signal: Reject, _now: Micros) -> Transition | Refusal:
    """SCHEDULED, PENDING, PAUSED or RUNNING -> FAILED before user code: retrying cannot mend it.

    A worker may say so only of an attempt that is live: one that was lost says nothing about the next.
    """
    if signal.attempt is not None and run.state.type not in (S.PENDING, S.RUNNING, S.CANCELLING):
        return _wrong(run, signal)
    if run.state.type is S.CANCELLING:
        return _cancelled(run, signal.message) if signal.attempt is not None else _being_cancelled(run)
    state = State(S.FAILED, "Failed", signal.message)
    if signal.attempt is None and run.kind == "flow" and run.state.type is S.RUNNING:
        return _declared(run, state, "failed", signal.error_class)
    return _end(run, state, "failed", signal.error_class)


def marked_late(run: Run, signal: MarkLate, _now: Micros) -> Transition | Refusal:
    """PENDING -> SCHEDULED/Late: nobody could take it; it waits for a slot in the open."""
    if run.state.type is not S.PENDING:
        return _wrong(run, signal)
    return _move(run, State(S.SCHEDULED, "Late", signal.message), "late", attempt_move="release", due_at=run.due_at)


def paused(run: Run, signal: Pause, _now: Micros) -> Transition | Refusal:
    """SCHEDULED -> PAUSED."""
    if run.state.type is not S.SCHEDULED:
        return _wrong(run, signal)
    return _move(run, State(S.PAUSED, "Paused", signal.message), "paused")


def resumed(run: Run, signal: Resume, now: Micros) -> Transition | Refusal:
    """PAUSED -> SCHEDULED, due at once."""
    if run.state.type is not S.PAUSED:
        return _wrong(run, signal)
    return _move(run, State(S.SCHEDULED, "Scheduled", signal.message), "resumed", due_at=now)


def woken(run: Run, signal: Wake, now: Micros) -> Transition | Refusal:
    """SCHEDULED/Sleeping or AwaitingRetry -> SCHEDULED, due at once."""
    if run.state.name not in ("Sleeping", "AwaitingRetry"):
        return _wrong(run, signal)
    return _move(run, State(S.SCHEDULED, "Scheduled", signal.message), "resumed", due_at=now)


_RULES: dict[type, Callable[[Run, Any, Micros], Transition | Refusal]] = {
    Dispatch: dispatched,
    Redispatch: redispatched,
    Claim: claimed,
    Begin: begun,
    Complete: completed,
    Fail: failed,
    Lose: lost,
    Release: released,
    Suspend: suspended,
    Wait: waiting,
    GoOn: going_on,
    Cancel: cancel_requested,
    Stopped: stopped,
    Reject: rejected,
    MarkLate: marked_late,
    Pause: paused,
    Resume: resumed,
    Wake: woken,
}


# --- shared pieces -----------------------------------------------------------------------------------------------


def _running(run: Run) -> State:
    return _RETRYING if run.retries_used else _RUNNING


def _move(run: Run, state: State, event: str, **more: Any) -> Transition:
    return Transition(run, state, event, run.attempt, run.epoch, **more)


def _end(run: Run, state: State, event: str, error_class: ErrorClass | None = None) -> Transition:
    # By position: every task ends here.
    return Transition(run, state, event, run.attempt, run.epoch, "end", None, None, False, True, error_class)


def _declared(run: Run, state: State, event: str, error_class: ErrorClass | None = None) -> Transition | Refusal:
    """An end that somebody else declares: the attempt is taken away, so that its keeper ends the process."""
    if run.home == "inline":
        return _refuse(run, "not_here", "the run lives in the process that called it; cancel it there")
    return replace(_end(run, state, event, error_class), attempt_move="release")


def _affordable(run: Run, waiting: Transition, now: Micros) -> bool:
    spent = now - (run.started_at or now)
    return run.retry.affords(((waiting.due_at or now) - now) / SECOND, spent=spent / SECOND)


def _class(signal: Fail) -> ErrorClass:
    return ErrorClass.TIMEOUT if signal.timed_out else signal.error_class


def _cancelled(run: Run, message: str, *, attempt_move: str = "end") -> Transition:
    state = State(S.CANCELLED, "Cancelled", message or run.state.message)
    return replace(_end(run, state, "cancelled", ErrorClass.CANCELLED), attempt_move=attempt_move)  # type: ignore[arg-type]


_REPORTS = frozenset(kind for kind in _RULES if {"attempt", "epoch"} <= {field.name for field in fields(kind)})
"""Signals from what executes the run: they say which attempt and doorbell they are about."""


def _stale(run: Run, signal: Any) -> Refusal | None:
    """A report of another attempt or an older doorbell says nothing about this one."""
    attempt, epoch = signal.attempt, signal.epoch
    if attempt is None or (attempt == run.attempt and epoch == run.epoch):
        return None
    told, held = f"{attempt}.{epoch}", f"{run.attempt}.{run.epoch}"
    return _refuse(run, "stale", f"the report is about attempt {told}, the run is at {held}")


def _wrong(run: Run, signal: Signal) -> Refusal:
    return _refuse(run, "wrong_state", f"{type(signal).__name__} does not apply to a run that is {run.state.name}")


def _being_cancelled(run: Run) -> Refusal:
    return _refuse(run, "wrong_state", "the run is already being cancelled")


def _refuse(run: Run, code: Any, reason: str) -> Refusal:
    return Refusal(code, reason, run.state.type)
