"""Webhook sources and their secrets. A source is found by a keyed hash of its token; the token itself is not kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, or_, select, update

from hub.errors import NotFoundError
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.raw import execute, mark, names_of, select_rows
from hub.store.tables import Source, SourceSecret
from hub.types import Id, Micros, Scope, new_id

TABLE = Source.__table__
SECRETS = SourceSecret.__table__
PURPOSE = "source-token"
_TRUE = {"sqlite": "1", "postgresql": "true"}


@dataclass(frozen=True, slots=True)
class OpenSecret:
    """A secret in clear, for the moment it is needed."""

    id: Id
    value: str = field(repr=False)
    expires_at: Micros | None = None


def by_token(tx: Tx, token: str) -> dict[str, Any] | None:
    """The live source behind a token, old tokens in their overlap included; None for any other."""
    digests = tx.keyring.digests(token, purpose=PURPOSE)
    current = TABLE.c.token_digest.in_(digests)
    old = TABLE.c.old_token_digest.in_(digests) & (TABLE.c.old_token_until > tx.now)
    alive = (TABLE.c.enabled.is_(True), TABLE.c.deleted_at.is_(None))
    row = tx.conn.execute(select(TABLE).where(or_(current, old), *alive)).mappings().first()
    return None if row is None else dict(row)


def versions(tx: Tx, ids: list[Id], *, lock: bool = False) -> dict[Id, Micros]:
    """When each of the live sources among `ids` was last changed; with `lock` none changes before the commit."""
    return ask_versions(tx, ids, lock=lock)()


def ask_versions(tx: Tx, ids: list[Id], *, lock: bool = False) -> Callable[[], dict[Id, Micros]]:
    """The same, for whoever looks later."""
    marks = ", ".join([mark(tx.dialect)] * len(ids))
    text = (
        "SELECT id, updated_at FROM sources"  # noqa: S608 - only parameter marks are put in
        f" WHERE enabled = {_TRUE[tx.dialect]} AND deleted_at IS NULL AND id IN ({marks})"
    )
    if lock and tx.dialect == "postgresql":
        text += " FOR SHARE"
    asked = execute(tx, text, tuple(ids))
    return lambda: dict(asked.fetchall())


def row(tx: Tx, scope: Scope, name: str) -> dict[str, Any]:
    """A source by name or id. Raises NotFoundError."""
    query = select(TABLE).where(TABLE.c.workspace_id == scope.workspace_id, TABLE.c.deleted_at.is_(None))
    found = tx.conn.execute(query.where((TABLE.c.name == name) | (TABLE.c.id == name))).mappings().first()
    if found is None:
        raise NotFoundError(
            f"there is no webhook source {name!r} in this workspace", hint="`hub webhooks ls` lists them."
        )
    return dict(found)


def by_id(tx: Tx, scope: Scope, source_id: Id, *, lock: bool = False) -> dict[str, Any] | None:
    """A source by id, deleted ones included; None when there is none in this workspace. With `lock` it stays so."""
    where = {"id": source_id, "workspace_id": scope.workspace_id}
    tail = "FOR SHARE" if lock and tx.dialect == "postgresql" else ""
    return next(iter(select_rows(tx, TABLE, names_of(TABLE), where, tail=tail)), None)


def listing(tx: Tx, scope: Scope, *, limit: int = 50, cursor: str | None = None) -> Page[dict[str, Any]]:
    """The sources of a workspace, newest first."""
    query = select(TABLE).where(TABLE.c.workspace_id == scope.workspace_id, TABLE.c.deleted_at.is_(None))
    return page(tx, query, TABLE.c.id, limit=limit, cursor=cursor, make=dict)


BLANK: dict[str, Any] = {
    "max_body": 1_048_576,
    "rate_per_minute": 6_000,
    "keep_s": 2_592_000,
    "redact": [],
    "alert_after_s": 0,
    "order_by": "",
    "schema_mode": "off",
    "keep_bytes": 0,
    "allow_from": [],
}
"""What a source has that says nothing."""


def insert(tx: Tx, scope: Scope, values: Mapping[str, Any]) -> bool:
    """Write a new source; False when its name is taken."""
    made = {"workspace_id": scope.workspace_id, "created_at": tx.now, "updated_at": tx.now}
    tx.wake("sources")
    return tx.insert_ignore(TABLE, {**BLANK, **values, **made})


def change(tx: Tx, source: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Change columns of a source. `updated_at` always grows: open doors know by it that they are out of date."""
    stamp = max(tx.now, source["updated_at"] + 1)
    tx.conn.execute(update(TABLE).where(TABLE.c.id == source["id"]).values(**values, updated_at=stamp))
    tx.wake("sources")


