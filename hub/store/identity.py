"""Users, API tokens and the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select, update

from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import ApiToken, AuditEntry, Invitation, User
from hub.types import Actor, Id, Micros, Scope, first_id

USERS = User.__table__
TOKENS = ApiToken.__table__
AUDIT = AuditEntry.__table__
INVITATIONS = Invitation.__table__
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


def name_of(tx: Tx, actor: Actor) -> str:
    """The name of the account that acts, or that the token which acts belongs to; empty for anybody else."""
    query = select(USERS.c.name).where(USERS.c.id == actor.id)
    if actor.kind == "token":
        query = select(USERS.c.name).join(TOKENS, TOKENS.c.user_id == USERS.c.id).where(TOKENS.c.id == actor.id)
    return str(tx.conn.execute(query).scalar() or "") if actor.kind in ("user", "token") else ""


def token_of(tx: Tx, digest: str) -> dict[str, Any] | None:
    """The token with that digest; the row tells its workspace."""
    return _first(tx, select(TOKENS).where(TOKENS.c.digest == digest))


def tokens(tx: Tx, scope: Scope, *, limit: int = 50, cursor: str | None = None) -> Page[dict[str, Any]]:
    """The workspace's tokens, newest first, without their digests."""
    query = select(*_TOKEN_SHOWN).where(TOKENS.c.workspace_id == scope.workspace_id)
    return page(tx, query, TOKENS.c.id, limit=limit, cursor=cursor, make=dict)


def trim(tx: Tx, *, before: Micros, limit: int) -> int:
    """Forget tokens of services and logins whose time was over before that, and invitations likewise."""
    old = select(TOKENS.c.id).where(TOKENS.c.kind.in_(("access", "login")), TOKENS.c.expires_at < before).limit(limit)
    gone = tx.conn.execute(delete(TOKENS).where(TOKENS.c.id.in_(old))).rowcount
    past = select(INVITATIONS.c.id).where(INVITATIONS.c.expires_at < before).limit(limit)
    return max(gone, tx.conn.execute(delete(INVITATIONS).where(INVITATIONS.c.id.in_(past))).rowcount)


def note_use(tx: Tx, token_id: Id) -> None:
    """Keep when a token was last used: now."""
    tx.conn.execute(update(TOKENS).where(TOKENS.c.id == token_id).values(last_used_at=tx.now))


def audit(
    tx: Tx,
    scope: Scope,
    *,
    limit: int = 50,
    cursor: str | None = None,
    since: Micros | None = None,
    where: Mapping[str, str] | None = None,
) -> Page[dict[str, Any]]:
    """Who did what, newest first; `where` compares columns, also by what they begin with (`user.`)."""
    query = select(AUDIT).where(AUDIT.c.workspace_id == scope.workspace_id)
    for name, value in (where or {}).items():
        column = AUDIT.c[name]
        query = query.where(column.startswith(value, autoescape=True) if value.endswith(".") else column == value)
    if since is not None:
        query = query.where(AUDIT.c.id >= first_id(since))
    return page(tx, query, AUDIT.c.id, limit=limit, cursor=cursor, make=dict)


def users(tx: Tx, scope: Scope, *, limit: int = 50, cursor: str | None = None) -> Page[dict[str, Any]]:
    """The workspace's accounts, newest first, without their passwords."""
    shown = [column for column in USERS.c if column.name != "password_hash"]
    query = select(*shown).where(USERS.c.workspace_id == scope.workspace_id)
    return page(tx, query, USERS.c.id, limit=limit, cursor=cursor, make=dict)


def invitations(tx: Tx, scope: Scope, *, limit: int = 50, cursor: str | None = None) -> Page[dict[str, Any]]:
    """The workspace's invitations that are neither used nor taken back, newest first."""
    shown = [column for column in INVITATIONS.c if column.name != "digest"]
    query = select(*shown).where(
        INVITATIONS.c.workspace_id == scope.workspace_id, INVITATIONS.c.used_at.is_(None),
        INVITATIONS.c.revoked_at.is_(None),
    )  # fmt: skip
    return page(tx, query, INVITATIONS.c.id, limit=limit, cursor=cursor, make=dict)


def invitation(tx: Tx, invitation_id: Id) -> dict[str, Any] | None:
    """An invitation by its id; the row tells its workspace."""
    return _first(tx, select(INVITATIONS).where(INVITATIONS.c.id == invitation_id))


def invitation_of(tx: Tx, digest: str) -> dict[str, Any] | None:
    """The invitation whose token has that digest."""
    return _first(tx, select(INVITATIONS).where(INVITATIONS.c.digest == digest))


def _first(tx: Tx, query: Any) -> dict[str, Any] | None:
    row = tx.conn.execute(query).mappings().first()
    return None if row is None else dict(row)
