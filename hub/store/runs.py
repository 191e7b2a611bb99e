"""Runs: made once, read as the rules see them, changed by compare-and-set only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from typing import Any, cast

from sqlalchemy import bindparam, literal, select

from hub.engine.retry import RetryPolicy
from hub.engine.run import Home, Run, Transition
from hub.states import State, StateType
from hub.store import attempts, effects, events, hooks, raw, sending, tasks
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import RunRow, StateRow
from hub.types import Id, Scope

CHUNK = "tasks"
"""The origin of a run that makes calls of a task for another run."""
TABLE = RunRow.__table__
STATES = StateRow.__table__

_EVENT_FIELDS = (
    "flow_name", "deployment_id", "deployment_name", "parent_run_id", "restart_of", "origin", "origin_id", "queue",
    "home", "tags", "created_at",
)  # fmt: skip
_STATE_FIELDS = (
    "state_type", "state_name", "state_message", "version", "attempt", "epoch", "retries_used", "crashes", "due_at",
    "started_at", "ended_at", "error_type", "error_class",
)  # fmt: skip
RULE_COLUMNS = (
    "id", "workspace_id", "state_type", "state_name", "state_message", "version", "attempt", "epoch", "home",
    "retries_used", "crashes", "crash_retries", "retry_policy", "due_at", "started_at",
)  # fmt: skip
_TOLD = (*_EVENT_FIELDS, *_STATE_FIELDS, "id", "name", "error_message", "state_hooks")
"""What the event of a transition says; of a new run it says its parameters, too."""


def create(tx: Tx, scope: Scope, row: Mapping[str, Any]) -> bool:
    """Write a new run in its first state, with its history row and event. False when its id or key is taken."""
    full = {
        "created_by": str(scope.actor), "updated_at": tx.now, "created_at": tx.now, "due_at": tx.now,
        "state_type": StateType.SCHEDULED, "state_name": "Scheduled", "state_message": "",
        "home": "worker", "queue": "default", "origin": "api", "tags": [], "parameters": {}, "retry_policy": {},
        "state_hooks": [], "alerts": {}, "export": "",
        "version": 0, "attempt": 0, "epoch": 0, "retries_used": 0, "crashes": 0, "crash_retries": 2,
        **row, "workspace_id": scope.workspace_id,
    }  # fmt: skip
    if not tx.insert_ignore(TABLE, full):
        return False
    _history(
        tx,
        scope,
        full["id"],
        State(StateType(full["state_type"]), full["state_name"], full["state_message"]),
        0,
    )
    _event(tx, scope, "created", full)
    if full["home"] == "worker":
        tx.wake("runs")
    return True


def get(tx: Tx, scope: Scope, run_id: Id) -> Run | None:
    """The run as the rules see it; None when this workspace has no such run."""
    found = raw.select_one(tx, TABLE, RULE_COLUMNS, {"id": run_id, "workspace_id": scope.workspace_id})
    return None if found is None else as_run(found)


def as_run(row: Mapping[str, Any]) -> Run:
    """A row as the value that the rules work on."""
    return Run(
        id=row["id"],
        workspace_id=row["workspace_id"],
        state=State(StateType(row["state_type"]), row["state_name"], row["state_message"]),
        version=row["version"],
        attempt=row["attempt"],
        epoch=row["epoch"],
        home=cast(Home, row["home"]),
        retries_used=row["retries_used"],
        crashes=row["crashes"],
        crash_retries=row["crash_retries"],
        retry=policy(row["retry_policy"]),
        due_at=row["due_at"],
        started_at=row["started_at"],
    )


def policy(data: Mapping[str, Any]) -> RetryPolicy:
    """A stored retry policy as a value."""
    return RetryPolicy(**{**data, "delays": tuple(data.get("delays", (0.0,)))})


def policy_data(value: RetryPolicy) -> dict[str, Any]:
    """A retry policy as it is stored."""
    return {**asdict(value), "delays": list(value.delays)}


def commit(
    tx: Tx,
    scope: Scope,
    transition: Transition,
    *,
    lease_s: float = 30,
    process: Mapping[str, Any] | None = None,
    here: bool = False,
    **columns: Any,
) -> bool:
    """Carry out a transition if the run is still what the rules saw; False when somebody was faster.

    In the same transaction: the state history row, the one event, the hook effect, the attempt row. `columns` are
    further columns of the run that this report brings (error_type, result, ...); `process` says who claims; `here`:
    who reports the end calls the state hooks for it.
    """
    before, state = transition.before, transition.state
    values: dict[str, Any] = {
        "state_type": state.type.value, "state_name": state.name, "state_message": state.message,
        "version": before.version + 1, "attempt": transition.attempt, "epoch": transition.epoch, "updated_at": tx.now,
        **transition.changes, **columns,
    }  # fmt: skip
    if transition.due_at is not None:
        values["due_at"] = transition.due_at
    if transition.ended or transition.error_class is not None:
        values["error_class"] = transition.error_class
    if transition.ended:
        values["ended_at"] = tx.now
    if transition.started and before.started_at is None:
        values["started_at"] = tx.now
    seen = {
        "id": before.id, "workspace_id": scope.workspace_id, "state_type": before.state.type.value,
        "version": before.version, "attempt": before.attempt,
    }  # fmt: skip
    won = raw.change_one(tx, TABLE, values, seen, returning=_TOLD)
    if won is None:
        return False
    with sending.together(tx):
        _history(tx, scope, before.id, state, transition.attempt)
        event_id = _event(tx, scope, transition.event, won)
        attempts.move(tx, scope, transition, queue=won["queue"], lease_s=lease_s, process=process)
        told = {"run_id": before.id, "event_id": event_id, "verb": transition.event}
        effects.add(tx, scope, "run_state", event_id, told)
        if transition.ended and won["state_hooks"]:
            hooks.owe(tx, scope, won, here=here)
    if transition.attempt_move == "lose" or state.type is StateType.CANCELLED:
        # What executed them is gone. (Who ends in good order has closed its own.)
        tasks.close_open(tx, scope, before.id, state.message or "the attempt that ran it was lost")
    _wake(tx, transition)
    return True


def rename(tx: Tx, scope: Scope, run_id: Id, name: str, new: str) -> None:
    """Give a run another name, if it still has this one."""
    raw.put(tx, TABLE, {"name": new}, {"id": run_id, "workspace_id": scope.workspace_id, "name": name})


def revise(tx: Tx, scope: Scope, seen: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Change what a run that waits for its first attempt will be: its parameters, when it is due, ...

    `seen` is its row as it was read. False when it is not that any more: somebody starts, pauses or cancels it.
    """
    where = {name: seen[name] for name in ("id", "version", "attempt")} | {"workspace_id": scope.workspace_id}
    changed = {**values, "version": seen["version"] + 1, "updated_at": tx.now}
    done = raw.change(tx, TABLE, changed, where, guard="state_type = 'SCHEDULED' AND attempt = 0")
    if done:
        tx.wake("runs")
    return bool(done)


