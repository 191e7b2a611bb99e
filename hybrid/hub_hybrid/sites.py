"""The plane's operations on its sites: made with a token, commanded, removed, and restored after a backup."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, Literal

from hub.errors import ConflictError
from hub.runtime.commands import Command, Op
from hub.store.base import Tx
from hub.store.tables import ApiToken
from hub.types import ID_PATTERN, new_id
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select, update

from hub_hybrid import orders, replica
from hub_hybrid.replica import SITES

TOKENS = ApiToken.__table__


class CreateSite(BaseModel):
    """A name for a hub that will report here."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")


class SiteCommand(BaseModel):
    """What the site shall do with one of its runs."""

    model_config = ConfigDict(extra="forbid")
    op: Literal["run.cancel", "run.pause", "run.resume"]
    run_id: str = Field(pattern=ID_PATTERN)


class Withdraw(BaseModel):
    """Which command is taken back."""

    model_config = ConfigDict(extra="forbid")
    command_id: str = Field(pattern=ID_PATTERN)


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def create(tx: Tx, command: Command, args: CreateSite) -> dict[str, Any]:
    """Make a site and its token; the token's text is in the result once and never again."""
    workspace = command.scope.workspace_id
    where = (SITES.c.workspace_id == workspace, SITES.c.name == args.name, SITES.c.removed_at.is_(None))
    if tx.conn.execute(select(SITES.c.id).where(*where)).first() is not None:
        raise ConflictError(f"there is a site {args.name!r} already", hint="`hub sites ls` lists them.")
    token = f"hub_site_{secrets.token_urlsafe(32)}"
    token_row = {
        "id": new_id(), "workspace_id": workspace, "name": f"site {args.name}", "kind": "site", "prefix": token[:13],
        "digest": hashlib.sha256(token.encode()).hexdigest(), "scopes": ["sync"], "created_at": tx.now,
    }  # fmt: skip
    tx.insert(TOKENS, token_row)
    site_id = new_id()
    row = {
        "id": site_id, "workspace_id": workspace, "site_id": site_id, "name": args.name, "token_id": token_row["id"],
        "stream_epoch": "", "chain_hash": "", "authority_id": "", "plane_epoch": "", "acked_seq": 0, "fence": 0,
        "command_head": 0, "command_delivered": 0, "status": {}, "created_at": tx.now,
    }  # fmt: skip
    tx.insert(SITES, row)
    return {"id": site_id, "name": args.name, "token": token}


def remove(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Strike a site off: its token is worthless from now on; what it reported stays until retention takes it."""
    site = orders.find_site(tx, command.scope, command.target)
    tx.conn.execute(update(TOKENS).where(TOKENS.c.id == site["token_id"]).values(revoked_at=tx.now))
    values = {"removed_at": tx.now, "site_id": site["id"], "fence": site["fence"] + 1}
    tx.conn.execute(update(SITES).where(SITES.c.id == site["id"]).values(**values))
    return {"id": site["id"], "name": site["name"]}


def order(tx: Tx, command: Command, args: SiteCommand) -> dict[str, Any]:
    """Write a command for the site; it fetches it when it is there."""
    site = orders.find_site(tx, command.scope, command.target)
    issued = orders.issue(tx, command.scope, site["id"], args.op, args.run_id, {}, command_id=command.id)
    return {"id": issued["id"], "site": site["id"], "seq": issued["seq"]}


def withdraw(tx: Tx, command: Command, args: Withdraw) -> dict[str, Any]:
    """Take a command back as long as the site has not fetched it."""
    site = orders.find_site(tx, command.scope, command.target)
    row = orders.withdraw(tx, command.scope, site["id"], args.command_id)
    return {"id": row["id"], "site": site["id"]}


def restored(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """This plane was restored from a backup: every site begins anew, and every command counts as delivered."""
    query = select(SITES).where(SITES.c.workspace_id == command.scope.workspace_id, SITES.c.removed_at.is_(None))
    rows = tx.conn.execute(query.with_for_update()).mappings().all()
    for row in rows:
        replica.restored(tx, dict(row))
    return {"sites": len(rows)}


OPS = (
    Op("site.create", CreateSite, create, "links:write", frozenset({"token"})),
    Op("site.remove", Nothing, remove, "links:write"),
    Op("site.order", SiteCommand, order, "runs:write"),
    Op("site.withdraw", Withdraw, withdraw, "runs:write"),
    Op("site.restored", Nothing, restored, "links:write"),
)
