"""Reading events for people: filtered pages in both directions, and single events."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, or_, select

from hub.errors import NotFoundError
from hub.events import CATALOG
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import Event
from hub.types import Id, Scope

TABLE = Event.__table__


def listing(
    tx: Tx,
    scope: Scope,
    *,
    types: tuple[str, ...] = (),
    run_id: Id | None = None,
    after: int | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[dict[str, Any]]:
    """Stamped events, newest first; with `after`, those behind that position, oldest first.

    `types` are beginnings of event types; an event matches one of them or all are empty.
    """
    query = select(TABLE).where(TABLE.c.workspace_id == scope.workspace_id, TABLE.c.seq.is_not(None))
    query = query.where(*of_types(types))
    if run_id is not None:
        query = query.where(TABLE.c.run_id == run_id)
    if after is not None:
        query = query.where(TABLE.c.seq > after)
    return page(tx, query, TABLE.c.seq, limit=limit, cursor=cursor, newest_first=after is None, make=dict)


def of_types(types: tuple[str, ...]) -> list[ColumnElement[bool]]:
    """The condition that a type begins with one of `types`; none without them."""
    wanted = [prefix for prefix in types if prefix]
    if len(wanted) == 1 and [name for name in CATALOG if name.startswith(wanted[0])] == wanted:
        # A whole name that begins no other: the index by type finds it, however rare it is among however many.
        return [TABLE.c.type == wanted[0]]
    return [or_(*(TABLE.c.type.startswith(prefix, autoescape=True) for prefix in wanted))] if wanted else []


def get(tx: Tx, scope: Scope, event_id: Id) -> dict[str, Any]:
    """One event, stamped or not. Raises NotFoundError."""
    query = select(TABLE).where(TABLE.c.id == event_id, TABLE.c.workspace_id == scope.workspace_id)
    row = tx.conn.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(f"there is no event {event_id} in this workspace", hint="`hub events ls` lists them.")
    return dict(row)