def row(tx: Tx, scope: Scope, run_id: Id) -> dict[str, Any] | None:
    """Every column of a run."""
    return raw.select_one(tx, TABLE, raw.names_of(TABLE), {"id": run_id, "workspace_id": scope.workspace_id})


def left_inside(tx: Tx, scope: Scope, run_id: Id) -> list[Run]:
    """Flows nested in a run that go on when it does: they wait, and no process executes them."""
    where = {"workspace_id": scope.workspace_id, "parent_run_id": run_id, "home": "inline"}
    guard = "state_type IN ('SCHEDULED', 'PAUSED')"
    return [as_run(row) for row in raw.select_rows(tx, TABLE, RULE_COLUMNS, where, guard=guard)]


def outermost(tx: Tx, scope: Scope, run_id: Id) -> Id:
    """The run that a nested one is part of, however deep: it is the one that leaves a process. Else the run itself."""
    found: Id | None = tx.conn.execute(_OUTERMOST, {"of": run_id, "workspace": scope.workspace_id}).scalar()
    return found or run_id


_here = TABLE.c.workspace_id == bindparam("workspace")
_around = (
    select(TABLE.c.id, TABLE.c.parent_run_id, TABLE.c.home, literal(0).label("depth"))
    .where(TABLE.c.id == bindparam("of"), _here)
    .cte("around", recursive=True)
)
_around = _around.union_all(
    select(TABLE.c.id, TABLE.c.parent_run_id, TABLE.c.home, _around.c.depth + 1)
    .where(TABLE.c.id == _around.c.parent_run_id, _around.c.home == "inline", _here)
)  # fmt: skip
_OUTERMOST = select(_around.c.id).order_by(_around.c.depth.desc()).limit(1)


