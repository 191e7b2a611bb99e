"""Plane side: webhooks for the sources of sites. What comes is sealed to the site before it is kept, and never judged:
the plane has no secret of a source; the site judges it as if it had come to its own door."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlsplit

from hub.errors import UnavailableError, UsageError
from hub.settings import Settings
from hub.store.base import Store, Tx
from hub.store.tables import PlaneAddress, PlaneWebhook
from hub.types import SECOND, Id, Micros, new_id
from hub.webhooks.elsewhere import Address
from hub.webhooks.request import WebhookRequest
from sqlalchemy import delete, func, select

from hub_hybrid.addresses import digest
from hub_hybrid.protocol import (
    MAX_WEBHOOK_BYTES,
    MAX_WEBHOOKS,
    Addresses,
    AddressesKept,
    Forgotten,
    WebhookOut,
    Webhooks,
    WebhooksDone,
)
from hub_hybrid.replica import SITES, Row, fenced
from hub_hybrid.sealing import Place, seal

ADDRESSES = PlaneAddress.__table__
WEBHOOKS = PlaneWebhook.__table__
LONGEST_US = 7 * 86_400 * SECOND
"""When something has waited so long for a site, nothing more is taken for it."""
MAX_WAITING_BYTES = 512 * 1_048_576
MAX_PAGE_BYTES = 2 * 1_048_576
RETRY_S = 60


class Forwards:
    """The forwarder of a plane; see `hub.webhooks.elsewhere.Forwarder`."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._most = settings.sync_webhook_backlog

    def find(self, token: str) -> Address | None:
        """See Forwarder."""
        query = select(ADDRESSES).join_from(ADDRESSES, SITES, SITES.c.id == ADDRESSES.c.site_row)
        with self._store.read() as tx:
            where = (ADDRESSES.c.digest == digest(token), SITES.c.removed_at.is_(None))
            row = tx.conn.execute(query.where(*where)).mappings().first()
        if row is None:
            return None
        return Address(
            row["digest"], frozenset(row["methods"]), min(row["max_body"], MAX_WEBHOOK_BYTES), row["rate_per_minute"],
            row["answer_status"], row["answer_text"], row["answer_type"],
        )  # fmt: skip

    def take(self, address: Address, request: WebhookRequest, remote: str, at: Micros) -> Id:
        """See Forwarder. It is committed when this returns, and nothing of it in clear."""
        with self._store.read() as tx:
            row = self._room(tx, address)
        receipt = new_id()
        place = Place(row["workspace_id"], row["site_row"], row["source_id"], receipt)
        parts = urlsplit(request.url)
        head = {
            "method": request.method, "path": parts.path, "query": parts.query, "headers": request.headers,
            "remote": remote, "received_at": at,
        }  # fmt: skip
        fields = {"head": json.dumps(head, separators=(",", ":")).encode(), "body": request.body}
        sealed = seal(bytes.fromhex(row["seal_key"]), place, fields)
        kept = {
            "id": receipt, "workspace_id": row["workspace_id"], "site_row": row["site_row"],
            "source_id": row["source_id"], "key_id": sealed.key_id, "wrapped": sealed.wrapped, **sealed.fields,
            "size": len(request.body), "received_at": at,
        }  # fmt: skip
        with self._store.write() as tx:
            tx.insert(WEBHOOKS, kept)
            tx.wake("commands")
        return receipt

    def _room(self, tx: Tx, address: Address) -> dict[str, Any]:
        """Where it goes. Raises UnavailableError where too much waits there, or the address has just gone."""
        query = select(ADDRESSES, SITES.c.seal_key).join_from(ADDRESSES, SITES, SITES.c.id == ADDRESSES.c.site_row)
        row = tx.conn.execute(query.where(ADDRESSES.c.digest == address.id)).mappings().first()
        if row is None or not row["seal_key"]:
            raise UnavailableError("the site cannot be sealed to", code="site-away", retry_after=RETRY_S)
        totals = select(func.count(), func.coalesce(func.sum(WEBHOOKS.c.size), 0), func.min(WEBHOOKS.c.received_at))
        many, large, oldest = tx.conn.execute(totals.where(WEBHOOKS.c.site_row == row["site_row"])).one()
        too_old = oldest is not None and oldest < tx.now - LONGEST_US
        if many >= self._most or large >= MAX_WAITING_BYTES or too_old:
            raise UnavailableError(
                f"{many} webhooks wait for the site {row['site_row']} already", code="site-away", retry_after=RETRY_S
            )
        return dict(row)


