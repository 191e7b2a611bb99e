"""Automations and what they did."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from hub.store import raw
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import Automation, Firing, SiteValue
from hub.types import Id, Scope

TABLE = Automation.__table__
FIRINGS = Firing.__table__
_VALUES = SiteValue.__table__
_CURSOR = "automations.cursor"


def stand(tx: Tx) -> tuple[int, int, int]:
    """Something that changes whenever an automation is made, changed, switched or removed."""
    return ask_stand(tx)()


def ask_stand(tx: Tx) -> Callable[[], tuple[int, int, int]]:
    """The same, for whoever looks later."""
    asked = raw.execute(tx, "SELECT COUNT(*), SUM(version), MAX(updated_at) FROM automations WHERE enabled")

    def known() -> tuple[int, int, int]:
        count, versions, changed_at = asked.fetchone()
        return int(count), int(versions or 0), int(changed_at or 0)

    return known


def enabled(tx: Tx) -> list[dict[str, Any]]:
    """Every automation that is switched on, of all workspaces, in the order they were made."""
    return raw.select_rows(tx, TABLE, raw.names_of(TABLE), {}, guard="enabled", tail="ORDER BY id")


def find(tx: Tx, scope: Scope, target: str) -> dict[str, Any] | None:
    """An automation by id or name."""
    query = select(TABLE).where(TABLE.c.workspace_id == scope.workspace_id)
    row = tx.conn.execute(query.where((TABLE.c.id == target) | (TABLE.c.name == target))).mappings().first()
    return None if row is None else dict(row)


def listing(tx: Tx, scope: Scope, *, limit: int = 50, cursor: str | None = None) -> Page[dict[str, Any]]:
    """Automations, newest first."""
    query = select(TABLE).where(TABLE.c.workspace_id == scope.workspace_id)
    return page(tx, query, TABLE.c.id, limit=limit, cursor=cursor, make=dict)


def firings(
    tx: Tx, scope: Scope, *, event_id: Id | None = None, automation_id: Id | None = None
) -> list[dict[str, Any]]:
    """What automations did about an event, or what one automation did lately; at most 200."""
    query = select(FIRINGS).where(FIRINGS.c.workspace_id == scope.workspace_id)
    if event_id is not None:
        query = query.where(FIRINGS.c.event_id == event_id)
    if automation_id is not None:
        query = query.where(FIRINGS.c.automation_id == automation_id, FIRINGS.c.outcome.in_(("fired", "error")))
    return [dict(row) for row in tx.conn.execute(query.order_by(FIRINGS.c.at.desc()).limit(200)).mappings()]


def evaluations(
    tx: Tx, scope: Scope, automation_id: Id, *, outcome: str = "", limit: int = 50, cursor: str | None = None
) -> Page[dict[str, Any]]:
    """Every event that the automation matched or erred on, the newest first, with what came of it."""
    query = select(FIRINGS).where(
        FIRINGS.c.workspace_id == scope.workspace_id, FIRINGS.c.automation_id == automation_id
    )
    query = query.where(FIRINGS.c.outcome == outcome) if outcome else query
    return page(tx, query, FIRINGS.c.event_id, limit=limit, cursor=cursor, make=dict)


def note(tx: Tx, row: Mapping[str, Any]) -> bool:
    """Keep what came of an event for an automation; False when it is known already."""
    return bool(note_all(tx, [row]))


def note_all(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> set[tuple[Id, Id]]:
    """The same of many; gives the automation and the event of those that were not known."""
    full = [{**row, "at": tx.now} for row in rows]
    found = raw.insert_new(tx, FIRINGS, full, ("automation_id", "event_id"))
    return {(automation_id, event_id) for automation_id, event_id in found}


def amend(tx: Tx, automation_id: Id, event_id: Id, values: Mapping[str, Any]) -> None:
    """Add to what was kept: the run that was made, the error of an action."""
    raw.put(tx, FIRINGS, values, {"automation_id": automation_id, "event_id": event_id})


def firing(tx: Tx, automation_id: Id, event_id: Id) -> dict[str, Any] | None:
    """What came of one event for one automation."""
    return firings_of(tx, [(automation_id, event_id)]).get((automation_id, event_id))


def firings_of(tx: Tx, places: Iterable[tuple[Id, Id]]) -> dict[tuple[Id, Id], dict[str, Any]]:
    """The same of some automations and events; those of which nothing came are not in it."""
    names = raw.names_of(FIRINGS)
    asked = {
        place: raw.ask_rows(tx, FIRINGS, names, {"automation_id": place[0], "event_id": place[1]}) for place in places
    }
    return {place: row for place, rows in asked.items() for row in rows.all()}


def cursor(tx: Tx) -> int:
    """The last stamped event that every automation has seen."""
    return ask_cursor(tx)()


def ask_cursor(tx: Tx) -> Callable[[], int]:
    """The same, for whoever looks later."""
    asked = raw.ask_rows(tx, _VALUES, ("value",), {"name": _CURSOR})
    return lambda: next((int(row["value"]) for row in asked.all()), 0)


def lock(tx: Tx) -> int:
    """The cursor, which no other process moves until the end of this transaction: only one counts at a time."""
    if tx.dialect == "sqlite":
        return cursor(tx)  # a transaction that writes is alone
    found = raw.select_rows(tx, _VALUES, ("value",), {"name": _CURSOR}, tail="FOR UPDATE")
    if found:
        return int(found[0]["value"])
    tx.insert_missing(_VALUES, {"name": _CURSOR, "value": 0})
    return lock(tx)


def advance(tx: Tx, seq: int, seen: int | None = None) -> None:
    """Move the cursor forward, never back: another upkeep process may be ahead. `seen`: where it is, for whoever has
    locked it."""
    if seq > (cursor(tx) if seen is None else seen):
        tx.upsert(_VALUES, {"name": _CURSOR, "value": seq}, keys=["name"])
