"""Deliveries: every attempt to bring a message somewhere, what it said, and those given up, to be sent once more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.errors import HubError, NotFoundError, PermanentError
from hub.runtime import contributed
from hub.store.base import Tx
from hub.web.ui import queries
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View
from starlette.responses import Response

from hub_notifications import channels, notices
from hub_notifications.services import shape_of
from hub_notifications.shapes import Rendered, Shape
from hub_notifications.texts import Templates, compose
from hub_notifications.ui.drawing import draw
from hub_notifications.ui.statuses import STATUSES

pages = Pages()
PAGE = 50


@pages.get("/ui/deliveries", needs="alerts:read")
def delivery_list(view: View) -> Response:
    """Attempts to bring alerts to channels, newest first, by status and channel."""
    status, channel, cursor = view.query("status"), view.query("channel"), view.query("cursor")
    status = status if status in STATUSES else ""
    with view.store.read() as tx:
        found = notices.list_deliveries(
            tx, view.scope, alert_id=None, status=status or None, channel_id=channel or None, limit=PAGE,
            cursor=cursor or None,
        )  # fmt: skip
        called = queries.names(tx, view.scope, channels.CHANNELS, [channel])
        now = tx.now
    return draw(
        view, "deliveries.html", topics="alerts", found=found, now=now, cursor=cursor, statuses=STATUSES,
        options=[("", "All"), *((name, words) for name, (_, words) in STATUSES.items())],
        channel=called.get(channel, "a deleted channel") if channel else "",
        query={"status": status, "channel": channel},
    )  # fmt: skip


@pages.get("/ui/deliveries/{delivery_id}", needs="alerts:read")
def delivery_detail(view: View) -> Response:
    """One attempt: how it went, those before and after it, what the message tells, and how it reads."""
    with view.store.read() as tx:
        row = _row(tx, view)
        message = notices.find_message(tx, view.scope, row["notification_id"])
        channel = queries.find(tx, view.scope, channels.CHANNELS, row["channel_id"])
        attempts = notices.attempts_of(tx, row["notification_id"], row["channel_id"])
        told, now = notices.alerts_told(tx, row["notification_id"]), tx.now
        digest = notices.attempts_of(tx, row["merged_into"], row["channel_id"]) if row["merged_into"] else []
    return draw(
        view, "delivery.html", topics="alerts", delivery=row, message=message, channel=channel, attempts=attempts,
        told=told, now=now, statuses=STATUSES, text=_text(view, message, channel), digest=digest,
    )  # fmt: skip


def _text(view: View, message: Mapping[str, Any] | None, channel: Mapping[str, Any] | None) -> Rendered | None:
    """The message by the texts that its channel has now, without its links: some of them let their holder act."""
    document = message["content"] if message else {}
    if not document.get("alerts") or channel is None:
        return None
    try:
        address = channels.open_address(view.store.keyring, channel, channel["id"])
        shape = shape_of(address, contributed.installed().channels)
    except (HubError, PermanentError):  # its key is missing, or its service is; it could not be sent either
        shape = Shape()
    own = Templates(channel["title_template"], channel["body_template"])
    links = dict.fromkeys(("acknowledge", "silence", "dashboard"), "")
    return compose({**document, "channel": channel["name"], "links": links}, shape, own)


@pages.post("/ui/deliveries/{delivery_id}/retry", needs="alerts:write")
def retry(view: View) -> Response:
    """Send once more what was given up; the page of the attempt shows how it goes."""
    delivery_id = view.id_of("delivery_id", "delivery")
    view.change("delivery.retry", delivery_id)
    return view.go(link("/ui/deliveries", delivery_id, done="delivery-again"))


def _row(tx: Tx, view: View) -> dict[str, Any]:
    row = notices.find_delivery(tx, view.scope, view.id_of("delivery_id", "delivery"))
    if row is None:
        raise NotFoundError("there is no such delivery", hint="It may be older than what is kept.")
    return row
