"""Alerts: what fires, how often it happened, who was told and who looks after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.errors import UsageError
from hub.moments import span
from hub.store.base import Tx
from hub.store.tables import Alert, Channel, Delivery, RunRow
from hub.types import Id, Scope
from hub.web.ui import queries
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View
from sqlalchemy import select
from starlette.responses import Response

from hub_notifications import firing, groups, notices
from hub_notifications.ui import people
from hub_notifications.ui.drawing import draw
from hub_notifications.ui.statuses import STATUSES

pages = Pages()
ALERTS = Alert.__table__
DELIVERIES = Delivery.__table__
CHANNELS = Channel.__table__
RUNS = RunRow.__table__
PAGE = 50
LAST = 20
FILTERS = (("", "All"), ("firing", "Firing"), ("resolved", "Resolved"))
TIMES = (("1h", "1 hour"), ("4h", "4 hours"), ("1d", "1 day"), ("7d", "7 days"))


@pages.get("/ui/alerts", needs="alerts:read")
def alert_list(view: View) -> Response:
    """Alerts, newest first, each with where it stands on its channels."""
    cursor, status = view.query("cursor"), view.query("status")
    status = status if status in dict(FILTERS) else ""
    where = [ALERTS.c.status == status] if status else []
    with view.store.read() as tx:
        found = queries.listing(tx, view.scope, ALERTS, *where, cursor=cursor, limit=PAGE, without=("body", "context"))
        channels = queries.count(tx, view.scope, CHANNELS, CHANNELS.c.enabled.is_(True), limit=1)
        standing = _standing(tx, view.scope, [row["id"] for row in found.items])
        now = tx.now
    return draw(
        view, "alerts.html", topics="alerts", found=found, standing=standing, channels=channels, statuses=STATUSES,
        now=now, cursor=cursor, query={"status": status}, options=FILTERS,
    )  # fmt: skip


def _standing(tx: Tx, scope: Scope, alerts: list[Id]) -> dict[Id, list[dict[str, Any]]]:
    """The last attempt on each channel, by alert."""
    query = select(DELIVERIES).where(DELIVERIES.c.workspace_id == scope.workspace_id, DELIVERIES.c.alert_id.in_(alerts))
    rows = [dict(row) for row in tx.conn.execute(query.order_by(DELIVERIES.c.id)).mappings()]
    last = {(row["alert_id"], row["channel_id"]): row for row in rows}
    called = queries.names(tx, scope, CHANNELS, [row["channel_id"] for row in rows])
    found: dict[Id, list[dict[str, Any]]] = {alert: [] for alert in alerts}
    for (alert, channel), row in last.items():
        found[alert].append({**row, "channel": called.get(channel, "a deleted channel")})
    return found


@pages.get("/ui/alerts/{alert_id}", needs="alerts:read")
def alert_detail(view: View) -> Response:
    """One alert: where it stands, every time it happened, and every attempt to tell somebody."""
    alert_id = view.id_of("alert_id", "alert")
    with view.store.read() as tx:
        alert = queries.one(tx, view.scope, ALERTS, alert_id, "alert")
        run = queries.find(tx, view.scope, RUNS, alert["run_id"], "id", "name", "state_type", "state_name")
        found = notices.list_deliveries(tx, view.scope, alert_id=alert_id, limit=LAST, cursor=None)
        happened = firing.occurrences(tx, alert_id, limit=LAST)
        ended_by = people.called(tx, view.scope, firing.ended_by(tx, alert))
        held = groups.groups_of(tx, view.scope, alert_id)
        now = tx.now
    return draw(
        view, "alert.html", topics="alerts", alert=alert, run=run, found={"items": found.items}, happened=happened,
        more=bool(found.next_cursor), now=now, statuses=STATUSES, times=TIMES, held=held, ended_by=ended_by,
        acknowledged=_is_acknowledged(alert, now),
    )  # fmt: skip


def _is_acknowledged(alert: Mapping[str, Any], now: int) -> bool:
    until = alert["acknowledged_until"]
    return alert["status"] == "firing" and alert["acknowledged_at"] is not None and (until is None or until > now)


@pages.post("/ui/alerts/{alert_id}/acknowledge", needs="alerts:write")
def acknowledge(view: View) -> Response:
    """Say that one looks after an alert."""
    alert_id = view.id_of("alert_id", "alert")
    view.change("alert.acknowledge", alert_id, {"for_s": _for(view.form.text("for", "1d")), "by": people.reader(view)})
    return view.go(link("/ui/alerts", alert_id, done="alert-acknowledged"))


def _for(text: str) -> int:
    try:
        return span(text) or 0
    except UsageError as error:
        raise UsageError(f"for: {error.detail}", hint=error.hint, field="for") from None


@pages.post("/ui/alerts/{alert_id}/unacknowledge", needs="alerts:write")
def unacknowledge(view: View) -> Response:
    """Take an acknowledgement back."""
    alert_id = view.id_of("alert_id", "alert")
    view.change("alert.unacknowledge", alert_id)
    return view.go(link("/ui/alerts", alert_id, done="alert-open"))


@pages.get("/ui/alerts/{alert_id}/resolve", needs="alerts:write")
def ask_resolve(view: View) -> Response:
    """Ask before an alert is ended by hand."""
    alert_id = view.id_of("alert_id", "alert")
    with view.store.read() as tx:
        alert = queries.one(tx, view.scope, ALERTS, alert_id, "alert")
    return draw(
        view, "confirm.html", title="Is this alert over?", text=alert["title"] or alert["kind"],
        points=["Those who were told of it are told of its end.", "If it happens again, that is a new alert."],
        action=link("/ui/alerts", alert_id, "resolve"), button="It is over", back=link("/ui/alerts", alert_id),
        values={},
    )  # fmt: skip


@pages.post("/ui/alerts/{alert_id}/resolve", needs="alerts:write")
def resolve(view: View) -> Response:
    """Say by hand that an alert is over."""
    alert_id = view.id_of("alert_id", "alert")
    view.change("alert.end", alert_id)
    return view.go(link("/ui/alerts", alert_id, done="alert-resolved"))
