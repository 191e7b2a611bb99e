"""Limits as people see them: what there is, who holds it, who waits in which place."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, func, select

from hub.errors import NotFoundError
from hub.store.base import Tx
from hub.store.limits import SLOTS, TABLE
from hub.store.pages import Page, page
from hub.store.tables import RunRow, TaskRunRow
from hub.types import Id, Scope

_RUNS = RunRow.__table__
_TASKS = TaskRunRow.__table__
SHOWN = 200
"""So many holders and waiters are shown, at most."""


def listing(tx: Tx, scope: Scope, *, limit: int = 50, cursor: str | None = None) -> Page[dict[str, Any]]:
    """Limits, newest first, each with what is `held`, how many `waiting`, and what is `spent` of its rate."""
    query = select(TABLE).where(TABLE.c.workspace_id == scope.workspace_id)
    found = page(tx, query, TABLE.c.id, limit=limit, cursor=cursor, make=dict)
    for row in found.items:
        row.update(_counts(tx, row["id"]))
    return found


def find(tx: Tx, scope: Scope, name: str) -> dict[str, Any] | None:
    """A limit by its name."""
    query = select(TABLE).where(TABLE.c.workspace_id == scope.workspace_id, TABLE.c.name == name)
    row = tx.conn.execute(query).mappings().first()
    return None if row is None else dict(row)


def show(tx: Tx, scope: Scope, name: str) -> dict[str, Any]:
    """A limit with its `holders` and `waiters`, each at most 200, the waiters in their order from position 1."""
    found = find(tx, scope, name)
    if found is None:
        raise NotFoundError(f"there is no limit {name!r} in this workspace", hint="`hub limits ls` lists them.")
    waiters = [{**row, "position": place} for place, row in enumerate(_people(tx, found["id"], "WAITING"), 1)]
    return {**found, **_counts(tx, found["id"]), "holders": _people(tx, found["id"], "HELD"), "waiters": waiters}


def waits_of_run(tx: Tx, scope: Scope, run_id: Id) -> list[dict[str, Any]]:
    """What code of a run waits for, first who is next: limit's name and slots, place in its line, runs that hold it."""
    query = (
        select(SLOTS, TABLE.c.name.label("limit_name"), TABLE.c.slots, _TASKS.c.name.label("task_name"))
        .join(TABLE, TABLE.c.id == SLOTS.c.limit_id)
        .outerjoin(_TASKS, _TASKS.c.id == SLOTS.c.task_run_id)
        .where(
            SLOTS.c.run_id == run_id, SLOTS.c.workspace_id == scope.workspace_id, SLOTS.c.state == "WAITING",
            SLOTS.c.expires_at > tx.now,
        ).order_by(SLOTS.c.at).limit(20)
    )  # fmt: skip
    found = [dict(row) for row in tx.conn.execute(query).mappings()]
    for row in found:
        earlier = select(func.count()).where(
            SLOTS.c.limit_id == row["limit_id"], SLOTS.c.state == "WAITING", SLOTS.c.ticket < row["ticket"],
            SLOTS.c.expires_at > tx.now,
        )  # fmt: skip
        row["position"] = int(tx.conn.execute(earlier).scalar_one()) + 1
        row["holders"] = list(dict.fromkeys(who["run_id"] for who in _people(tx, row["limit_id"], "HELD")))
    return sorted(found, key=lambda row: row["position"])


def _counts(tx: Tx, limit_id: Id) -> dict[str, int]:
    query = select(SLOTS.c.state, func.count(), func.sum(SLOTS.c.occupy)).where(
        SLOTS.c.limit_id == limit_id, SLOTS.c.expires_at > tx.now
    )
    found = {state: (rows, int(total)) for state, rows, total in tx.conn.execute(query.group_by(SLOTS.c.state))}
    nobody = (0, 0)
    return {
        "held": found.get("HELD", nobody)[1], "waiting": found.get("WAITING", nobody)[0],
        "spent": found.get("SPENT", nobody)[1],
    }  # fmt: skip


def _people(tx: Tx, limit_id: Id, state: str) -> list[dict[str, Any]]:
    return [dict(row) for row in tx.conn.execute(_PEOPLE, {"of": limit_id, "in": state, "now": tx.now}).mappings()]


_PEOPLE = (
    select(
        SLOTS.c.run_id, SLOTS.c.attempt_id, SLOTS.c.task_run_id, SLOTS.c.occupy, SLOTS.c.at, SLOTS.c.expires_at,
        _RUNS.c.name.label("run_name"), _TASKS.c.name.label("task_name"),
    )
    .outerjoin(_RUNS, _RUNS.c.id == SLOTS.c.run_id)
    .outerjoin(_TASKS, _TASKS.c.id == SLOTS.c.task_run_id)
    .where(SLOTS.c.limit_id == bindparam("of"), SLOTS.c.state == bindparam("in"), SLOTS.c.expires_at > bindparam("now"))
    .order_by(SLOTS.c.ticket, SLOTS.c.at)
    .limit(SHOWN)
)  # fmt: skip
