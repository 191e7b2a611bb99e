"""Endpoints and their keys. Addresses and keys are sealed, and opened only here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, or_, select, update

from hub.errors import NotFoundError
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import Endpoint, EndpointKey
from hub.types import Id, Micros, Scope, new_id

TABLE = Endpoint.__table__
KEYS = EndpointKey.__table__
SHOWN = tuple(column for column in TABLE.c if column.name not in ("sealed", "key_id"))


def insert(tx: Tx, scope: Scope, name: str, url: str, label: str) -> Id | None:
    """Write a new endpoint; None when its name is taken."""
    key = new_id()
    row = {
        "id": key, "workspace_id": scope.workspace_id, "name": name, "enabled": True, "disabled_reason": "",
        "created_at": tx.now, "updated_at": tx.now, **_sealed(tx, key, url, label),
    }  # fmt: skip
    return key if tx.insert_ignore(TABLE, row) else None


def _sealed(tx: Tx, key: Id, url: str, label: str) -> dict[str, Any]:
    sealed = tx.keyring.seal(url, context=f"endpoints:{key}")
    return {"label": label, "sealed": sealed, "key_id": tx.keyring.key_id}


def change(tx: Tx, endpoint_id: Id, values: Mapping[str, Any]) -> None:
    """Change columns."""
    tx.conn.execute(update(TABLE).where(TABLE.c.id == endpoint_id).values(**values, updated_at=tx.now))


def readdress(tx: Tx, endpoint_id: Id, url: str, label: str) -> None:
    """Give it another address."""
    change(tx, endpoint_id, _sealed(tx, endpoint_id, url, label))


def get(tx: Tx, scope: Scope, name: str) -> dict[str, Any]:
    """An endpoint by name or id. Raises NotFoundError."""
    query = select(TABLE).where(TABLE.c.workspace_id == scope.workspace_id)
    found = tx.conn.execute(query.where((TABLE.c.name == name) | (TABLE.c.id == name))).mappings().first()
    if found is None:
        raise NotFoundError(f"there is no endpoint {name!r} in this workspace", hint="`hub endpoints ls` lists them.")
    return dict(found)


def listing(tx: Tx, scope: Scope, *, limit: int = 50, cursor: str | None = None) -> Page[dict[str, Any]]:
    """Endpoints without their addresses, newest first."""
    query = select(*SHOWN).where(TABLE.c.workspace_id == scope.workspace_id)
    return page(tx, query, TABLE.c.id, limit=limit, cursor=cursor, make=dict)


def remove(tx: Tx, endpoint_id: Id) -> None:
    """Delete an endpoint and its keys."""
    tx.conn.execute(delete(KEYS).where(KEYS.c.endpoint_id == endpoint_id))
    tx.conn.execute(delete(TABLE).where(TABLE.c.id == endpoint_id))


def add_key(tx: Tx, scope: Scope, endpoint_id: Id, scheme: str, secret: str, public: str = "") -> None:
    """Seal and keep a key."""
    key = new_id()
    row = {
        "id": key, "workspace_id": scope.workspace_id, "endpoint_id": endpoint_id, "scheme": scheme, "public": public,
        "sealed": tx.keyring.seal(secret, context=f"endpoint_keys:{key}"), "key_id": tx.keyring.key_id,
        "created_at": tx.now,
    }  # fmt: skip
    tx.insert(KEYS, row)


def retire_keys(tx: Tx, endpoint_id: Id, until: Micros) -> None:
    """Let every key end at `until`, those that end sooner then."""
    sooner = or_(KEYS.c.expires_at.is_(None), KEYS.c.expires_at > until)
    tx.conn.execute(update(KEYS).where(KEYS.c.endpoint_id == endpoint_id, sooner).values(expires_at=until))
    tx.conn.execute(delete(KEYS).where(KEYS.c.endpoint_id == endpoint_id, KEYS.c.expires_at <= tx.now))


def key_rows(tx: Tx, endpoint_id: Id) -> list[dict[str, Any]]:
    """The keys that hold, without the secret ones, oldest first."""
    return keys_of(tx, [endpoint_id])[endpoint_id]


def keys_of(tx: Tx, endpoint_ids: Sequence[Id]) -> dict[Id, list[dict[str, Any]]]:
    """The same of several endpoints, by endpoint."""
    found: dict[Id, list[dict[str, Any]]] = {endpoint_id: [] for endpoint_id in endpoint_ids}
    columns = [KEYS.c[name] for name in ("id", "scheme", "public", "created_at", "expires_at")]
    query = select(KEYS.c.endpoint_id, *columns).where(KEYS.c.endpoint_id.in_(found), _holds(tx)).order_by(KEYS.c.id)
    for row in tx.conn.execute(query).mappings():
        found[row["endpoint_id"]].append({column.name: row[column.name] for column in columns})
    return found


def opened(tx: Tx, endpoint: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Address and keys in clear, the newest key first. Raises UnavailableError when the hub's key is not here."""
    context = f"endpoints:{endpoint['id']}"
    url = tx.keyring.open(endpoint["sealed"], context=context, key_id=endpoint["key_id"])
    query = select(KEYS).where(KEYS.c.endpoint_id == endpoint["id"], _holds(tx)).order_by(KEYS.c.id.desc())
    keys = tuple(
        tx.keyring.open(row["sealed"], context=f"endpoint_keys:{row['id']}", key_id=row["key_id"])
        for row in tx.conn.execute(query).mappings()
    )
    return url, keys


def _holds(tx: Tx) -> Any:
    return or_(KEYS.c.expires_at.is_(None), KEYS.c.expires_at > tx.now)


def failed(tx: Tx, endpoint_id: Id) -> dict[str, Any] | None:
    """Note that an attempt failed; gives the endpoint as it is now, None when it is gone."""
    since = (TABLE.c.id == endpoint_id, TABLE.c.failing_since.is_(None))
    tx.conn.execute(update(TABLE).where(*since).values(failing_since=tx.now))
    found = tx.conn.execute(select(*SHOWN).where(TABLE.c.id == endpoint_id)).mappings().first()
    return None if found is None else dict(found)


def went_well(tx: Tx, endpoint_id: Id) -> None:
    """Note that an attempt went well."""
    failing = (TABLE.c.id == endpoint_id, TABLE.c.failing_since.is_not(None))
    tx.conn.execute(update(TABLE).where(*failing).values(failing_since=None))


def disable(tx: Tx, endpoint_id: Id, reason: str) -> bool:
    """Switch off; False when it was off."""
    where = (TABLE.c.id == endpoint_id, TABLE.c.enabled.is_(True))
    values = {"enabled": False, "disabled_reason": reason, "updated_at": tx.now}
    return bool(tx.conn.execute(update(TABLE).where(*where).values(**values)).rowcount)


def name_of(tx: Tx, scope: Scope, endpoint_id: Id) -> str | None:
    """What an endpoint is called; None when it is gone."""
    where = (TABLE.c.id == endpoint_id, TABLE.c.workspace_id == scope.workspace_id)
    return tx.conn.execute(select(TABLE.c.name).where(*where)).scalar()
