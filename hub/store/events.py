"""Writing events in the transaction that made them true, and reading them in their stamped order."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from hub import events as catalog
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import Event
from hub.types import Id, Scope, new_id

TABLE = Event.__table__  # type: ignore[attr-defined]


def append(
    tx: Tx,
    scope: Scope,
    type_: str,
    *,
    subject: str = "",
    source: str = "hub",
    run_id: Id | None = None,
    event_id: Id | None = None,
    at: int | None = None,
    **fields: Any,
) -> Id:
    """Write one event without a position; the sequencer stamps it once it is committed. Returns its id."""
    body, private = catalog.split(type_, fields)
    row = {
        "id": event_id or new_id(),
        "workspace_id": scope.workspace_id,
        "type": type_,
        "source": source,
        "subject": subject,
        "run_id": run_id,
        "at": tx.now if at is None else at,
        "actor": str(scope.actor),
        "schema_version": 1,
        "body": body,
        "private": private or None,
    }
    tx.insert(TABLE, row)
    tx.wake("stamp")
    return str(row["id"])


def get(tx: Tx, scope: Scope, event_id: Id) -> dict[str, Any] | None:
    """An event by its id, stamped or not."""
    query = select(TABLE).where(TABLE.c.id == event_id, TABLE.c.workspace_id == scope.workspace_id)
    row = tx.conn.execute(query).mappings().first()
    return None if row is None else dict(row)


def after(tx: Tx, *, seq: int, limit: int, workspace_id: Id | None = None) -> list[dict[str, Any]]:
    """Stamped events after `seq` in order. `workspace_id` None: of all workspaces (links and upkeep)."""
    query = select(TABLE).where(TABLE.c.seq > seq)
    if workspace_id is not None:
        query = query.where(TABLE.c.workspace_id == workspace_id)
    return [dict(row) for row in tx.conn.execute(query.order_by(TABLE.c.seq).limit(limit)).mappings()]


def listing(
    tx: Tx,
    scope: Scope,
    *,
    type_prefix: str = "",
    run_id: Id | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[dict[str, Any]]:
    """Stamped events of a workspace, newest first."""
    query = select(TABLE).where(TABLE.c.workspace_id == scope.workspace_id, TABLE.c.seq.is_not(None))
    if type_prefix:
        query = query.where(TABLE.c.type.startswith(type_prefix, autoescape=True))
    if run_id:
        query = query.where(TABLE.c.run_id == run_id)
    return page(tx, query, TABLE.c.seq, limit=limit, cursor=cursor, make=dict)
