"""Bookmarks: kept requests by name. Retention passes over what has one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select

from hub.errors import NotFoundError
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import Bookmark, Receipt
from hub.types import Id, Scope, new_id

TABLE = Bookmark.__table__
RECEIPTS = Receipt.__table__
_SHOWN = select(TABLE, RECEIPTS.c.event_type, RECEIPTS.c.received_at, RECEIPTS.c.body_size).join(
    RECEIPTS, RECEIPTS.c.id == TABLE.c.receipt_id
)


def put(tx: Tx, scope: Scope, name: str, receipt: dict[str, Any]) -> None:
    """Give a request a name; one that had it loses it."""
    row = {
        "id": new_id(), "workspace_id": scope.workspace_id, "name": name, "receipt_id": receipt["id"],
        "source_id": receipt["source_id"], "created_at": tx.now,
    }  # fmt: skip
    tx.conn.execute(delete(TABLE).where(*_named(scope, name)))
    tx.insert(TABLE, row)


def get(tx: Tx, scope: Scope, name: str) -> dict[str, Any]:
    """A bookmark by its name. Raises NotFoundError."""
    found = tx.conn.execute(_SHOWN.where(*_named(scope, name))).mappings().first()
    if found is None:
        raise NotFoundError(f"there is no bookmark {name!r}", hint="`hub webhooks bookmarks` lists them.")
    return dict(found)


def listing(tx: Tx, scope: Scope, *, limit: int = 50, cursor: str | None = None) -> Page[dict[str, Any]]:
    """The bookmarks of a workspace, newest first."""
    query = _SHOWN.where(TABLE.c.workspace_id == scope.workspace_id)
    return page(tx, query, TABLE.c.id, limit=limit, cursor=cursor, make=dict)


def names_of(tx: Tx, scope: Scope, receipt_id: Id) -> list[str]:
    """The names that a request has, the first given first."""
    where = (TABLE.c.workspace_id == scope.workspace_id, TABLE.c.receipt_id == receipt_id)
    return list(tx.conn.execute(select(TABLE.c.name).where(*where).order_by(TABLE.c.id)).scalars())


def remove(tx: Tx, scope: Scope, name: str) -> Id:
    """Forget a name; its request stays as long as others do. Returns the request's id. Raises NotFoundError."""
    receipt_id: Id = get(tx, scope, name)["receipt_id"]
    tx.conn.execute(delete(TABLE).where(*_named(scope, name)))
    return receipt_id


def _named(scope: Scope, name: str) -> tuple[Any, ...]:
    return (TABLE.c.workspace_id == scope.workspace_id, TABLE.c.name == name)
