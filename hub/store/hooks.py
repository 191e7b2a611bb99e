"""Calls of state hooks that an ended run owes: noted with its end, struck out by whoever called them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import bindparam, update

from hub.states import StateType
from hub.store import effects
from hub.store.base import Tx
from hub.store.tables import Log, RunRow
from hub.types import SECOND, Id, Scope

ORIGIN = "hooks"
"""The origin of a run that calls the hooks of another one."""
KIND = "state_hook"
ENDS: MappingProxyType[StateType, str] = MappingProxyType(
    {
        StateType.COMPLETED: "on_completion",
        StateType.FAILED: "on_failure",
        StateType.CRASHED: "on_crashed",
        StateType.CANCELLED: "on_cancellation",
    }
)
"""Which hooks the end of a run calls."""
_MOMENT = SECOND
"""Whoever reports the end calls the hooks itself, most often before anybody else looks."""


def owe(tx: Tx, scope: Scope, run: Mapping[str, Any], *, here: bool) -> None:
    """Note, with its end, that hooks of a run are to be called. `here`: who reports it calls them itself."""
    event = ENDS[StateType(run["state_type"])]
    if event in run["state_hooks"]:
        given = {"run_id": run["id"], "event": event, "here": here}
        effects.add(tx, scope, KIND, run["id"], given, due_at=tx.now + _MOMENT if here else None)


def called(tx: Tx, run_id: Id) -> None:
    """Strike out what was called."""
    tx.conn.execute(_CALLED, {"of": run_id, "now": tx.now})


def has(tx: Tx, scope: Scope, run_id: Id, events: Iterable[str]) -> None:
    """Note which hooks the flow of a run has, as its file says now."""
    tx.conn.execute(_HAS, {"of": run_id, "workspace": scope.workspace_id, "events": sorted(events)})


def log(tx: Tx, scope: Scope, run_id: Id, attempt: int, level: int, line: str) -> None:
    """Write a line into the log of a run that has ended."""
    row = {
        "workspace_id": scope.workspace_id, "run_id": run_id, "task_run_id": None, "attempt": attempt, "at": tx.now,
        "level": level, "logger": "hub", "message": line,
    }  # fmt: skip
    tx.insert(Log.__table__, row)
    tx.wake("logs")


_CALLED = (
    update(effects.TABLE)
    .where(effects.TABLE.c.kind == KIND, effects.TABLE.c.key == bindparam("of"), effects.TABLE.c.done_at.is_(None))
    .values(done_at=bindparam("now"), claimed_until=None)
)
_RUNS = RunRow.__table__
_HAS = (
    update(_RUNS)
    .where(_RUNS.c.id == bindparam("of"), _RUNS.c.workspace_id == bindparam("workspace"))
    .values(state_hooks=bindparam("events"))
)
