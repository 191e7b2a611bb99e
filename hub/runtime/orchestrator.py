"""get -> decide -> commit: the only code that changes the state of a flow run."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from hub.engine.rules import decide
from hub.engine.run import Cancel, Refusal, Resume, Run, Signal, Transition, Wake
from hub.errors import ConflictError, ContentionError, NotFoundError
from hub.states import WAITING, StateType
from hub.store import runs, tasks, waits
from hub.store.base import Store, Tx
from hub.types import Id, Scope

_TRIES = 3


def handle(
    store: Store, scope: Scope, run_id: Id, signal: Signal, *, lease_s: float = 30, here: bool = False, **columns: Any
) -> Transition:
    """Do what `signal` means for the run, in a transaction of its own.

    Raises NotFoundError, ConflictError (the rules refuse; `code` says why) or ContentionError.
    """
    for _ in range(_TRIES):
        with store.write() as tx:
            transition = attempt(tx, scope, run_id, signal, lease_s=lease_s, here=here, **columns)
        if transition is not None:
            return transition
    raise ContentionError(f"run {run_id} was changed by others three times in a row", hint="Try again.")


def attempt(
    tx: Tx,
    scope: Scope,
    run_id: Id,
    signal: Signal,
    *,
    lease_s: float = 30,
    process: Mapping[str, Any] | None = None,
    seen: Run | None = None,
    here: bool = False,
    **columns: Any,
) -> Transition | None:
    """The same within the caller's transaction; None when somebody was faster (the caller tries again).

    `process`: who claims, as in `attempts.move`; `seen`: the run, when this transaction has read it already;
    `here`: who reports the end calls the state hooks for it.
    """
    if isinstance(signal, Cancel) and seen is None:
        # Who answers what waits in a nested run holds the outermost first, too.
        waits.hold_run(tx, runs.outermost(tx, scope, run_id))
    run = seen or runs.get(tx, scope, run_id)
    if run is None:
        raise NotFoundError(f"there is no run {run_id} in this workspace", hint="`hub runs ls` lists them.")
    answer = decide(run, signal, now=tx.now)
    if isinstance(answer, Refusal):
        raise ConflictError(answer.reason, code=answer.code, state=answer.state.value)
    if not runs.commit(tx, scope, answer, lease_s=lease_s, process=process, here=here, **columns):
        return None
    if answer.ended and _may_leave_something(answer):
        _close_what_waits(tx, scope, answer)
    return answer


def cancel_below(tx: Tx, scope: Scope, run_id: Id, message: str) -> int:
    """Cancel all that a run has started and that has not ended: nested runs, chunks of tasks, children, and theirs."""
    done = 0
    for below in runs.below(tx, scope, run_id):
        with contextlib.suppress(ConflictError):  # it is being cancelled already
            done += attempt(tx, scope, below, Cancel(message)) is not None
    return done


def _may_leave_something(ended: Transition) -> bool:
    """Not so a run that began once and did not wait for anything: nearly all, and they pay nothing here."""
    before = ended.before
    waited = before.state.type in (*WAITING, StateType.CANCELLING) or before.state.name == "Waiting"
    return before.attempt > 0 and (before.attempt > 1 or waited)


def _close_what_waits(tx: Tx, scope: Scope, ended: Transition) -> None:
    """What an attempt left to a later one that there will not be: wait points, tasks to retry, flows nested in it."""
    why = ended.state.message or "the run that it belongs to has ended"
    tasks.close_open(tx, scope, ended.run_id, why)
    for nested in runs.left_inside(tx, scope, ended.run_id):
        attempt(tx, scope, nested.id, Cancel(why), seen=nested)
    waits.close_of(tx, scope, ended.run_id)
    if ended.before.home == "inline" and ended.before.state.type in WAITING:
        _let_go_on(tx, scope, ended, why)


def _let_go_on(tx: Tx, scope: Scope, ended: Transition, why: str) -> None:
    """A nested run has ended alone while it had left its process: the one that left with it need not wait for it."""
    around = runs.get(tx, scope, runs.outermost(tx, scope, ended.run_id))
    if around is not None and around.id != ended.run_id and around.state.name == ended.before.state.name:
        with contextlib.suppress(ConflictError):  # it was not left, but held, or waits for a slot
            signal = Resume(why) if around.state.name == "Suspended" else Wake(why)
            attempt(tx, scope, around.id, signal, seen=around)
