"""Runs: made once, read as the rules see them, changed by compare-and-set only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

from sqlalchemy import func, insert, select, update

from hub.engine.retry import RetryPolicy
from hub.engine.run import Home, Run, Transition
from hub.states import State, StateType
from hub.store import attempts, effects, events, tasks
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import RunRow, StateRow
from hub.types import Id, Scope

TABLE = RunRow.__table__  # type: ignore[attr-defined]
STATES = StateRow.__table__  # type: ignore[attr-defined]

_EVENT_FIELDS = (
    "flow_name", "deployment_id", "deployment_name", "parent_run_id", "restart_of", "origin", "origin_id", "queue",
    "home", "tags", "created_at",
)  # fmt: skip
_STATE_FIELDS = (
    "state_type", "state_name", "state_message", "version", "attempt", "epoch", "retries_used", "crashes", "due_at",
    "started_at", "ended_at", "error_type",
)  # fmt: skip
_RULE_COLUMNS = (
    TABLE.c.id, TABLE.c.workspace_id, TABLE.c.state_type, TABLE.c.state_name, TABLE.c.state_message, TABLE.c.version,
    TABLE.c.attempt, TABLE.c.epoch, TABLE.c.home, TABLE.c.retries_used, TABLE.c.crashes, TABLE.c.crash_retries,
    TABLE.c.retry_policy, TABLE.c.due_at,
)  # fmt: skip


def create(tx: Tx, scope: Scope, row: Mapping[str, Any]) -> bool:
    """Write a new run in its first state, with its history row and event. False when its id or key is taken."""
    full = {
        "created_by": str(scope.actor), "updated_at": tx.now, "created_at": tx.now, "due_at": tx.now,
        "state_type": StateType.SCHEDULED, "state_name": "Scheduled", "state_message": "",
        "home": "worker", "queue": "default", "origin": "api", "tags": [], "parameters": {}, "retry_policy": {},
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
    query = select(*_RULE_COLUMNS).where(TABLE.c.id == run_id, TABLE.c.workspace_id == scope.workspace_id)
    row = tx.conn.execute(query).mappings().first()
    return None if row is None else as_run(dict(row))


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
    )


def policy(data: Mapping[str, Any]) -> RetryPolicy:
    """A stored retry policy as a value."""
    return RetryPolicy(**{**data, "delays": tuple(data.get("delays", (0.0,)))})


def policy_data(value: RetryPolicy) -> dict[str, Any]:
    """A retry policy as it is stored."""
    return {**asdict(value), "delays": list(value.delays)}


def commit(tx: Tx, scope: Scope, transition: Transition, *, lease_s: float = 30, **columns: Any) -> bool:
    """Carry out a transition if the run is still what the rules saw; False when somebody was faster.

    In the same transaction: the state history row, the one event, the hook effect, the attempt row. `columns` are
    further columns of the run that this report brings (error_type, result, ...).
    """
    before, state = transition.before, transition.state
    values: dict[str, Any] = {
        "state_type": state.type.value, "state_name": state.name, "state_message": state.message,
        "version": before.version + 1, "attempt": transition.attempt, "epoch": transition.epoch, "updated_at": tx.now,
        **transition.changes, **columns,
    }  # fmt: skip
    if transition.due_at is not None:
        values["due_at"] = transition.due_at
    if transition.ended:
        values["ended_at"] = tx.now
    if transition.started:
        values["started_at"] = func.coalesce(TABLE.c.started_at, tx.now)
    won = (
        tx.conn.execute(
            update(TABLE)
            .where(
                TABLE.c.id == before.id,
                TABLE.c.workspace_id == scope.workspace_id,
                TABLE.c.state_type == before.state.type.value,
                TABLE.c.version == before.version,
                TABLE.c.attempt == before.attempt,
            )
            .values(**values)
            .returning(TABLE)
        )
        .mappings()
        .first()
    )
    if won is None:
        return False
    _history(tx, scope, before.id, state, transition.attempt)
    event_id = _event(tx, scope, transition.event, dict(won))
    attempts.move(tx, scope, transition, queue=won["queue"], lease_s=lease_s)
    if transition.attempt_move == "lose" or state.type is StateType.CANCELLED:
        # What executed them is gone. (Who ends in good order has closed its own.)
        tasks.close_open(tx, scope, before.id, state.message or "the attempt that ran it was lost")
    effects.add(
        tx,
        scope,
        "run_state",
        event_id,
        {"run_id": before.id, "event_id": event_id, "verb": transition.event},
    )
    _wake(tx, transition)
    return True


def row(tx: Tx, scope: Scope, run_id: Id) -> dict[str, Any] | None:
    """Every column of a run."""
    query = select(TABLE).where(TABLE.c.id == run_id, TABLE.c.workspace_id == scope.workspace_id)
    found = tx.conn.execute(query).mappings().first()
    return None if found is None else dict(found)


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
    return [dict(found) for found in tx.conn.execute(query.order_by(STATES.c.id)).mappings()]


def _history(tx: Tx, scope: Scope, run_id: Id, state: State, attempt: int) -> None:
    tx.conn.execute(
        insert(STATES),
        {
            "workspace_id": scope.workspace_id, "run_id": run_id, "task_run_id": None, "type": state.type.value,
            "name": state.name, "message": state.message, "attempt": attempt, "at": tx.now, "actor": str(scope.actor),
        },
    )  # fmt: skip


def _event(tx: Tx, scope: Scope, verb: str, run: Mapping[str, Any]) -> Id:
    fields: dict[str, Any] = {name: run.get(name) for name in (*_EVENT_FIELDS, *_STATE_FIELDS)}
    return events.append(
        tx, scope, f"hub.run.{verb}", subject=run["id"], run_id=run["id"],
        run_name=run["name"], parameters=run["parameters"] if verb == "created" else None,
        error_message=run.get("error_message"),
        **fields,
    )  # fmt: skip


def _wake(tx: Tx, transition: Transition) -> None:
    kind = transition.state.type
    if kind is StateType.SCHEDULED or transition.ended:
        tx.wake("runs")
    if kind is StateType.CANCELLING:
        tx.wake("attempts")
