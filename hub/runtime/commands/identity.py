"""Operations on API tokens. None of them can be asked for by a plane."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import update

from hub.errors import NotFoundError, PermissionError_, UsageError
from hub.runtime.commands import accounts
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.runtime.scopes import may_grant
from hub.store import identity
from hub.store.base import Store, Tx
from hub.store.identity import TOKENS
from hub.types import SECOND, Id, new_id

_SCOPE = re.compile(r"^(\*|[a-z][a-z_-]{0,39}|\*:[a-z]{1,20}|[a-z][a-z_-]{0,39}:(\*|[a-z]{1,20}))$")
ScopeText = Annotated[str, StringConstraints(max_length=64)]


class CreateToken(BaseModel):
    """A token for a program. `expires_in` in seconds; null: until it is revoked. `account`: a service it belongs to."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=100)
    scopes: list[ScopeText] = Field(default_factory=lambda: ["*"], min_length=1, max_length=50)
    expires_in: float | None = Field(None, gt=0, le=315_360_000)
    kind: Literal["api", "site"] = "api"
    account: str | None = Field(None, min_length=1, max_length=100)


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def create_token(tx: Tx, command: Command, args: CreateToken) -> dict[str, Any]:
    """Make a token; its text is in the result once and never again."""
    _refuse_link(command)
    account = _account(tx, command, args.account)
    scopes = sorted(set(args.scopes))
    for scope in scopes:
        if not is_scope(scope):
            raise UsageError(f"{scope[:64]!r} is not a scope", hint="Write runs:read, runs:* or *.")
        # What a service's token may do is bounded by the service's role whenever it is used.
        if args.account is None and not may_grant(command.scope.actor, scope):
            raise PermissionError_(f"you cannot give the scope {scope!r}: you do not have it yourself")
    text = f"hub_{args.kind}_{secrets.token_urlsafe(32)}"
    expires = None if args.expires_in is None else tx.now + int(args.expires_in * SECOND)
    row = {
        "id": new_id(), "workspace_id": command.scope.workspace_id, "name": args.name, "kind": args.kind,
        "user_id": account,
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


def is_scope(text: str) -> bool:
    """Whether that is written as a scope is."""
    return _SCOPE.match(text) is not None


def _account(tx: Tx, command: Command, named: str | None) -> Id | None:
    """Whose the token is: of the service that was named, else of who makes it; a token hands on its account."""
    actor = command.scope.actor
    if named is not None:
        user = accounts.find(tx, command.scope, named)
        if user["kind"] != "service":
            raise UsageError(f"{named!r} is a person's account", hint="People make their own tokens.")
        accounts.check_role(actor, user["role"])
        return str(user["id"])
    if actor.kind == "token":
        query = TOKENS.select().where(TOKENS.c.id == actor.id, TOKENS.c.workspace_id == command.scope.workspace_id)
        made_by = tx.conn.execute(query).mappings().first()
        return made_by["user_id"] if made_by else None
    return actor.id if actor.kind == "user" else None


def _refuse_link(command: Command) -> None:
    if command.via == "link":
        raise PermissionError_("a plane cannot make tokens of this hub")


OPS = (
    Op("token.create", CreateToken, create_token, "tokens:write", frozenset({"token"})),
    Op("token.revoke", Nothing, revoke_token, "tokens:write"),
)
