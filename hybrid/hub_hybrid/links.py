"""The site's links: made, switched and ended by commands; moved on by the agent of the newest session only."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from hub import events as catalog
from hub.errors import ConflictError, NotFoundError, RefusedError, UsageError
from hub.runtime.commands import Command, Op, apply
from hub.settings import is_loopback
from hub.store import events, leaders, raw, stream
from hub.store.base import Store, Tx
from hub.store.tables import Link, Log
from hub.types import Actor, ExportLevel, Id, Scope, new_id
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select, update

from hub_hybrid.keys import Bundle

LINKS = Link.__table__
LOGS = Log.__table__
_FRESH = {
    "plane_epoch": "", "acked_seq": None, "command_cursor": 0, "fence": 0, "status": "connecting", "last_error": "",
    "last_contact_at": None, "disconnected_at": None, "protocol": 2,
}  # fmt: skip


class Connect(BaseModel):
    """A plane's address and the site token it made for us. `site_id` is what it calls us."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field("cloud", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    url: str = Field(max_length=2000)
    token: str = Field(min_length=8, max_length=200, pattern=r"^[\x21-\x7e]+$", repr=False)
    site_id: str = Field("", max_length=200)
    level: ExportLevel = "metadata"
    keys: str = Field("", max_length=1000, repr=False)
    audience: str = Field("", max_length=200)
    key_until: int = 0


class Rejoin(BaseModel):
    """What the plane calls us, and the keys with which we joined anew."""

    model_config = ConfigDict(extra="forbid")
    site_id: str = Field(max_length=200)
    keys: str = Field(max_length=1000, repr=False)
    audience: str = Field(max_length=200)
    key_until: int


class SetPolicy(BaseModel):
    """The most that leaves over a link."""

    model_config = ConfigDict(extra="forbid")
    level: ExportLevel


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def checked_url(url: str) -> str:
    """The plane's address without a path. Raises UsageError unless it is https, or http to this machine."""
    try:
        parts = urlsplit(url.strip())
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        raise UsageError(f"{url[:100]!r} is not a URL", hint="Write https://plane.example.org.") from None
    if not host or parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment:
        raise UsageError("a plane's address is a scheme, a host and perhaps a port", hint="https://plane.example.org")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise UsageError(
            f"a link to {host} must use https: its token and your runs would be readable on the way",
            hint="Plain http is for a plane on this machine.",
        )
    return f"{parts.scheme}://{parts.netloc}"


def connect(tx: Tx, command: Command, args: Connect) -> dict[str, Any]:
    """Make a link, or bring a disconnected one back. The first is the primary: its plane may command."""
    workspace = command.scope.workspace_id
    known = by_name(tx, workspace, args.name)
    if known is not None and known["disconnected_at"] is None:
        raise ConflictError(
            f"there is a link {args.name!r} already, to {known['url']}",
            hint="End it first with `hub cloud disconnect`, or give another --name.",
        )
    link_id = known["id"] if known else new_id()
    row = {
        **_FRESH, "url": checked_url(args.url), **_identity(tx, link_id, args),
        "sealed_token": None if args.keys else tx.keyring.seal(args.token, context=token_context(link_id)),
        "primary": not any(link["primary"] for link in live(tx, workspace)), "authority_id": str(uuid.uuid4()),
        "level": args.level, "level_since": tx.now, **lines_from(newest_line(tx)),
    }  # fmt: skip
    if known:
        tx.conn.execute(update(LINKS).where(LINKS.c.id == link_id).values(**row))
    else:
        owner = {"id": link_id, "workspace_id": workspace, "name": args.name, "created_at": tx.now}
        tx.insert(LINKS, {**row, **owner})
    events.append(tx, command.scope, "hub.link.connected", subject=link_id, name=args.name, level=args.level)
    return {"id": link_id, "name": args.name, "url": row["url"], "primary": row["primary"]}


