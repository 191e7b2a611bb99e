"""Named secrets, sealed. A value is opened only here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import Table, delete, select, update

from hub.errors import NotFoundError
from hub.store import raw
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import Channel, Connection, Endpoint, EndpointKey, Link, PluginSetting, Secret, SourceSecret
from hub.types import Id, Scope, new_id

TABLE = Secret.__table__
ELSEWHERE: tuple[tuple[Table, str, str], ...] = (
    (SourceSecret.__table__, "sealed", "source_secrets:{}"),
    (Channel.__table__, "sealed", "channels:{}"),
    (Connection.__table__, "sealed", "connections:{}"),
    (Endpoint.__table__, "sealed", "endpoints:{}"),
    (EndpointKey.__table__, "sealed", "endpoint_keys:{}"),
    (Link.__table__, "sealed_token", "links:{}:token"),
    (Link.__table__, "sealed_keys", "links:{}:keys"),
    (PluginSetting.__table__, "sealed", "plugin_settings:{}"),
)
"""Every other column that holds sealed bytes, and its context, in which the row's id stands."""
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


def opened(tx: Tx, workspace_id: Id) -> set[str]:
    """Every secret that the workspace keeps, so that it can be kept out of what leaves.

    Of settings each one, of an address also its password. Raises HubError where one cannot be opened.
    """
    found: set[str] = set()
    for table, column, context in ((TABLE, "sealed", "secrets:{}"), *ELSEWHERE):
        names, where = ("id", column, "key_id"), {"workspace_id": workspace_id}
        for row in raw.select_rows(tx, table, names, where, guard=f"{column} IS NOT NULL"):
            opened = tx.keyring.open(bytes(row[column]), context=context.format(row["id"]), key_id=row["key_id"])
            found.update(_parts(opened))
    return found


def _parts(text: str) -> Iterator[str]:
    """A sealed text, or each text in it where it is JSON with several; of an address its password too."""
    try:
        inside = json.loads(text)
    except ValueError:
        inside = None
    if isinstance(inside, Mapping):
        yield from (item for item in inside.values() if isinstance(item, str))
        return
    yield text
    if "://" in text:
        try:
            password = urlsplit(text).password
        except ValueError:
            return
        yield from (password, unquote(password)) if password else ()


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
