"""Users, API tokens and the audit trail."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import ApiToken, AuditEntry, User
from hub.types import Id, Scope

USERS = User.__table__
TOKENS = ApiToken.__table__
AUDIT = AuditEntry.__table__
_TOKEN_SHOWN = tuple(column for column in TOKENS.c if column.name != "digest")


def has_owner(tx: Tx) -> bool:
    """Whether anybody could log in as an owner. Asked at start, before there is a scope."""
    query = select(USERS.c.id).where(
        USERS.c.role == "owner", USERS.c.disabled_at.is_(None), USERS.c.password_hash.is_not(None)
    )
    return tx.conn.execute(query.limit(1)).first() is not None


def user_named(tx: Tx, workspace_id: Id, name: str) -> dict[str, Any] | None:
    """The account of that name, for a login."""
    return _first(tx, select(USERS).where(USERS.c.workspace_id == workspace_id, USERS.c.name == name))


def user(tx: Tx, user_id: Id) -> dict[str, Any] | None:
    """The account a session names; the row tells its workspace."""
    return _first(tx, select(USERS).where(USERS.c.id == user_id))


def token_of(tx: Tx, digest: str) -> dict[str, Any] | None:
    """The token with that digest; the row tells its workspace."""
    return _first(tx, select(TOKENS).where(TOKENS.c.digest == digest))


def tokens(tx: Tx, scope: Scope, *, limit: int = 50, cursor: str | None = None) -> Page[dict[str, Any]]:
    """The workspace's tokens, newest first, without their digests."""
    query = select(*_TOKEN_SHOWN).where(TOKENS.c.workspace_id == scope.workspace_id)
    return page(tx, query, TOKENS.c.id, limit=limit, cursor=cursor, make=dict)


def note_use(tx: Tx, token_id: Id) -> None:
    """Keep when a token was last used: now."""
    tx.conn.execute(update(TOKENS).where(TOKENS.c.id == token_id).values(last_used_at=tx.now))


def audit(tx: Tx, scope: Scope, *, limit: int = 50, cursor: str | None = None) -> Page[dict[str, Any]]:
    """Who did what, newest first."""
    query = select(AUDIT).where(AUDIT.c.workspace_id == scope.workspace_id)
    return page(tx, query, AUDIT.c.id, limit=limit, cursor=cursor, make=dict)


def _first(tx: Tx, query: Any) -> dict[str, Any] | None:
    row = tx.conn.execute(query).mappings().first()
    return None if row is None else dict(row)