def _identity(tx: Tx, link_id: Id, args: Connect | Rejoin) -> dict[str, Any]:
    """Who this hub is to the plane from now on."""
    sealed = sealed_keys(tx, link_id, args.keys) if args.keys else {"sealed_keys": None, "key_id": tx.keyring.key_id}
    named = {"site_id": args.site_id, "audience": args.audience}
    return {**sealed, **named, "key_made_at": tx.now, "key_until": args.key_until}


def sealed_keys(tx: Tx, link_id: Id, text: str) -> dict[str, Any]:
    """The columns of a link in which its keys are."""
    return {"sealed_keys": tx.keyring.seal(text, context=keys_context(link_id)), "key_id": tx.keyring.key_id}


def bundle_of(tx: Tx, link: Mapping[str, Any]) -> Bundle | None:
    """A link's keys, opened; None for a link of the time before keys."""
    if link["sealed_keys"] is None:
        return None
    text = tx.keyring.open(link["sealed_keys"], context=keys_context(link["id"]), key_id=link["key_id"])
    return Bundle.read(text)


def keys_context(link_id: Id) -> str:
    """Where the sealed keys belong."""
    return f"links:{link_id}:keys"


def rejoin(tx: Tx, command: Command, args: Rejoin) -> dict[str, Any]:
    """Go on over a link as the one that the plane has let in anew; all that was not sent yet still will be."""
    link = find(tx, command.scope, command.target)
    before = bundle_of(tx, link)
    if before is not None:  # webhooks may wait at the plane that were sealed to the key we had
        args = args.model_copy(update={"keys": before.followed_by(Bundle.read(args.keys).now).written()})
    values = {**_identity(tx, link["id"], args), "sealed_token": None}
    tx.conn.execute(update(LINKS).where(LINKS.c.id == link["id"]).values(**values))
    return {"id": link["id"], "name": link["name"]}


def set_policy(tx: Tx, command: Command, args: SetPolicy) -> dict[str, Any]:
    """Let more or less leave over a link. Less holds at once; more only for what happens from now on."""
    link = find(tx, command.scope, command.target)
    if args.level != link["level"]:
        values: dict[str, Any] = {"level": args.level}
        if not catalog.allows(link["level"], args.level):
            values["level_since"] = tx.now
        if catalog.allows(args.level, "logs") and not catalog.allows(link["level"], "logs"):
            values |= lines_from(newest_line(tx))
        tx.conn.execute(update(LINKS).where(LINKS.c.id == link["id"]).values(**values))
        named = {"name": link["name"], "level": args.level}
        events.append(tx, command.scope, "hub.link.policy_set", subject=link["id"], **named)
    return {"id": link["id"], "name": link["name"], "level": args.level}


