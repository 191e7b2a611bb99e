"""Alerts, their deliveries attempt by attempt, and the channels they go to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from starlette.responses import Response

from hub.store.base import Tx
from hub.store.tables import Alert, Channel, Delivery, RunRow
from hub.types import Id, Scope
from hub.web.ui import queries
from hub.web.ui.table import Pages
from hub.web.ui.view import View

pages = Pages()
ALERTS = Alert.__table__
DELIVERIES = Delivery.__table__
CHANNELS = Channel.__table__
RUNS = RunRow.__table__
STATUSES: Mapping[str, tuple[str, str]] = {
    "pending": ("warn", "Pending"),
    "sending": ("busy", "Sending"),
    "sent": ("good", "Sent"),
    "failed": ("warn", "Failed, tried again"),
    "dead": ("bad", "Given up"),
}
"""Each status of a delivery with the kind of its badge and its words."""
MAX_ATTEMPTS = 200


@pages.get("/ui/alerts", needs="alerts:read")
def alert_list(view: View) -> Response:
    """Alerts, newest first, each with where it stands on its channels."""
    cursor = view.query("cursor")
    with view.store.read() as tx:
        found = queries.listing(tx, view.scope, ALERTS, cursor=cursor, without=("body",))
        channels = queries.count(tx, view.scope, CHANNELS, CHANNELS.c.enabled.is_(True), limit=1)
        standing = _standing(tx, view.scope, [row["id"] for row in found.items])
        now = tx.now
    return view.page(
        "alerts.html", topics="alerts", found=found, standing=standing, channels=channels, statuses=STATUSES, now=now,
        cursor=cursor,
    )  # fmt: skip


def _standing(tx: Tx, scope: Scope, alerts: list[Id]) -> dict[Id, list[dict[str, Any]]]:
    """The last attempt on each channel, by alert."""
    query = select(DELIVERIES).where(DELIVERIES.c.workspace_id == scope.workspace_id, DELIVERIES.c.alert_id.in_(alerts))
    rows = [dict(row) for row in tx.conn.execute(query.order_by(DELIVERIES.c.attempt)).mappings()]
    last = {(row["alert_id"], row["channel_id"]): row for row in rows}
    called = queries.names(tx, scope, CHANNELS, [row["channel_id"] for row in rows])
    found: dict[Id, list[dict[str, Any]]] = {alert: [] for alert in alerts}
    for (alert, channel), row in last.items():
        found[alert].append({**row, "channel": called.get(channel, "a deleted channel")})
    return found


@pages.get("/ui/alerts/{alert_id}", needs="alerts:read")
def alert_detail(view: View) -> Response:
    """One alert: its text as it was sent, and every attempt to bring it somewhere."""
    alert_id = view.id_of("alert_id", "alert")
    with view.store.read() as tx:
        alert = queries.one(tx, view.scope, ALERTS, alert_id, "alert")
        run = queries.find(tx, view.scope, RUNS, alert["run_id"], "id", "name", "state_type", "state_name")
        rows = queries.listing(tx, view.scope, DELIVERIES, DELIVERIES.c.alert_id == alert_id, limit=MAX_ATTEMPTS).items
        called = queries.names(tx, view.scope, CHANNELS, [row["channel_id"] for row in rows])
        now = tx.now
    return view.page(
        "alert.html",
        topics="alerts",
        alert=alert,
        run=run,
        found={"items": rows},
        channels=called,
        titles={},
        now=now,
        statuses=STATUSES,
    )


@pages.get("/ui/deliveries", needs="alerts:read")
def delivery_list(view: View) -> Response:
    """Attempts to bring alerts to channels, newest first, by status and channel."""
    status, channel, cursor = view.query("status"), view.query("channel"), view.query("cursor")
    status = status if status in STATUSES else ""
    where = [DELIVERIES.c.status == status] if status else []
    where += [DELIVERIES.c.channel_id == channel] if channel else []
    with view.store.read() as tx:
        found = queries.listing(tx, view.scope, DELIVERIES, *where, cursor=cursor)
        called = queries.names(tx, view.scope, CHANNELS, [channel, *(row["channel_id"] for row in found.items)])
        titles = queries.names(tx, view.scope, ALERTS, [row["alert_id"] for row in found.items], "title")
        now = tx.now
    return view.page(
        "deliveries.html", topics="alerts", found=found, channels=called, titles=titles, now=now, cursor=cursor,
        statuses=STATUSES, options=[("", "All"), *((name, words) for name, (_, words) in STATUSES.items())],
        channel=called.get(channel, ""), query={"status": status, "channel": channel},
    )  # fmt: skip
