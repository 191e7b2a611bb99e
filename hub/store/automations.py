"""Automations and what they did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import Automation, Firing, SiteValue
from hub.types import Id, Scope

TABLE = Automation.__table__  # type: ignore[attr-defined]
FIRINGS = Firing.__table__  # type: ignore[attr-defined]
_VALUES = SiteValue.__table__  # type: ignore[attr-defined]
_CURSOR = "automations.cursor"


def enabled(tx: Tx) -> list[dict[str, Any]]:
    """Every automation that is switched on, of all workspaces, in the order they were made."""
    query = select(TABLE).where(TABLE.c.enabled).order_by(TABLE.c.id)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


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
        query = query.where(FIRINGS.c.automation_id == automation_id)
    return [dict(row) for row in tx.conn.execute(query.order_by(FIRINGS.c.at.desc()).limit(200)).mappings()]


def note(tx: Tx, workspace_id: Id, row: Mapping[str, Any]) -> bool:
    """Keep what an automation did about an event; False when it is known already."""
    return tx.insert_ignore(FIRINGS, {**row, "workspace_id": workspace_id, "at": tx.now})


def cursor(tx: Tx) -> int:
    """The last stamped event that every automation has seen."""
    return int(tx.conn.execute(select(_VALUES.c.value).where(_VALUES.c.name == _CURSOR)).scalar() or 0)


def advance(tx: Tx, seq: int) -> None:
    """Move the cursor forward, never back: another upkeep process may be ahead."""
    if seq > cursor(tx):
        tx.upsert(_VALUES, {"name": _CURSOR, "value": seq}, keys=["name"])
