"""Operations on accounts and API tokens. None of them can be asked for by a plane."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import update

from hub.errors import NotFoundError, PermissionError_, UsageError
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.runtime.scopes import may_grant
from hub.store import identity
from hub.store.base import Store, Tx
from hub.store.identity import TOKENS, USERS, user_named
from hub.types import SECOND, Id, new_id

_SCOPE = re.compile(r"^(\*|[a-z][a-z_-]{0,39}|\*:[a-z]{1,20}|[a-z][a-z_-]{0,39}:(\*|[a-z]{1,20}))$")
ScopeText = Annotated[str, StringConstraints(max_length=64)]


class SetOwner(BaseModel):
    """The owner's name and the argon2 hash of the password, made before the transaction."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=100)
    password_hash: str = Field(min_length=20, max_length=300)


class CreateToken(BaseModel):
    """A token for a program. `expires_in` in seconds; null: until it is revoked."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=100)
    scopes: list[ScopeText] = Field(default_factory=lambda: ["*"], min_length=1, max_length=50)
    expires_in: float | None = Field(None, gt=0, le=315_360_000)
    kind: Literal["api", "site"] = "api"


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def set_owner(tx: Tx, command: Command, args: SetOwner) -> dict[str, Any]:
    """Make the owner's account, or give it a new password, which ends its sessions. Only from this machine."""
    if command.scope.actor.kind != "local":
        raise PermissionError_(
            "the owner's account is made on the machine of the hub", hint="Run `hub owner create NAME` there."
        )
    workspace = command.scope.workspace_id
    known = user_named(tx, workspace, args.name)
    if known is None:
        row = {
            "id": new_id(), "workspace_id": workspace, "name": args.name, "role": "owner",
            "password_hash": args.password_hash, "session_epoch": 0, "created_at": tx.now,
        }  # fmt: skip
        tx.insert(USERS, row)
        return {"id": row["id"], "name": args.name, "role": "owner", "created": True}
    values = {"password_hash": args.password_hash, "role": "owner", "disabled_at": None}
    tx.conn.execute(
        update(USERS).where(USERS.c.id == known["id"]).values(session_epoch=USERS.c.session_epoch + 1, **values)
    )
    return {"id": known["id"], "name": args.name, "role": "owner", "created": False}


def end_sessions(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """End every session of the user who asks."""
    if command.scope.actor.kind != "user":
        raise UsageError("only a signed-in user has sessions to end")
    where = (USERS.c.id == command.scope.actor.id, USERS.c.workspace_id == command.scope.workspace_id)
    tx.conn.execute(update(USERS).where(*where).values(session_epoch=USERS.c.session_epoch + 1))
    return {"id": command.scope.actor.id}


def create_token(tx: Tx, command: Command, args: CreateToken) -> dict[str, Any]:
    """Make a token; its text is in the result once and never again."""
    _refuse_link(command)
    scopes = sorted(set(args.scopes))
    for scope in scopes:
        if not _SCOPE.match(scope):
            raise UsageError(f"{scope[:64]!r} is not a scope", hint="Write runs:read, runs:* or *.")
        if not may_grant(command.scope.actor, scope):
            raise PermissionError_(f"you cannot give the scope {scope!r}: you do not have it yourself")
    text = f"hub_{args.kind}_{secrets.token_urlsafe(32)}"
    expires = None if args.expires_in is None else tx.now + int(args.expires_in * SECOND)
    row = {
        "id": new_id(), "workspace_id": command.scope.workspace_id, "name": args.name, "kind": args.kind,
        "user_id": command.scope.actor.id if command.scope.actor.kind == "user" else None,
        "prefix": text[: len(args.kind) + 9], "digest": digest(text), "scopes": scopes, "created_at": tx.now,
        "expires_at": expires,
    }  # fmt: skip
    tx.insert(TOKENS, row)
    shown = {name: value for name, value in row.items() if name not in ("digest", "workspace_id")}
    return {**shown, "token": text}


def revoke_token(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Make a token worthless at once; the second time changes nothing."""
    where = (TOKENS.c.id == command.target, TOKENS.c.workspace_id == command.scope.workspace_id)
    found = tx.conn.execute(TOKENS.select().where(*where)).mappings().first()
    if found is None:
        raise NotFoundError(f"there is no token {command.target} in this workspace", hint="`hub tokens ls` lists them.")
    if found["revoked_at"] is None:
        tx.conn.execute(update(TOKENS).where(*where).values(revoked_at=tx.now))
    return {"id": command.target}


def note_use(store: Store, token_id: Id) -> None:
    """Keep when a token was last used. No command: it changes nothing that anybody decides by."""
    with store.write(durable=False) as tx:
        identity.note_use(tx, token_id)


def digest(token: str) -> str:
    """What the database keeps of a token: it is random enough that a plain hash cannot be guessed back."""
    return hashlib.sha256(token.encode()).hexdigest()


def _refuse_link(command: Command) -> None:
    if command.via == "link":
        raise PermissionError_("a plane cannot make tokens of this hub")


OPS = (
    Op("user.owner", SetOwner, set_owner, "owner:write", frozenset({"password_hash"})),
    Op("user.end_sessions", Nothing, end_sessions, ""),
    Op("token.create", CreateToken, create_token, "tokens:write", frozenset({"token"})),
    Op("token.revoke", Nothing, revoke_token, "tokens:write"),
)
