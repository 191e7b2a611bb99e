"""Receipts: every request that came in, with its exact bytes, the verdict, and what it started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, select
from starlette.responses import Response

from hub.store.base import Tx
from hub.store.tables import Effect, Event, Firing, Receipt, Source
from hub.types import SECOND, Scope, derived_id
from hub.web.ui import queries, show
from hub.web.ui.pages.events import firings
from hub.web.ui.panels import panels
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View

pages = Pages()
RECEIPTS = Receipt.__table__  # type: ignore[attr-defined]
SOURCES = Source.__table__  # type: ignore[attr-defined]
EVENTS = Event.__table__  # type: ignore[attr-defined]
FIRINGS = Firing.__table__  # type: ignore[attr-defined]
EFFECTS = Effect.__table__  # type: ignore[attr-defined]
VERDICTS: Mapping[str, tuple[str, str]] = {
    "accepted": ("good", "Accepted"),
    "duplicate": ("idle", "Duplicate"),
    "handshake": ("idle", "Handshake"),
    "observed": ("warn", "Observed"),
    "rejected": ("bad", "Rejected"),
}
"""Each verdict with the kind of its badge and its word."""
SHOWN_TEXT = 65_536
SHOWN_HEX = 4096
MAX_EVENTS = 50
NEARBY = 2000


@pages.get("/ui/receipts", needs="sources:read")
def receipt_list(view: View) -> Response:
    """Receipts, newest first, by verdict and source."""
    verdict, source, cursor = view.query("verdict"), view.query("source"), view.query("cursor")
    verdict = verdict if verdict in VERDICTS else ""
    where: list[ColumnElement[bool]] = [RECEIPTS.c.source_id == source] if source else []
    where += [RECEIPTS.c.verdict == verdict] if verdict else []
    with view.store.read() as tx:
        found = queries.listing(tx, view.scope, RECEIPTS, *where, cursor=cursor, without=("body", "headers"))
        called = queries.names(tx, view.scope, SOURCES, [source, *(row["source_id"] for row in found.items)])
        now = tx.now
    return view.page(
        "receipts.html", topics="receipts", found=found, names=called, now=now, cursor=cursor, verdicts=VERDICTS,
        source=called.get(source, ""), query={"verdict": verdict, "source": source},
        options=[("", "All"), *((name, word) for name, (_, word) in VERDICTS.items() if name != "duplicate")],
    )  # fmt: skip


@pages.get("/ui/receipts/{receipt_id}", needs="sources:read")
def receipt_detail(view: View) -> Response:
    """One request: bytes, headers, verdict, and what came of it."""
    receipt_id = view.id_of("receipt_id", "receipt")
    with view.store.read() as tx:
        receipt = queries.one(tx, view.scope, RECEIPTS, receipt_id, "receipt")
        source = queries.find(tx, view.scope, SOURCES, receipt["source_id"])
        started = _events(tx, view.scope, receipt)
        done = [row for event in started for row in firings(tx, view.scope, event_id=event["id"])]
        now = tx.now
    return view.page(
        "receipt.html", topics="receipts,runs", receipt=receipt, source=source, events=started, firings=done, now=now,
        verdicts=VERDICTS, body=_body(receipt["body"] or b"", view.query("view")),
        panels=panels(view, "receipt", {"id": receipt_id, "receipt": receipt}),
    )  # fmt: skip


def _events(tx: Tx, scope: Scope, receipt: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The events of a receipt, by the ids it gave them; items with ids of their own are found by their time."""
    if not receipt["events"] or receipt["processed_at"] is None:
        return []
    ids = [derived_id(receipt["id"], "event", str(index)) for index in range(min(receipt["events"], MAX_EVENTS))]
    found = _read(tx, scope, EVENTS.c.id.in_(ids), MAX_EVENTS)
    if found:
        return found
    near = EVENTS.c.at.between(receipt["received_at"], receipt["processed_at"] + SECOND)
    rows = _read(tx, scope, near & EVENTS.c.source.startswith("source:"), NEARBY)
    return [row for row in rows if row["body"].get("receipt_id") == receipt["id"]][:MAX_EVENTS]


def _read(tx: Tx, scope: Scope, where: ColumnElement[bool], limit: int) -> list[dict[str, Any]]:
    query = select(EVENTS).where(EVENTS.c.workspace_id == scope.workspace_id, where).order_by(EVENTS.c.id).limit(limit)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def _body(body: bytes, wanted: str) -> dict[str, Any]:
    """The bytes as the page shows them: text where they are text, else hex; how much of them is shown."""
    text = show.readable(body)
    as_text = text is not None and wanted != "hex"
    limit = SHOWN_TEXT if as_text else SHOWN_HEX
    shown = text[:limit] if as_text and text is not None else show.hexdump(body[:limit])
    return {"text": shown, "is_text": as_text, "can_text": text is not None, "cut": len(body) > limit, "limit": limit}


@pages.get("/ui/receipts/{receipt_id}/body", needs="sources:read")
def body(view: View) -> Response:
    """The exact bytes, as a file: never shown by the browser, whatever they are."""
    receipt_id = view.id_of("receipt_id", "receipt")
    with view.store.read() as tx:
        receipt = queries.one(tx, view.scope, RECEIPTS, receipt_id, "receipt")
    headers = {"content-disposition": f'attachment; filename="receipt-{receipt_id}.bin"'}
    return Response(receipt["body"] or b"", media_type="application/octet-stream", headers=headers)


@pages.get("/ui/receipts/{receipt_id}/replay", needs="sources:write")
def ask_replay(view: View) -> Response:
    """Ask before a request happens again."""
    receipt_id = view.id_of("receipt_id", "receipt")
    with view.store.read() as tx:
        receipt = queries.one(tx, view.scope, RECEIPTS, receipt_id, "receipt")
    refused = receipt["verdict"] in ("rejected", "handshake")
    text = "A new receipt with the same bytes is made, and its events start what they start. Nothing is verified again."
    warning = (
        "This request was not accepted: anybody could have sent it. Replay it only if you know that it is genuine."
    )
    return view.page(
        "confirm.html", title="Replay this request?", text=warning if refused else text,
        action=link("/ui/receipts", receipt_id, "replay"), button="Replay it", back=link("/ui/receipts", receipt_id),
        values={"unverified": "yes"} if refused else {},
    )  # fmt: skip


@pages.post("/ui/receipts/{receipt_id}/replay", needs="sources:write")
def replay(view: View) -> Response:
    """Let a kept request happen again, as a receipt of its own."""
    receipt_id = view.id_of("receipt_id", "receipt")
    outcome = view.change("receipt.replay", receipt_id, {"unverified": view.form.text("unverified") == "yes"})
    return view.go(link("/ui/receipts", str(outcome.result["id"]), done="replayed"))
