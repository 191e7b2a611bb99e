"""The plane's operations on its sites: made with a join token, commanded, removed, and restored after a backup."""

from __future__ import annotations

from typing import Any, Literal

from hub.errors import ConflictError, UsageError
from hub.runtime.commands import Command, Op
from hub.store.base import Tx
from hub.store.tables import ApiToken
from hub.types import ID_PATTERN
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select, update

from hub_hybrid import forwarding, joining, orders, replica
from hub_hybrid.replica import SITES

TOKENS = ApiToken.__table__


class CreateSite(BaseModel):
    """A name for a hub that will report here."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    life_s: float = Field(3600, ge=60, le=30 * 86_400)


class MakeToken(BaseModel):
    """For how many hubs a join token is good, and for how many seconds."""

    model_config = ConfigDict(extra="forbid")
    uses: int = Field(1, ge=1, le=1000)
    life_s: float = Field(3600, ge=60, le=30 * 86_400)


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
    site_id = joining.new_site(tx, workspace, args.name)
    made = joining.make_token(tx, workspace, site_id, uses=1, life_s=args.life_s, by=str(command.scope.actor))
    return {"id": site_id, "name": args.name, **made}


def token(tx: Tx, command: Command, args: MakeToken) -> dict[str, Any]:
    """Make a join token: for a site that is there, whose hub then joins anew, or for so many new ones."""
    site = orders.find_site(tx, command.scope, command.target) if command.target else None
    if site is not None and args.uses != 1:
        raise UsageError("one site is one hub: a token for it is good once", hint="Leave the site out for several.")
    workspace, by = command.scope.workspace_id, str(command.scope.actor)
    row = None if site is None else site["id"]
    made = joining.make_token(tx, workspace, row, uses=args.uses, life_s=args.life_s, by=by)
    return {"site": row, "uses": args.uses, **made}


def revoke(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Make a site's keys worthless, without striking it off: its hub works on, and may join anew."""
    site = orders.find_site(tx, command.scope, command.target)
    joining.revoke_keys(tx, site["id"])
    _end_tokens(tx, site)
    return {"id": site["id"], "name": site["name"]}


def rotate(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Ask a site for another key; it makes one with its next heartbeat."""
    site = orders.find_site(tx, command.scope, command.target)
    tx.conn.execute(update(SITES).where(SITES.c.id == site["id"]).values(rotate_key=True))
    return {"id": site["id"], "name": site["name"]}


def _end_tokens(tx: Tx, site: dict[str, Any]) -> None:
    """End the token of a site of the time before keys, and join tokens that nobody has used yet."""
    tx.conn.execute(update(TOKENS).where(TOKENS.c.id == site["token_id"]).values(revoked_at=tx.now))
    tx.conn.execute(update(joining.JOINS).where(joining.JOINS.c.site_row == site["id"]).values(revoked_at=tx.now))


def remove(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Strike a site off: its token is worthless from now on; what it reported stays until retention takes it."""
    site = orders.find_site(tx, command.scope, command.target)
    _end_tokens(tx, site)
    forwarding.strike(tx, site["id"])
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
    Op("site.token", MakeToken, token, "links:write", frozenset({"token"})),
    Op("site.revoke", Nothing, revoke, "links:write"),
    Op("site.rotate", Nothing, rotate, "links:write"),
    Op("site.remove", Nothing, remove, "links:write"),
    Op("site.order", SiteCommand, order, "runs:write"),
    Op("site.withdraw", Withdraw, withdraw, "runs:write"),
    Op("site.restored", Nothing, restored, "links:write"),
)
