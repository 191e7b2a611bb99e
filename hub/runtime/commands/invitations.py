"""Operations on invitations: a link that makes an account once, or gives one a new password."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select, update

from hub.errors import ConflictError, NotFoundError, PermissionError_, UsageError
from hub.runtime.commands.accounts import Hash, Name, Nothing, Role, add, check_role, find
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.runtime.scopes import ROLES
from hub.store import identity
from hub.store.base import Tx
from hub.store.identity import INVITATIONS, USERS
from hub.types import SECOND, Actor, new_id

DAY = 86_400.0
ACTOR = "invitation"
_OWNER_LINK = "first-run"
"""Who made the link that the hub prints when it has no owner."""


class Invite(BaseModel):
    """Whom to invite and what they may do. Without a name they choose one. `user`: a new password for that account."""

    model_config = ConfigDict(extra="forbid")
    name: Name | None = None
    role: Role = "viewer"
    user: str | None = Field(None, min_length=1, max_length=100)
    expires_in: float = Field(7 * DAY, gt=0, le=30 * DAY)


class Accept(BaseModel):
    """The name (where the invitation left it open) and the argon2 hash of the password."""

    model_config = ConfigDict(extra="forbid")
    name: Name | None = None
    password_hash: Hash


def create(tx: Tx, command: Command, args: Invite) -> dict[str, Any]:
    """Make an invitation; its token is in the result once and never again."""
    scope = command.scope
    user = find(tx, scope, args.user) if args.user else None
    if user is not None and user["kind"] != "person":
        raise UsageError(f"{user['name']!r} is the account of a service: it has no password")
    name, role = (user["name"], user["role"]) if user else (args.name or "", args.role)
    check_role(scope.actor, role)
    if user is None and name and identity.user_named(tx, scope.workspace_id, name) is not None:
        raise ConflictError(f"there is an account {name!r} already", hint="Choose another name.")
    return _made(tx, command, name, role, user["id"] if user else None, args.expires_in)


def first_owner(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """A link for the first owner, good for an hour; earlier ones are worthless. Only from this machine."""
    if command.scope.actor.kind != "local":
        raise PermissionError_("the first owner is invited on the machine of the hub")
    if identity.has_owner(tx):
        raise ConflictError("this hub has an owner", hint="`hub users invite` invites others.")
    mine = (INVITATIONS.c.workspace_id == command.scope.workspace_id, INVITATIONS.c.created_by == _OWNER_LINK)
    open_ = (INVITATIONS.c.used_at.is_(None), INVITATIONS.c.revoked_at.is_(None))
    tx.conn.execute(update(INVITATIONS).where(*mine, *open_).values(revoked_at=tx.now))
    return _made(tx, command, "", "owner", None, 3600.0, by=_OWNER_LINK)


def revoke(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Make an invitation worthless; the second time, and one that was used, changes nothing."""
    where = (INVITATIONS.c.id == command.target, INVITATIONS.c.workspace_id == command.scope.workspace_id)
    if tx.conn.execute(select(INVITATIONS.c.id).where(*where)).first() is None:
        raise NotFoundError(f"there is no invitation {command.target}", hint="`hub users invitations` lists them.")
    tx.conn.execute(update(INVITATIONS).where(*where, INVITATIONS.c.revoked_at.is_(None)).values(revoked_at=tx.now))
    return {"id": command.target}


def accept(tx: Tx, command: Command, args: Accept) -> dict[str, Any]:
    """Use an invitation, once: the account is made, or has its new password. Asked for as the invitation itself."""
    row = identity.invitation(tx, command.scope.actor.id)
    if command.scope.actor.kind != ACTOR or row is None or not is_open(tx, row):
        raise NotFoundError("this link has been used, or is not good any more", code="link-over")
    taken = tx.conn.execute(
        update(INVITATIONS).where(INVITATIONS.c.id == row["id"], INVITATIONS.c.used_at.is_(None)).values(used_at=tx.now)
    )
    if taken.rowcount != 1:
        raise NotFoundError("this link has been used, or is not good any more", code="link-over")
    if row["user_id"]:
        values = {"password_hash": args.password_hash, "session_epoch": USERS.c.session_epoch + 1}
        tx.conn.execute(update(USERS).where(USERS.c.id == row["user_id"]).values(**values))
        return {"id": row["user_id"], "name": row["name"]}
    name = row["name"] or args.name
    if not name:
        raise UsageError("the account needs a name", field="name")
    made = add(tx, row["workspace_id"], name, row["role"], password_hash=args.password_hash)
    return {"id": made, "name": name, "role": row["role"]}


def is_open(tx: Tx, row: dict[str, Any]) -> bool:
    """Whether an invitation can still be used: in time, not used, not taken back, and made by who still might."""
    if row["used_at"] is not None or row["revoked_at"] is not None or row["expires_at"] <= tx.now:
        return False
    if row["created_by"] == _OWNER_LINK:
        return not identity.has_owner(tx)
    kind, _, maker = row["created_by"].partition(":")
    user = identity.user(tx, maker) if kind == "user" else None
    if kind == "user" and (user is None or user["disabled_at"] is not None):
        return False
    try:
        if user is not None:
            check_role(Actor("user", maker, ROLES.get(user["role"], frozenset())), row["role"])
    except PermissionError_:
        return False
    return True


def digest(token: str) -> str:
    """What the database keeps of an invitation's token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _made(
    tx: Tx, command: Command, name: str, role: str, user_id: str | None, expires_in: float, *, by: str = ""
) -> dict[str, Any]:
    token = secrets.token_urlsafe(32)
    row = {
        "id": new_id(), "workspace_id": command.scope.workspace_id, "name": name, "role": role, "user_id": user_id,
        "digest": digest(token), "created_by": by or str(command.scope.actor), "created_at": tx.now,
        "expires_at": tx.now + int(expires_in * SECOND), "used_at": None, "revoked_at": None,
    }  # fmt: skip
    tx.insert(INVITATIONS, row)
    return {**{key: value for key, value in row.items() if key not in ("digest", "workspace_id")}, "token": token}


OPS = (
    Op("invitation.create", Invite, create, "users:write", frozenset({"token"})),
    Op("invitation.first_owner", Nothing, first_owner, "owner:write", frozenset({"token"})),
    Op("invitation.revoke", Nothing, revoke, "users:write"),
    Op("invitation.accept", Accept, accept, "", frozenset({"password_hash"})),
)
