"""Task runs: closed by the rules when whatever ran them is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, insert, select, update

from hub.engine.rules import decide
from hub.engine.run import Cancel, Lose, Refusal, Run, Signal
from hub.errors import NotFoundError
from hub.states import DONE, TERMINAL, State, StateType
from hub.store.base import Tx
from hub.store.tables import SiteValue, StateRow, TaskRunRow
from hub.types import SYSTEM, Id, Micros, Scope

TABLE = TaskRunRow.__table__
_STATES = StateRow.__table__
_VALUES = SiteValue.__table__
LISTENER = "task-states"
"""The site value that is there once somebody reads the history rows of task runs one after the other."""
START = "start"
"""As the step to restart from: nothing of the old run is taken over."""
_FINAL = [state.value for state in TERMINAL]
_COLUMNS = ("id", "state_type", "state_name", "state_message", "version", "attempt", "retries_used")


def close_open(tx: Tx, scope: Scope, run_id: Id, message: str, *, begun_only: bool = False) -> int:
    """End the task runs of a run that nothing executes any more: CRASHED, or CANCELLED where they waited.

    `begun_only` leaves those that wait: for a next attempt, which calls them again.
    """
    columns = [TABLE.c[name] for name in _COLUMNS]
    query = select(*columns).where(
        TABLE.c.run_id == run_id, TABLE.c.workspace_id == scope.workspace_id, TABLE.c.state_type.not_in(_FINAL)
    )
    if begun_only:
        query = query.where(TABLE.c.state_type == StateType.RUNNING.value)
    rows = [dict(row) for row in tx.conn.execute(query).mappings()]
    for row in rows:
        _close(tx, scope, run_id, row, message)
    return len(rows)


def listened(tx: Tx) -> bool:
    """Whether somebody reads every history row, so that none may be left out."""
    return tx.conn.execute(select(_VALUES.c.name).where(_VALUES.c.name == LISTENER)).first() is not None


def left_out(task: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The history rows of a task run that were left out because its own row says the same; see DONE."""
    if (task["state_type"], task["state_name"]) != (DONE.type, DONE.name) or task["started_at"] is None:
        return []
    if any(row["type"] == DONE.type for row in history):
        return []
    common = {
        "id": None, "workspace_id": task["workspace_id"], "run_id": task["run_id"], "task_run_id": task["id"],
        "message": "", "attempt": task["attempt"], "actor": str(SYSTEM),
    }  # fmt: skip
    states = [(StateType.RUNNING, "Running", task["started_at"]), (DONE.type, DONE.name, task["ended_at"])]
    if not history and task["created_at"] < task["started_at"]:  # of one that is called the two are the same
        states.insert(0, (StateType.PENDING, "Pending", task["created_at"]))
    return [{**common, "type": type_.value, "name": name, "at": at} for type_, name, at in states]


def lasted(tx: Tx, scope: Scope, run_id: Id, key: str, until: Micros) -> None:
    """Note that a step which was committed at its begin lasted until then."""
    step = (TABLE.c.run_id == run_id, TABLE.c.workspace_id == scope.workspace_id, TABLE.c.journal_key == key)
    tx.conn.execute(update(TABLE).where(*step, TABLE.c.started_at < until).values(ended_at=until))


def find(tx: Tx, scope: Scope, run_id: Id, named: str) -> Id:
    """The task run that `named` means: its id, its name, or the first one of that task. Raises NotFoundError."""
    of_run = (TABLE.c.run_id == run_id, TABLE.c.workspace_id == scope.workspace_id)
    for column in (TABLE.c.id, TABLE.c.name, TABLE.c.task_name):
        query = select(TABLE.c.id).where(*of_run, column == named).order_by(TABLE.c.created_at, TABLE.c.id)
        found: Id | None = tx.conn.execute(query.limit(1)).scalar()
        if found is not None:
            return found
    raise NotFoundError(
        f"run {run_id} has no task {named!r}", hint=f"`hub runs show {run_id}` lists its tasks.", code="no-such-task"
    )


def before(tx: Tx, scope: Scope, task_run_id: Id) -> list[ColumnElement[bool]]:
    """What selects the steps that were done before that one began, but for those that it was called in."""
    around: list[Id] = []
    columns = (TABLE.c.created_at, TABLE.c.parent_task_run_id)
    query = select(*columns).where(TABLE.c.workspace_id == scope.workspace_id)
    row = tx.conn.execute(query.where(TABLE.c.id == task_run_id)).first()
    if row is None:
        raise NotFoundError(f"there is no task run {task_run_id} in this workspace")
    outer = row.parent_task_run_id
    while outer is not None and outer not in around:
        around.append(outer)
        outer = tx.conn.execute(select(TABLE.c.parent_task_run_id).where(TABLE.c.id == outer)).scalar()
    return [TABLE.c.created_at < row.created_at, TABLE.c.id.not_in([task_run_id, *around])]


def _close(tx: Tx, scope: Scope, run_id: Id, row: Mapping[str, Any], message: str) -> None:
    state = State(StateType(row["state_type"]), row["state_name"], row["state_message"])
    run = Run(
        row["id"], scope.workspace_id, state, row["version"], row["attempt"], home="inline", kind="task",
        retries_used=row["retries_used"],
    )  # fmt: skip
    begun = state.type is StateType.RUNNING
    signal: Signal = Lose(run.attempt, 0, message) if begun else Cancel(message)
    answer = decide(run, signal, now=tx.now)
    if isinstance(answer, Refusal):
        raise AssertionError(answer.reason)
    new = answer.state
    values = {
        "state_type": new.type.value, "state_name": new.name, "state_message": new.message,
        "error_class": answer.error_class,
    }  # fmt: skip
    where = (TABLE.c.id == run.id, TABLE.c.version == run.version)
    tx.conn.execute(update(TABLE).where(*where).values(**values, version=run.version + 1, ended_at=tx.now))
    history = {
        "workspace_id": scope.workspace_id, "run_id": run_id, "task_run_id": run.id, "type": new.type.value,
        "name": new.name, "message": new.message, "attempt": run.attempt, "at": tx.now, "actor": str(scope.actor),
    }  # fmt: skip
    tx.conn.execute(insert(_STATES), history)
