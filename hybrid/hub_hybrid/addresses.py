"""Site side: addresses of sources at a plane. A site tells its plane all of them whenever it may not know them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from hub.errors import ConflictError, HubError, NotFoundError, UsageError
from hub.runtime.commands import Command, Op
from hub.runtime.presets import installed
from hub.store import sources
from hub.store.base import Store, Tx
from hub.store.tables import LinkAddress
from hub.types import Id, Scope, new_id
from hub.webhooks.preset import Preset
from hub.webhooks.scheme import is_keyless
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, func, select, update

from hub_hybrid import links
from hub_hybrid.agent import Agent
from hub_hybrid.protocol import MAX_ADDRESSES, Addresses, AddressesKept, AddressOut

TABLE = LinkAddress.__table__
TOKEN_BYTES = 24


class Publish(BaseModel):
    """Which source, by name or id."""

    model_config = ConfigDict(extra="forbid")
    source: str = Field(min_length=1, max_length=100)


class Unpublish(BaseModel):
    """Which address, by its id."""

    model_config = ConfigDict(extra="forbid")
    address: str = Field(min_length=1, max_length=100)


def publish(tx: Tx, command: Command, args: Publish) -> dict[str, Any]:
    """Give a source an address at a link's plane; it is in the result, once. Those that it has stay good."""
    link = links.find(tx, command.scope, command.target)
    source = sources.row(tx, command.scope, args.source)
    refused = refusal(source)
    if refused is not None:
        raise refused
    if tx.conn.execute(select(func.count()).where(TABLE.c.link_id == link["id"])).scalar_one() >= MAX_ADDRESSES:
        raise ConflictError(
            f"this link has {MAX_ADDRESSES} addresses already", hint="`hub cloud unpublish` takes one back."
        )
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row = {
        "id": new_id(), "workspace_id": command.scope.workspace_id, "link_id": link["id"], "source_id": source["id"],
        "digest": digest(token), "created_at": tx.now,
    }  # fmt: skip
    tx.insert(TABLE, row)
    url = f"{link['url']}/in/{token}"
    return {"id": row["id"], "link": link["name"], "source": source["name"], "url": url}


def refusal(source: Mapping[str, Any]) -> HubError | None:
    """Why a source cannot have an address at a plane; None: it can."""
    preset = installed().find(source["preset"])
    if preset is None:
        return UsageError(f"the preset {source['preset']!r} of {source['name']} is not installed")
    if preset.consumer:
        return UsageError(f"the messages of {source['name']} come from a broker: it has no address anywhere")
    if preset.rules(source["options"]).handshake:
        return UsageError(
            f"{preset.name} asks an address to answer with what only this hub knows, and a plane does not",
            hint="Such a source needs an address of this hub itself: see HUB_PUBLIC_URL.",
            code="needs-handshake",
        )
    return None


def unpublish(tx: Tx, command: Command, args: Unpublish) -> dict[str, Any]:
    """Take an address back: as soon as the plane hears of it, it answers 404 there."""
    link = links.find(tx, command.scope, command.target)
    gone = delete(TABLE).where(TABLE.c.link_id == link["id"], TABLE.c.id == args.address).returning(TABLE.c.id)
    if tx.conn.execute(gone).first() is None:
        raise NotFoundError(f"this link has no address {args.address}", hint="`hub cloud addresses` lists them.")
    return {"id": args.address, "link": link["name"]}