def confirmed(tx: Tx, source_id: Id, *, closes: bool) -> dict[str, Any] | None:
    """Note that its provider has confirmed a source. The source, or None when there is nothing new to note."""
    found = taken(tx, source_id)
    if found is None or (found["confirmed_at"] is not None and not (closes and found["handshake"] == "open")):
        return None
    shut = {"handshake": "closed"} if closes else {}
    change(tx, found, {"confirmed_at": tx.now, "confirm_error": None, **shut})
    return found


def taken(tx: Tx, source_id: Id) -> dict[str, Any] | None:
    """A source that nobody else changes before the commit."""
    found = tx.conn.execute(select(TABLE).where(TABLE.c.id == source_id).with_for_update()).mappings().first()
    return None if found is None else dict(found)


def numbers(tx: Tx, source_id: Id, count: int) -> int:
    """The first of so many numbers for events of a source; nobody else gets any before this transaction has ended."""
    taken = update(TABLE).where(TABLE.c.id == source_id).values(order_no=TABLE.c.order_no + count)
    return int(tx.conn.execute(taken.returning(TABLE.c.order_no)).scalar_one()) - count + 1


def add_secret(tx: Tx, scope: Scope, source_id: Id, name: str, value: str) -> Id:
    """Seal and keep a secret."""
    secret_id = new_id()
    row = {
        "id": secret_id, "workspace_id": scope.workspace_id, "source_id": source_id, "name": name,
        "sealed": tx.keyring.seal(value, context=f"source_secrets:{secret_id}"), "key_id": tx.keyring.key_id,
        "created_at": tx.now,
    }  # fmt: skip
    tx.insert(SECRETS, row)
    return secret_id


def retire_secrets(tx: Tx, source_id: Id, until: Micros) -> None:
    """Let every secret of a source end at `until`, those that end sooner then."""
    sooner = or_(SECRETS.c.expires_at.is_(None), SECRETS.c.expires_at > until)
    tx.conn.execute(update(SECRETS).where(SECRETS.c.source_id == source_id, sooner).values(expires_at=until))
    tx.conn.execute(delete(SECRETS).where(SECRETS.c.source_id == source_id, SECRETS.c.expires_at <= tx.now))


def secret_rows(tx: Tx, source_id: Id) -> list[dict[str, Any]]:
    """The secrets of a source without their values, oldest first."""
    columns = (SECRETS.c.id, SECRETS.c.name, SECRETS.c.created_at, SECRETS.c.expires_at)
    query = select(*columns).where(SECRETS.c.source_id == source_id).order_by(SECRETS.c.id)
    return [dict(found) for found in tx.conn.execute(query).mappings()]


def open_secrets(tx: Tx, source_id: Id) -> tuple[OpenSecret, ...]:
    """The secrets of a source that have not expired, in clear, oldest first. Raises UnavailableError (missing key)."""
    alive = or_(SECRETS.c.expires_at.is_(None), SECRETS.c.expires_at > tx.now)
    query = select(SECRETS).where(SECRETS.c.source_id == source_id, alive).order_by(SECRETS.c.id)
    return tuple(
        OpenSecret(
            found["id"],
            tx.keyring.open(found["sealed"], context=f"source_secrets:{found['id']}", key_id=found["key_id"]),
            found["expires_at"],
        )
        for found in tx.conn.execute(query).mappings()
    )