def disconnect(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """End a link: its token is forgotten, its plane is obeyed no more. All history stays here."""
    link = find(tx, command.scope, command.target)
    values = {
        "disconnected_at": tx.now, "sealed_token": None, "sealed_keys": None, "primary": False, "authority_id": "",
        "status": "disconnected", "acked_seq": None,
    }  # fmt: skip
    tx.conn.execute(update(LINKS).where(LINKS.c.id == link["id"]).values(**values))
    leaders.forget(tx, lock_name(link["id"]))
    events.append(tx, command.scope, "hub.link.disconnected", subject=link["id"], name=link["name"], reason="asked")
    return {"id": link["id"], "name": link["name"]}


def promote(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Let this plane command, and no other. It must have everything; a new authority makes old commands void."""
    link = find(tx, command.scope, command.target)
    ends = stream.read(tx)
    if link["acked_seq"] is None or link["acked_seq"] < ends.seq:
        raise ConflictError(
            f"the plane of {link['name']!r} does not have everything yet", hint="`hub cloud status` shows the lag."
        )
    workspace = command.scope.workspace_id
    tx.conn.execute(update(LINKS).where(LINKS.c.workspace_id == workspace).values(primary=False))
    values = {"primary": True, "authority_id": str(uuid.uuid4())}
    tx.conn.execute(update(LINKS).where(LINKS.c.id == link["id"]).values(**values))
    return {"id": link["id"], "name": link["name"], "primary": True}


def lines_from(position: int) -> dict[str, Any]:
    """That log lines begin after a position, under a new name: nothing that was said of others holds for them."""
    return {"log_epoch": str(uuid.uuid4()), "log_start": position, "log_cursor": position, "log_gap": None}


def newest_line(tx: Tx) -> int:
    """The id of the last log line; 0 when there is none."""
    return int(tx.conn.execute(select(func.max(LOGS.c.id))).scalar() or 0)


def tell(store: Store, link: Mapping[str, Any], title: str = "", body: str = "") -> None:
    """Raise the alert of a link, or end it where there is nothing to say."""
    scope = Scope(link["workspace_id"], Actor("system"))
    args = {"about": f"link:{link['id']}", "title": title, "body": body[:1000], "resolve": not title}
    apply(store, Command("alert.ask", scope, "", args, via="system"))


def lock_name(link_id: Id) -> str:
    """The lock under which one agent works for a link."""
    return f"link:{link_id}"


def token_context(link_id: Id) -> str:
    """Where the sealed token belongs; sealed bytes moved elsewhere do not open."""
    return f"links:{link_id}:token"


def token_of(tx: Tx, link: Mapping[str, Any]) -> str:
    """The plane's token, opened."""
    if link["sealed_token"] is None:
        raise RefusedError("this link is disconnected", code="disconnected")
    return tx.keyring.open(link["sealed_token"], context=token_context(link["id"]), key_id=link["key_id"])


def live(tx: Tx, workspace_id: Id | None = None) -> list[dict[str, Any]]:
    """The links that are not disconnected; of all workspaces for the agent."""
    query = select(LINKS).where(LINKS.c.disconnected_at.is_(None))
    if workspace_id is not None:
        query = query.where(LINKS.c.workspace_id == workspace_id)
    return [dict(row) for row in tx.conn.execute(query.order_by(LINKS.c.id)).mappings()]


def by_name(tx: Tx, workspace_id: Id, name: str) -> dict[str, Any] | None:
    """The link of that name or id, a disconnected one too."""
    query = select(LINKS).where(LINKS.c.workspace_id == workspace_id, (LINKS.c.name == name) | (LINKS.c.id == name))
    row = tx.conn.execute(query).mappings().first()
    return None if row is None else dict(row)


def find(tx: Tx, scope: Scope, name: str) -> dict[str, Any]:
    """The live link of that name or id."""
    link = by_name(tx, scope.workspace_id, name)
    if link is None or link["disconnected_at"] is not None:
        raise NotFoundError(f"there is no link {name!r}", hint="`hub cloud status` lists the links.")
    return link


def current(tx: Tx, link_id: Id) -> dict[str, Any]:
    """The link's row. Raises NotFoundError when it was ended: whoever works for it stops."""
    row = raw.select_one(tx, LINKS, raw.names_of(LINKS), {"id": link_id})
    if row is None or row["disconnected_at"] is not None:
        raise NotFoundError("this link was ended")
    return row


def move(tx: Tx, link_id: Id, during: int | None = None, **values: Any) -> bool:
    """Change a link's progress; with `during`, the fence of a session, only if no newer session has begun since."""
    where: dict[str, Any] = {"id": link_id} if during is None else {"id": link_id, "fence": during}
    return raw.change(tx, LINKS, values, where, guard="disconnected_at IS NULL") > 0


OPS = (
    Op("link.connect", Connect, connect, "links:write", frozenset({"token", "keys"})),
    Op("link.rejoin", Rejoin, rejoin, "links:write", frozenset({"keys"})),
    Op("link.disconnect", Nothing, disconnect, "links:write"),
    Op("link.promote", Nothing, promote, "links:write"),
    Op("link.policy", SetPolicy, set_policy, "links:write"),
)
