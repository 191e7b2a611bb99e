"""A flow called inside a run: a step of its caller, and a run of its own."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from hub.engine.run import Lose, Resume, Signal
from hub.errors import ConflictError, RunCancelled, UsageError
from hub.runtime import orchestrator, parameters
from hub.runtime.executor import flowlife, transactions
from hub.runtime.executor.branches import branch_off
from hub.runtime.executor.digests import step_key
from hub.runtime.executor.flowlife import FlowCall
from hub.runtime.executor.flowrecord import Begun, FlowRecord, InlineRun, Unrecorded
from hub.runtime.executor.root import Root
from hub.runtime.executor.rows import run_row
from hub.runtime.executor.session import Session
from hub.runtime.executor.steps import Blocking, Life
from hub.runtime.executor.streams import called
from hub.runtime.executor.tasklife import Call, live
from hub.runtime.executor.taskrecord import retry_policy
from hub.runtime.executor.values import needs
from hub.runtime.journal import Known
from hub.runtime.naming import run_name
from hub.sdk.context import FlowInfo, RunContext
from hub.sdk.flows import Flow
from hub.sdk.retries import NEVER
from hub.sdk.tagging import with_those_around
from hub.states import TERMINAL, StateType
from hub.store import attempts, runs
from hub.store.base import Store
from hub.types import Id, Scope, new_id

MAX_DEPTH = 250
_PLAIN = 800
_FRAMES = 25


def call_nested(flow: Flow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], parent: RunContext) -> Any:
    """Call a flow as a step of the run that `parent` stands for: its value, or a coroutine of it."""
    session: Session = parent.session
    session.root.check_body(parent)
    _make_room(flow, session.info.depth + 1)
    digest = step_key(parent.step, f"flow:{flow._wrapped.key}", args, kwargs)
    number = session.names.take(flow.name)
    # Retries and time limit are the nested run's own.
    options = replace(flow.options, retry=NEVER, timeout=None, hooks={})
    call = Call(
        session, parent, flow._wrapped, options, args, kwargs,
        f"{digest}:{session.ordinals.take(digest)}", f"{flow.name}-{number}", needs(args, kwargs),
    )  # fmt: skip
    call.txn = transactions.around(parent, hooked=True)
    call.body = lambda step, _context, given, named_: _body(flow, step, given, named_)
    return called(live(call), flow._wrapped)


def _make_room(flow: Flow[..., Any], depth: int) -> None:
    """Let Python's stack grow with the nesting: a level takes some 20 frames of ours beside those of its author."""
    if depth > MAX_DEPTH:
        raise UsageError(
            f"flow {flow.name} is nested more than {MAX_DEPTH} deep",
            hint="Does it call itself without an end? A loop of tasks needs no nesting.",
        )
    wanted = _PLAIN + depth * _FRAMES
    # Left as it is afterwards: other threads may be as deep.
    if sys.getrecursionlimit() < wanted:
        sys.setrecursionlimit(wanted)