def take_addresses(tx: Tx, site_row: Id, fence: int, message: Addresses) -> AddressesKept:
    """Have exactly these addresses for a site. One that another site has stays that one's."""
    site = fenced(tx, site_row, fence)
    wanted = {item.digest: item for item in message.items}
    mine = ADDRESSES.c.site_row == site["id"]
    tx.conn.execute(delete(ADDRESSES).where(mine, ADDRESSES.c.digest.not_in(list(wanted))))
    known = set(tx.conn.execute(select(ADDRESSES.c.digest).where(mine)).scalars())
    for name, item in wanted.items():
        row = {
            "digest": name, "workspace_id": site["workspace_id"], "site_row": site["id"], "source_id": item.source,
            "methods": item.methods, "max_body": item.max_body, "rate_per_minute": item.rate_per_minute,
            "answer_status": item.status, "answer_text": item.text, "answer_type": item.type,
        }  # fmt: skip
        if name in known:
            tx.upsert(ADDRESSES, row, keys=["digest"])
        elif tx.insert_ignore(ADDRESSES, row):
            known.add(name)
    return AddressesKept(kept=sorted(known))


def waiting(tx: Tx, site_row: Id, fence: int, after: str) -> bool:
    """Whether a poll has something to answer at once: something waits behind an id, or its session is over."""
    if tx.conn.execute(select(SITES.c.fence).where(SITES.c.id == site_row)).scalar_one() != fence:
        return True
    query = select(WEBHOOKS.c.id).where(WEBHOOKS.c.site_row == site_row, WEBHOOKS.c.id > after)
    return tx.conn.execute(query.limit(1)).first() is not None


def position(text: str) -> str:
    """The id behind which a site asks. Raises UsageError."""
    if len(text) > 36 or set(text) - set("0123456789abcdef-"):
        raise UsageError("after must be the id of a webhook, or empty")
    return text


def fetched(tx: Tx, site: Row, after: str) -> Webhooks:
    """The oldest that wait for a site, as many as fit into an answer; they wait on until the site says it has them."""
    where = (WEBHOOKS.c.site_row == site["id"], WEBHOOKS.c.id > after)
    sizes = tx.conn.execute(
        select(WEBHOOKS.c.id, func.length(WEBHOOKS.c.head) + WEBHOOKS.c.size).where(*where)
        .order_by(WEBHOOKS.c.id).limit(MAX_WEBHOOKS)
    ).all()  # fmt: skip
    ids: list[Id] = []
    total = 0
    for found, size in sizes:
        total += size
        if ids and total > MAX_PAGE_BYTES:
            break
        ids.append(found)
    rows = tx.conn.execute(select(WEBHOOKS).where(WEBHOOKS.c.id.in_(ids)).order_by(WEBHOOKS.c.id)).mappings()
    return Webhooks(items=[_out(dict(row)) for row in rows])


def _out(row: dict[str, Any]) -> WebhookOut:
    sealed = {name: base64.b64encode(row[name]).decode() for name in ("wrapped", "head", "body")}
    named = {name: row[name] for name in ("id", "key_id", "received_at")}
    owned = {"workspace": row["workspace_id"], "source": row["source_id"]}
    return WebhookOut.model_validate({**owned, **named, **sealed})


def done(tx: Tx, site_row: Id, fence: int, message: WebhooksDone) -> Forgotten:
    """Forget what the site has."""
    site = fenced(tx, site_row, fence)
    gone = delete(WEBHOOKS).where(WEBHOOKS.c.site_row == site["id"], WEBHOOKS.c.id.in_(message.ids))
    return Forgotten(forgotten=tx.conn.execute(gone).rowcount)


def strike(tx: Tx, site_row: Id) -> None:
    """A site was struck off: its addresses are nobody's, and what waits for it is gone."""
    for table in (ADDRESSES, WEBHOOKS):
        tx.conn.execute(delete(table).where(table.c.site_row == site_row))
