"""Receipts: every request that came in, with its exact bytes, the verdict, and what it started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, select
from starlette.responses import Response

from hub.runtime.presets import installed
from hub.runtime.relay import event_id_of
from hub.runtime.suggested import suggested
from hub.store import bookmarks, receipts
from hub.store.base import Tx
from hub.store.tables import Event, Receipt, Source, SourceSecret
from hub.types import SECOND, Scope
from hub.web.ui import inbox, inspecting, queries
from hub.web.ui.faults import Faults
from hub.web.ui.pages.events import firings
from hub.web.ui.panels import panels
from hub.web.ui.table import Pages
from hub.web.ui.verdicts import VERDICTS
from hub.web.ui.view import View

pages = Pages()
RECEIPTS = Receipt.__table__
SOURCES = Source.__table__
SECRETS = SourceSecret.__table__
EVENTS = Event.__table__
MAX_EVENTS = 50
NEARBY = 2000


@pages.get("/ui/receipts", needs="sources:read")
def receipt_list(view: View) -> Response:
    """The inbox: what came in, newest first, by source, verdict, type, text and time."""
    cursor = view.query("cursor")
    with view.store.read() as tx:
        asked = inbox.asked(tx, view.scope, view.query)
        found = asked.search(tx, view.scope, cursor)
        called = queries.names(tx, view.scope, SOURCES, [row["source_id"] for row in found.items])
        sources, now = inbox.source_names(tx, view.scope, asked.query["source"]), tx.now
    return view.page(
        "receipts.html", status=422 if asked.faults else 200, topics="receipts", found=found, names=called, now=now,
        cursor=cursor, verdicts=VERDICTS, asked=asked, query=asked.query, sources=sources,
        options=[("", "All"), *((name, word) for name, (_, word) in VERDICTS.items() if name != "duplicate")],
    )  # fmt: skip


@pages.get("/ui/receipts/{receipt_id}", needs="sources:read")
def receipt_detail(view: View) -> Response:
    """One request: bytes, headers, verdict, and what came of it."""
    return shown(view)


def shown(view: View, faults: Faults | None = None, mark_name: str = "") -> Response:
    """The page of a request; `faults` are those of a name for it that was typed."""
    receipt_id = view.id_of("receipt_id", "receipt")
    with view.store.read() as tx:
        receipt = queries.one(tx, view.scope, RECEIPTS, receipt_id, "receipt")
        source = queries.find(tx, view.scope, SOURCES, receipt["source_id"])
        started = _events(tx, view.scope, receipt)
        done = [row for event in started for row in firings(tx, view.scope, event_id=event["id"])]
        marks = bookmarks.names_of(tx, view.scope, receipt_id)
        secret = queries.find(tx, view.scope, SECRETS, receipt["secret_id"], "id", "name")
        later, earlier = receipts.beside(tx, view.scope, receipt)
        again = [one | {"outcome": receipts.outcome(one)} for one in receipts.replays_of(tx, view.scope, receipt_id)]
        hint = suggested(tx, receipt, source) if source else None
        now = tx.now
    preset = installed().find(source["preset"]) if source else None
    at = preset.name if preset else source["preset"] if source else "the provider"
    return view.page(
        "receipt.html", topics="receipts,runs", receipt=receipt, source=source, events=started, firings=done, now=now,
        verdicts=VERDICTS, body=inspecting.body_of(receipt, view.query("view")), at=at, marks=marks,
        words=inspecting.in_words(receipt, source, at, secret["name"] if secret else ""),
        hint=hint and (hint, installed().get(hint.preset)), later=later, earlier=earlier, again=again,
        status=422 if faults else 200, faults=faults or Faults(), mark_name=mark_name,
        panels=panels(view, "receipt", {"id": receipt_id, "receipt": receipt}),
    )  # fmt: skip


def _events(tx: Tx, scope: Scope, receipt: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The events of a receipt, by the ids it gave them; items with ids of their own are found by their time."""
    if not receipt["events"] or receipt["processed_at"] is None:
        return []
    ids = [event_id_of(receipt["id"], index) for index in range(min(receipt["events"], MAX_EVENTS))]
    found = _read(tx, scope, EVENTS.c.id.in_(ids), MAX_EVENTS)
    if found:
        return found
    near = EVENTS.c.at.between(receipt["received_at"], receipt["processed_at"] + SECOND)
    rows = _read(tx, scope, near & EVENTS.c.source.startswith("source:"), NEARBY)
    return [row for row in rows if row["body"].get("receipt_id") == receipt["id"]][:MAX_EVENTS]


def _read(tx: Tx, scope: Scope, where: ColumnElement[bool], limit: int) -> list[dict[str, Any]]:
    query = select(EVENTS).where(EVENTS.c.workspace_id == scope.workspace_id, where).order_by(EVENTS.c.id).limit(limit)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


@pages.get("/ui/receipts/{receipt_id}/body", needs="sources:read")
def body(view: View) -> Response:
    """The exact bytes, as a file: never shown by the browser, whatever they are."""
    receipt_id = view.id_of("receipt_id", "receipt")
    with view.store.read() as tx:
        receipt = queries.one(tx, view.scope, RECEIPTS, receipt_id, "receipt")
    headers = {"content-disposition": f'attachment; filename="receipt-{receipt_id}.bin"'}
    return Response(receipt["body"] or b"", media_type="application/octet-stream", headers=headers)
