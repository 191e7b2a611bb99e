"""Task runs: closed by the rules when whatever ran them is gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, select, update

from hub.engine.rules import decide
from hub.engine.run import Cancel, Lose, Refusal, Run, Signal
from hub.states import TERMINAL, State, StateType
from hub.store.base import Tx
from hub.store.tables import StateRow, TaskRunRow
from hub.types import Id, Scope

TABLE = TaskRunRow.__table__  # type: ignore[attr-defined]
_STATES = StateRow.__table__  # type: ignore[attr-defined]
_FINAL = [state.value for state in TERMINAL]
_COLUMNS = ("id", "state_type", "state_name", "state_message", "version", "attempt", "retries_used")


def close_open(tx: Tx, scope: Scope, run_id: Id, message: str) -> int:
    """End the task runs of a run that nothing executes any more: CRASHED, or CANCELLED where they waited."""
    columns = [TABLE.c[name] for name in _COLUMNS]
    query = select(*columns).where(
        TABLE.c.run_id == run_id, TABLE.c.workspace_id == scope.workspace_id, TABLE.c.state_type.not_in(_FINAL)
    )
    rows = [dict(row) for row in tx.conn.execute(query).mappings()]
    for row in rows:
        _close(tx, scope, run_id, row, message)
    return len(rows)


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
    values = {"state_type": new.type.value, "state_name": new.name, "state_message": new.message}
    where = (TABLE.c.id == run.id, TABLE.c.version == run.version)
    tx.conn.execute(update(TABLE).where(*where).values(**values, version=run.version + 1, ended_at=tx.now))
    history = {
        "workspace_id": scope.workspace_id, "run_id": run_id, "task_run_id": run.id, "type": new.type.value,
        "name": new.name, "message": new.message, "attempt": run.attempt, "at": tx.now, "actor": str(scope.actor),
    }  # fmt: skip
    tx.conn.execute(insert(_STATES), history)