def by_ids(tx: Tx, ids: Collection[Id]) -> dict[Id, dict[str, Any]]:
    """Every column of runs of any workspace by their ids, for the hub's own work."""
    return {row["id"]: row for row in raw.select_many(tx, TABLE, raw.names_of(TABLE), "id", ids)}


def to_be_cancelled(tx: Tx, ids: Iterable[Id]) -> set[Id]:
    """Which of these runs, that execute or wait for a retry in the process that asks, are to be cancelled or are."""
    names = (StateType.CANCELLING.value, StateType.CANCELLED.value)
    query = select(TABLE.c.id).where(TABLE.c.id.in_(list(ids)), TABLE.c.state_type.in_(names))
    return set(tx.conn.execute(query).scalars())


def below(tx: Tx, scope: Scope, run_id: Id) -> list[Id]:
    """The runs that a run has started (nested ones, chunks, children) and that have not ended, with theirs."""
    given = {"of": run_id, "workspace": scope.workspace_id}
    return list(tx.conn.execute(_BELOW, given).scalars())


_children = select(TABLE.c.id).where(
    TABLE.c.parent_run_id == bindparam("of"), TABLE.c.workspace_id == bindparam("workspace")
).cte("below", recursive=True)  # fmt: skip
_children = _children.union(
    select(TABLE.c.id).where(
        TABLE.c.parent_run_id == _children.c.id, TABLE.c.workspace_id == bindparam("workspace")
    )
)  # fmt: skip
# Once more from the table: one that has ended may have left behind others that have not.
_BELOW = (
    select(TABLE.c.id)
    .join(_children, _children.c.id == TABLE.c.id)
    .where(TABLE.c.ended_at.is_(None), TABLE.c.origin != hooks.ORIGIN)
    .order_by(TABLE.c.id)
)


def listing(
    tx: Tx,
    scope: Scope,
    *,
    state: StateType | None = None,
    deployment_id: Id | None = None,
    flow_name: str | None = None,
    parent_run_id: Id | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[dict[str, Any]]:
    """Runs, newest first."""
    query = select(TABLE).where(TABLE.c.workspace_id == scope.workspace_id)
    wanted = {"deployment_id": deployment_id, "flow_name": flow_name, "parent_run_id": parent_run_id}
    if state is not None:
        wanted["state_type"] = state.value
    for name, value in wanted.items():
        if value is not None:
            query = query.where(TABLE.c[name] == value)
    return page(tx, query, TABLE.c.id, limit=limit, cursor=cursor, make=dict)


def history(tx: Tx, scope: Scope, run_id: Id, *, task_run_id: Id | None = None) -> list[dict[str, Any]]:
    """The states a run (or one of its task runs) was in, oldest first."""
    query = select(STATES).where(STATES.c.run_id == run_id, STATES.c.workspace_id == scope.workspace_id)
    query = query.where(STATES.c.task_run_id == task_run_id)
    found = [dict(row) for row in tx.conn.execute(query.order_by(STATES.c.id)).mappings()]
    if task_run_id is not None:
        task = select(tasks.TABLE).where(tasks.TABLE.c.id == task_run_id, tasks.TABLE.c.run_id == run_id)
        found += [row for said in tx.conn.execute(task).mappings() for row in tasks.left_out(dict(said), found)]
    return found


def _history(tx: Tx, scope: Scope, run_id: Id, state: State, attempt: int) -> None:
    tx.insert(
        STATES,
        {
            "workspace_id": scope.workspace_id, "run_id": run_id, "task_run_id": None, "type": state.type.value,
            "name": state.name, "message": state.message, "attempt": attempt, "at": tx.now, "actor": str(scope.actor),
        },
    )  # fmt: skip


def _event(tx: Tx, scope: Scope, verb: str, run: Mapping[str, Any]) -> Id:
    fields: dict[str, Any] = {name: run.get(name) for name in (*_EVENT_FIELDS, *_STATE_FIELDS)}
    return events.append(
        tx, scope, f"hub.run.{verb}", subject=run["id"], run_id=run["id"],
        run_name=run["name"], parameters=run.get("parameters"),
        error_message=run.get("error_message"),
        **fields,
    )  # fmt: skip


_FREES = ("end", "lose", "release")
"""Moves after which the attempt's slot is free."""


def _wake(tx: Tx, transition: Transition) -> None:
    kind = transition.state.type
    if kind is StateType.SCHEDULED or transition.ended or transition.attempt_move in _FREES:
        tx.wake("runs")
    if kind is StateType.CANCELLING:
        tx.wake("attempts")
