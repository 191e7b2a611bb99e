"""Operations on logins from terminals: allowed or refused by a person, and the tokens that come of it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hub.errors import ConflictError, NotFoundError, PermissionError_
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.store import device_logins
from hub.store.base import Tx
from hub.store.identity import TOKENS
from hub.types import ID_PATTERN, SECOND, new_id


class Decide(BaseModel):
    """The code that the terminal shows, and whether it may come in."""

    model_config = ConfigDict(extra="forbid")
    user_code: str = Field(min_length=1, max_length=40)
    allow: bool


class Issue(BaseModel):
    """A token that the authorization server gives: kept as its SHA-256. `login`: the one that it answers."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=100)
    kind: Literal["login", "access"]
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    prefix: str = Field(max_length=30)
    scopes: list[str] = Field(min_length=1, max_length=50)
    expires_in: float = Field(gt=0, le=7_776_000)
    login: str | None = Field(None, pattern=ID_PATTERN)


def decide(tx: Tx, command: Command, args: Decide) -> dict[str, Any]:
    """Allow or refuse a terminal to act as the person who asks."""
    if command.scope.actor.kind != "user" or command.via == "link":
        raise PermissionError_("only somebody who is signed in can let a terminal in", hint="Sign in on the dashboard.")
    found = device_logins.by_code(tx, args.user_code)
    status = device_logins.APPROVED if args.allow else device_logins.DENIED
    if found is None or not device_logins.decide(tx, found["id"], status, command.scope.actor.id):
        raise NotFoundError("no terminal waits with this code", hint="Look again at what it shows: hub login.")
    return {"id": found["id"], "allowed": args.allow, "scopes": found["scopes"], "address": found["address"]}


def issue(tx: Tx, command: Command, args: Issue) -> dict[str, Any]:
    """Keep a token of the account that acts; a login is answered once."""
    if command.scope.actor.kind != "user" or command.via == "link":
        raise PermissionError_("tokens of this kind are given by the authorization server only")
    if args.login is not None and not device_logins.redeem(tx, args.login):
        raise ConflictError("this login has been answered", code="used")
    row = {
        "id": new_id(), "workspace_id": command.scope.workspace_id, "user_id": command.scope.actor.id,
        "name": args.name, "kind": args.kind, "prefix": args.prefix, "digest": args.digest,
        "scopes": args.scopes, "created_at": tx.now, "expires_at": tx.now + int(args.expires_in * SECOND),
    }  # fmt: skip
    tx.insert(TOKENS, row)
    return {"id": row["id"]}


OPS = (
    Op("login.decide", Decide, decide, ""),
    Op("login.issue", Issue, issue, "", frozenset({"digest"})),
)
