"""What was sent to endpoints: messages by status, and one with every attempt to deliver it."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from hub.store import endpoints, outgoing
from hub.store.tables import Endpoint
from hub.web.ui import queries, show
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View

pages = Pages()
ENDPOINTS = Endpoint.__table__
STATUSES: Mapping[str, tuple[str, str]] = {
    "pending": ("warn", "Waiting"),
    "sending": ("busy", "Sending"),
    "delivered": ("good", "Delivered"),
    "failed": ("bad", "Failed"),
}
"""Each status of a message with the kind of its badge and its word."""


@pages.get("/ui/outgoing", needs="endpoints:read")
def outgoing_list(view: View) -> Response:
    """Messages, newest first, by endpoint and status."""
    status, endpoint, cursor = view.query("status"), view.query("endpoint"), view.query("cursor")
    status = status if status in STATUSES else ""
    with view.store.read() as tx:
        found = outgoing.listing(tx, view.scope, endpoint_id=endpoint or None, status=status, cursor=cursor or None)
        called = endpoints.name_of(tx, view.scope, endpoint) if endpoint else None
        now = tx.now
    return view.page(
        "outgoing.html", topics="outgoing", found=found, statuses=STATUSES, now=now, cursor=cursor,
        options=[("", "All"), *((name, words) for name, (_, words) in STATUSES.items())],
        endpoint=called or ("a removed endpoint" if endpoint else ""), known=called is not None,
        query={"endpoint": endpoint, "status": status},
    )  # fmt: skip


@pages.get("/ui/outgoing/{webhook_id}", needs="endpoints:read")
def outgoing_detail(view: View) -> Response:
    """One message: its bytes, and every attempt with what the receiver answered."""
    with view.store.read() as tx:
        row = outgoing.get(tx, view.scope, view.id_of("webhook_id", "message"))
        tried = outgoing.attempts(tx, row["id"])
        endpoint = queries.find(tx, view.scope, ENDPOINTS, row["endpoint_id"], "id", "name", "enabled")
        now = tx.now
    body = row["body"] or b""
    return view.page(
        "outgoing-one.html", topics="outgoing,catalog", message=outgoing.told(row), tried=tried, endpoint=endpoint,
        statuses=STATUSES, now=now, body=show.result(body, "json"),
    )  # fmt: skip


@pages.post("/ui/outgoing/{webhook_id}/resend", needs="endpoints:write")
def resend(view: View) -> Response:
    """Send a message again, under its id."""
    with view.store.read() as tx:
        row = outgoing.get(tx, view.scope, view.id_of("webhook_id", "message"))
    view.change("endpoint.resend", row["endpoint_id"], {"id": row["id"]})
    return view.go(link("/ui/outgoing", row["id"], done="webhook-again"))