def digest(token: str) -> str:
    """What both ends keep of an address's token, which nobody can guess."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def publishable(tx: Tx, scope: Scope) -> list[dict[str, Any]]:
    """The sources that can have an address at a plane, by name; as many as a link has addresses at most."""
    table = sources.TABLE
    query = select(table).where(table.c.workspace_id == scope.workspace_id, table.c.deleted_at.is_(None))
    rows = tx.conn.execute(query.order_by(table.c.name).limit(MAX_ADDRESSES)).mappings()
    return [row for row in map(dict, rows) if refusal(row) is None]


def listing(tx: Tx, scope: Scope, link_id: Id, *, source_id: Id | None = None) -> list[dict[str, Any]]:
    """The addresses of a link with the names of their sources, oldest first; those of deleted sources are left out.

    With `source_id` only those of that source.
    """
    query = select(TABLE, sources.TABLE.c.name.label("source"), sources.TABLE.c.enabled)
    query = query.join_from(TABLE, sources.TABLE, sources.TABLE.c.id == TABLE.c.source_id)
    where = (TABLE.c.workspace_id == scope.workspace_id, TABLE.c.link_id == link_id)
    query = query.where(*where, sources.TABLE.c.deleted_at.is_(None)).order_by(TABLE.c.id)
    if source_id is not None:
        query = query.where(TABLE.c.source_id == source_id)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def status(row: Mapping[str, Any]) -> str:
    """Of an address of `listing`: open, opening (its plane has not heard of it) or closed (its source is off)."""
    if not row["enabled"]:
        return "closed"
    return "open" if row["opened_at"] is not None else "opening"


def declared(tx: Tx, link_id: Id) -> list[AddressOut]:
    """What the plane is to know now: the addresses whose sources take requests."""
    query = select(TABLE.c.digest, sources.TABLE).join_from(
        TABLE, sources.TABLE, sources.TABLE.c.id == TABLE.c.source_id
    )
    alive = (sources.TABLE.c.deleted_at.is_(None), sources.TABLE.c.enabled.is_(True))
    rows = tx.conn.execute(query.where(TABLE.c.link_id == link_id, *alive).order_by(TABLE.c.id)).mappings()
    found = [(row, installed().find(row["preset"])) for row in rows]
    return [_out(row, preset) for row, preset in found if preset is not None and _answers(tx, row, preset)]


def _answers(tx: Tx, row: Mapping[Any, Any], preset: Preset) -> bool:
    """Whether it would answer here: one without a secret does not."""
    keyless = row["verify_none"] or is_keyless(preset.rules(row["options"]).verify)
    return bool(keyless or sources.secret_rows(tx, row["id"]))


def _out(row: Mapping[Any, Any], preset: Preset) -> AddressOut:
    own, usual = row["answer"], preset.answer
    said = own or {"status": usual.status, "text": usual.text, "type": usual.type}
    text = None if said["text"] is None else str(said["text"]).replace("{type}", "")
    return AddressOut(
        digest=row["digest"], source=row["id"], methods=sorted(preset.methods), max_body=row["max_body"],
        rate_per_minute=row["rate_per_minute"], status=said["status"], text=text, type=said["type"],
    )  # fmt: skip


class Teller:
    """Keeps a link's plane informed, for one thread."""

    def __init__(self, store: Store, link_id: Id, agent: Agent) -> None:
        self._store, self._link_id, self._agent = store, link_id, agent
        self._told: tuple[int, list[AddressOut]] | None = None

    @property
    def any(self) -> bool:
        """Whether the plane knows an address."""
        return self._told is not None and bool(self._told[1])

    def step(self) -> None:
        """Tell the plane all addresses, if they are not what it was told in this session."""
        session = self._agent.session
        if session is None or not session.forwards:
            return
        with self._store.read() as tx:
            wanted = declared(tx, self._link_id)
        if self._told == (session.fence, wanted):
            return
        message = Addresses(items=wanted)
        kept = self._agent.ask(AddressesKept, "PUT", f"/sessions/{session.fence}/addresses", message).kept
        with self._store.write() as tx:
            fresh = (TABLE.c.link_id == self._link_id, TABLE.c.opened_at.is_(None), TABLE.c.digest.in_(kept))
            if tx.conn.execute(update(TABLE).where(*fresh).values(opened_at=tx.now)).rowcount:
                tx.wake("commands")  # pages that show it
        self._told = (session.fence, wanted)


OPS = (
    Op("link.publish", Publish, publish, "links:write", frozenset({"url"})),
    Op("link.unpublish", Unpublish, unpublish, "links:write"),
)