def _body(flow: Flow[..., Any], step: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Life:
    values = parameters.from_call(flow, args, kwargs)
    session, root = step.session, step.session.root
    former: _Former | None = None
    if root.store is not None:
        earlier, restarted = session.earlier.get(step.key), session.restarted.get(step.key)
        known = [found.id for found in (earlier, restarted) if found is not None]
        if known:
            store = root.store
            former = yield Blocking(lambda: _found(store, root.scope, known, earlier))
            if former is not None and former.cancelled:
                raise RunCancelled(f"{former.name} was cancelled in an earlier attempt of its caller")
    before = None if former is None else former.before
    goes_on = former is not None and former.goes_on
    run_id = former.id if former is not None and goes_on else new_id()
    name = run_name(flow, values, run_id)
    outer = session.info
    info = FlowInfo(
        run_id=run_id, run_name=name, flow_name=flow.name, parameters=dict(values),
        tags=with_those_around(flow.options.tags),
        deployment_id=outer.deployment_id, deployment_name=outer.deployment_name, parent_run_id=outer.run_id,
        depth=outer.depth + 1,
    )  # fmt: skip
    record: FlowRecord
    if root.store is None:
        record = Unrecorded(run_id, root.scope, retry_policy(flow.options.retry, root.flow_retries))
    else:
        row = run_row(
            flow, values, run_id, name, parent_run_id=outer.run_id, parent_task_run_id=step.id, origin="flow",
            restart_of=before, default=root.flow_retries,
        )  # fmt: skip
        record = InlineRun(root.store, root.scope, row, lease_s=root.lease_s, made=goes_on)
    with branch_off(root, run_id, session.branch) as branch:
        call = FlowCall(
            flow, values, record, root, info, restart_of=before, outer=session, outer_step=step.id,
            within_task=session.within_task or step.parent.task_run_id is not None, branch=branch,
            opened=lambda begun: _kept_alive(root, begun, run_id),
        )  # fmt: skip
        call.txn, call.place = step.txn, transactions.place_of(step.key, session, step.txn)
        try:
            return (yield from flowlife.live(call))
        finally:
            if root.heartbeat is not None and isinstance(record, InlineRun) and record.begun is not None:
                root.heartbeat.remove(record.begun.attempt_id)


def _kept_alive(root: Root, begun: Begun, run_id: Id) -> None:
    if root.heartbeat is not None and begun.attempt_id is not None:
        root.heartbeat.add(begun.attempt_id, run_id)


@dataclass(frozen=True, slots=True)
class _Former:
    """The run that a step was before. It goes on, or what it has done (`before`) is taken over.

    `cancelled`: somebody cancelled it, not its caller's end.
    """

    id: Id
    name: str
    before: Id | None
    goes_on: bool = False
    cancelled: bool = False


def _found(store: Store, scope: Scope, steps: list[Id], earlier: Known | None) -> _Former | None:
    """The run that this step was in an earlier attempt, whose finished tasks need not run again.

    `earlier` is what that attempt left of the step: its row may say already that this attempt has begun it.
    """
    table = runs.TABLE
    columns = (table.c.id, table.c.name, table.c.state_type, table.c.attempt, table.c.epoch, table.c.restart_of)
    query = select(*columns).where(table.c.parent_task_run_id.in_(steps), table.c.workspace_id == scope.workspace_id)
    with store.read() as tx:
        found = tx.conn.execute(query.order_by(table.c.id.desc()).limit(1)).first()
        lost = found is not None and attempts.was_lost(tx, attempts.attempt_id(found.id, found.attempt))
    if found is None:
        return None
    state = StateType(found.state_type)
    if state in _LEFT:
        # The run around it goes on, so it does.
        _told(store, scope, found.id, Resume())
        return _Former(found.id, found.name, found.restart_of, goes_on=True)
    if state not in TERMINAL:
        # Its process is gone with the attempt of the outer run; nobody else would tell before its lease is over.
        lose = Lose(found.attempt, found.epoch, "the run that it is nested in was lost")
        made = _told(store, scope, found.id, lose)
        state, lost = (made, True) if made is not None else (state, lost)
    # Its step waits where it was left: then it was cancelled while it waited.
    asked = earlier is not None and (
        lost or earlier.error_type == RunCancelled.__name__ or StateType(earlier.state_type) in _LEFT
    )
    return _Former(found.id, found.name, found.id, cancelled=state is StateType.CANCELLED and asked)


_LEFT = (StateType.SCHEDULED, StateType.PAUSED)
"""States of a nested run, and of its step, that wait for the next attempt of the run around it."""


def _told(store: Store, scope: Scope, run_id: Id, signal: Signal) -> StateType | None:
    try:
        return orchestrator.handle(store, scope, run_id, signal).state.type
    except ConflictError:
        return None
