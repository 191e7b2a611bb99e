"""A flow called inside a run: a step of its caller, and a run of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import select

from hub.engine.run import Lose
from hub.errors import ConflictError
from hub.runtime import orchestrator, parameters
from hub.runtime.executor import flowlife
from hub.runtime.executor.calls import named
from hub.runtime.executor.digests import step_key
from hub.runtime.executor.flowlife import FlowCall
from hub.runtime.executor.flowrecord import Begun, FlowRecord, InlineRun, Unrecorded
from hub.runtime.executor.root import Root
from hub.runtime.executor.rows import run_row
from hub.runtime.executor.session import Session
from hub.runtime.executor.steps import Blocking, Life, drive, drive_on_loop
from hub.runtime.executor.tasklife import Call, live
from hub.runtime.executor.taskrecord import retry_policy
from hub.runtime.executor.values import futures_in
from hub.sdk.context import FlowInfo, RunContext
from hub.sdk.flows import Flow
from hub.sdk.retries import RetryOptions
from hub.states import TERMINAL, StateType
from hub.store import runs
from hub.store.base import Store
from hub.types import Id, Scope, new_id


def call_nested(flow: Flow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], parent: RunContext) -> Any:
    """Call a flow as a step of the run that `parent` stands for: its value, or a coroutine of it."""
    session: Session = parent.session
    digest = step_key(parent.step, f"flow:{flow._wrapped.key}", args, kwargs)
    number = session.names.take(flow.name)
    # Retries and time limit are the nested run's own.
    options = replace(flow.options, retry=RetryOptions(), timeout=None)
    call = Call(
        session, parent, flow._wrapped, options, args, kwargs,
        key=f"{digest}:{session.ordinals.take(digest)}", name=f"{flow.name}-{number}",
        upstream=futures_in(args, kwargs),
    )  # fmt: skip
    call.body = lambda step, _context, given, named_: _body(flow, step, given, named_)
    return drive_on_loop(live(call)) if flow.is_async else drive(live(call))


def _body(flow: Flow[..., Any], step: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Life:
    values = parameters.from_call(flow, args, kwargs)
    session, root = step.session, step.session.root
    before: Id | None = None
    if root.store is not None:
        steps = (session.earlier.get(step.key), session.restarted.get(step.key))
        known = [found.id for found in steps if found is not None]
        if known:
            store = root.store
            before = yield Blocking(lambda: _former(store, root.scope, known))
    run_id = new_id()
    name = named(flow.options.run_name, values) or f"{flow.name}-{run_id[-6:]}"
    outer = session.info
    info = FlowInfo(
        run_id=run_id, run_name=name, flow_name=flow.name, parameters=dict(values), tags=flow.options.tags,
        deployment_id=outer.deployment_id, deployment_name=outer.deployment_name, parent_run_id=outer.run_id,
    )  # fmt: skip
    record: FlowRecord
    if root.store is None:
        record = Unrecorded(run_id, root.scope, retry_policy(flow.options.retry))
    else:
        row = run_row(
            flow, values, run_id, name, parent_run_id=outer.run_id, parent_task_run_id=step.id, origin="flow",
            restart_of=before,
        )  # fmt: skip
        record = InlineRun(root.store, root.scope, row, lease_s=root.lease_s)
    call = FlowCall(
        flow, values, record, root, info, restart_of=before, outermost=False,
        opened=lambda begun: _kept_alive(root, begun, run_id),
    )  # fmt: skip
    try:
        return (yield from flowlife.live(call))
    finally:
        if root.heartbeat is not None and isinstance(record, InlineRun) and record.begun is not None:
            root.heartbeat.remove(record.begun.attempt_id)


def _kept_alive(root: Root, begun: Begun, run_id: Id) -> None:
    if root.heartbeat is not None and begun.attempt_id is not None:
        root.heartbeat.add(begun.attempt_id, run_id)


def _former(store: Store, scope: Scope, steps: list[Id]) -> Id | None:
    """The run that this step was in an earlier attempt, whose finished tasks need not run again."""
    query = select(runs.TABLE.c.id, runs.TABLE.c.state_type, runs.TABLE.c.attempt, runs.TABLE.c.epoch).where(
        runs.TABLE.c.parent_task_run_id.in_(steps), runs.TABLE.c.workspace_id == scope.workspace_id
    )
    with store.read() as tx:
        found = tx.conn.execute(query.order_by(runs.TABLE.c.id.desc()).limit(1)).first()
    if found is None:
        return None
    if StateType(found.state_type) not in TERMINAL:
        # Its process is gone with the attempt of the outer run; nobody else would tell before its lease is over.
        try:
            lost = Lose(found.attempt, found.epoch, "the run that it is nested in was lost")
            orchestrator.handle(store, scope, found.id, lost)
        except ConflictError:
            pass
    return str(found.id)
