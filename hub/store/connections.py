"""Named connections. Their secret fields are sealed together, and opened only here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select

from hub.errors import NotFoundError
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import Connection
from hub.types import Scope, new_id

TABLE = Connection.__table__


def put(
    tx: Tx, scope: Scope, name: str, kind: str, *, fields: Mapping[str, Any], secrets: Mapping[str, str]
) -> dict[str, Any]:
    """Make a connection, or make the one of that name be as given; gives its row."""
    known = find(tx, scope, name)
    key = known["id"] if known else new_id()
    sealed = tx.keyring.seal(json.dumps(dict(secrets)), context=f"connections:{key}")
    row = {
        "id": key, "workspace_id": scope.workspace_id, "name": name, "kind": kind, "fields": dict(fields),
        "secret_fields": sorted(secrets), "sealed": sealed, "key_id": tx.keyring.key_id,
        "created_at": known["created_at"] if known else tx.now, "updated_at": tx.now,
    }  # fmt: skip
    tx.upsert(TABLE, row, keys=["id"])
    return row


def find(tx: Tx, scope: Scope, name: str) -> dict[str, Any] | None:
    """The row of a connection, its secrets still sealed; None when there is none."""
    query = select(TABLE).where(TABLE.c.workspace_id == scope.workspace_id, TABLE.c.name == name)
    found = tx.conn.execute(query).mappings().first()
    return None if found is None else dict(found)


def get(tx: Tx, scope: Scope, name: str) -> dict[str, Any]:
    """The same; raises NotFoundError."""
    row = find(tx, scope, name)
    if row is None:
        raise NotFoundError(f"there is no connection {name!r}", hint="`hub connections ls` lists them.")
    return row


def secrets_of(tx: Tx, row: Mapping[str, Any]) -> dict[str, str]:
    """The secret fields of a row, open. Raises UnavailableError when the key is not here."""
    text = tx.keyring.open(row["sealed"], context=f"connections:{row['id']}", key_id=row["key_id"])
    opened: dict[str, str] = json.loads(text)
    return opened


def listing(tx: Tx, scope: Scope, *, limit: int = 50, cursor: str | None = None) -> Page[dict[str, Any]]:
    """Connections without what is sealed."""
    columns = [column for column in TABLE.c if column.name != "sealed"]
    query = select(*columns).where(TABLE.c.workspace_id == scope.workspace_id)
    return page(tx, query, TABLE.c.id, limit=limit, cursor=cursor, make=dict)


def remove(tx: Tx, scope: Scope, name: str) -> bool:
    """Delete a connection; False when there was none."""
    where = (TABLE.c.workspace_id == scope.workspace_id, TABLE.c.name == name)
    return tx.conn.execute(delete(TABLE).where(*where).returning(TABLE.c.id)).first() is not None
