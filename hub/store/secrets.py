"""Named secrets, sealed. A value is opened only here."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select, update

from hub.errors import NotFoundError
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import Secret
from hub.types import Scope, new_id

TABLE = Secret.__table__
_SHOWN = (TABLE.c.id, TABLE.c.name, TABLE.c.key_id, TABLE.c.created_at, TABLE.c.updated_at)


def put(tx: Tx, scope: Scope, name: str, value: str) -> None:
    """Set a secret, new or not."""
    known = _row(tx, scope, name)
    key = known["id"] if known else new_id()
    sealed = tx.keyring.seal(value, context=f"secrets:{key}")
    row = {"id": key, "workspace_id": scope.workspace_id, "name": name, "sealed": sealed, "key_id": tx.keyring.key_id}
    created = known["created_at"] if known else tx.now
    tx.upsert(TABLE, {**row, "created_at": created, "updated_at": tx.now}, keys=["id"])


def reveal(tx: Tx, scope: Scope, name: str) -> str:
    """The value of a secret. Raises NotFoundError."""
    row = _row(tx, scope, name)
    if row is None:
        raise NotFoundError(f"there is no secret {name!r}", hint=f"`hub secrets set {name}` makes it.")
    return tx.keyring.open(row["sealed"], context=f"secrets:{row['id']}", key_id=row["key_id"])


def listing(tx: Tx, scope: Scope, *, limit: int = 50, cursor: str | None = None) -> Page[dict[str, Any]]:
    """Names and dates, never values."""
    query = select(*_SHOWN).where(TABLE.c.workspace_id == scope.workspace_id)
    return page(tx, query, TABLE.c.id, limit=limit, cursor=cursor, make=dict)


def remove(tx: Tx, scope: Scope, name: str) -> bool:
    """Delete a secret; False when there was none."""
    where = (TABLE.c.workspace_id == scope.workspace_id, TABLE.c.name == name)
    return tx.conn.execute(delete(TABLE).where(*where).returning(TABLE.c.id)).first() is not None


def reseal(tx: Tx, scope: Scope, *, limit: int = 500) -> int:
    """Seal with the newest key whatever an older one sealed; says how many. Call it until it says 0."""
    query = select(TABLE).where(TABLE.c.workspace_id == scope.workspace_id, TABLE.c.key_id != tx.keyring.key_id)
    rows = tx.conn.execute(query.limit(limit)).mappings().all()
    for row in rows:
        value = tx.keyring.open(row["sealed"], context=f"secrets:{row['id']}", key_id=row["key_id"])
        values = {"sealed": tx.keyring.seal(value, context=f"secrets:{row['id']}"), "key_id": tx.keyring.key_id}
        tx.conn.execute(update(TABLE).where(TABLE.c.id == row["id"]).values(**values))
    return len(rows)


def _row(tx: Tx, scope: Scope, name: str) -> dict[str, Any] | None:
    query = select(TABLE).where(TABLE.c.workspace_id == scope.workspace_id, TABLE.c.name == name)
    found = tx.conn.execute(query).mappings().first()
    return None if found is None else dict(found)
