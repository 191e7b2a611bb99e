"""Variables: small values by name."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select

from hub.errors import NotFoundError
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import Variable
from hub.types import Scope, new_id

TABLE = Variable.__table__


def put(tx: Tx, scope: Scope, name: str, value: Any, tags: list[str]) -> dict[str, Any]:
    """Set a variable, whether there is one or not; gives its row."""
    known = find(tx, scope, name)
    row = {
        "id": known["id"] if known else new_id(), "workspace_id": scope.workspace_id, "name": name, "value": value,
        "tags": tags, "updated_by": str(scope.actor), "created_at": known["created_at"] if known else tx.now,
        "updated_at": tx.now,
    }  # fmt: skip
    tx.upsert(TABLE, row, keys=["workspace_id", "name"])
    return row


def add(tx: Tx, scope: Scope, name: str, value: Any, tags: list[str]) -> dict[str, Any] | None:
    """Set a variable that nobody has set; None when somebody has."""
    row = {
        "id": new_id(), "workspace_id": scope.workspace_id, "name": name, "value": value, "tags": tags,
        "updated_by": str(scope.actor), "created_at": tx.now, "updated_at": tx.now,
    }  # fmt: skip
    return row if tx.insert_ignore(TABLE, row) else None


def find(tx: Tx, scope: Scope, name: str) -> dict[str, Any] | None:
    """The row of a variable; None when there is none."""
    query = select(TABLE).where(TABLE.c.workspace_id == scope.workspace_id, TABLE.c.name == name)
    found = tx.conn.execute(query).mappings().first()
    return None if found is None else dict(found)


def get(tx: Tx, scope: Scope, name: str) -> dict[str, Any]:
    """The same; raises NotFoundError."""
    row = find(tx, scope, name)
    if row is None:
        raise NotFoundError(f"there is no variable {name!r}", hint="`hub variables ls` lists them.")
    return row


def listing(tx: Tx, scope: Scope, *, limit: int = 50, cursor: str | None = None) -> Page[dict[str, Any]]:
    """Variables, newest first."""
    query = select(TABLE).where(TABLE.c.workspace_id == scope.workspace_id)
    return page(tx, query, TABLE.c.id, limit=limit, cursor=cursor, make=dict)


def remove(tx: Tx, scope: Scope, name: str) -> bool:
    """Delete a variable; False when there was none."""
    where = (TABLE.c.workspace_id == scope.workspace_id, TABLE.c.name == name)
    return tx.conn.execute(delete(TABLE).where(*where).returning(TABLE.c.id)).first() is not None
