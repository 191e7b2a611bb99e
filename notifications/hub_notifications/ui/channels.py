"""Channels: where alerts go. Their addresses are sealed; only our own label of them is shown."""

from __future__ import annotations

from typing import Any

from hub.store.base import Tx
from hub.types import Id
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View
from starlette.responses import Response

from hub_notifications import channels, notices
from hub_notifications.ui.drawing import draw
from hub_notifications.ui.statuses import STATUSES

pages = Pages()
PAGE = 50
LAST = 10


@pages.get("/ui/channels", needs="channels:read")
def channel_list(view: View) -> Response:
    """Channels, newest first."""
    cursor = view.query("cursor")
    with view.store.read() as tx:
        found, now = channels.listed(tx, view.scope, limit=PAGE, cursor=cursor or None), tx.now
        needs = {row["id"]: channels.needs(tx, row["scheme"]) for row in found.items}
    return draw(view, "channels.html", topics="catalog,alerts", found=found, needs=needs, now=now, cursor=cursor)


@pages.get("/ui/channels/{channel_id}", needs="channels:read")
def channel_detail(view: View) -> Response:
    """One channel: how it is set, and the last attempts to bring something there, tests among them."""
    with view.store.read() as tx:
        row, now = _row(tx, view), tx.now
        needs = channels.needs(tx, row["scheme"])
        last = notices.list_deliveries(tx, view.scope, alert_id=None, channel_id=row["id"], limit=LAST, cursor=None)
    return draw(
        view, "channel.html", topics="catalog,alerts", channel=row, needs=needs, found={"items": last.items}, now=now,
        statuses=STATUSES, more=bool(last.next_cursor), lone=True,
    )  # fmt: skip


@pages.post("/ui/channels/{channel_id}/test", needs="channels:write")
def test(view: View) -> Response:
    """Send a test message; the page of the channel shows how it goes."""
    channel_id = view.id_of("channel_id", "channel")
    view.change("channel.test", channel_id)
    return _back(channel_id, view, "channel-tested")


@pages.post("/ui/channels/{channel_id}/enable", needs="channels:write")
def enable(view: View) -> Response:
    """Switch a channel on."""
    return _switch(view, on=True)


@pages.post("/ui/channels/{channel_id}/disable", needs="channels:write")
def disable(view: View) -> Response:
    """Switch a channel off."""
    return _switch(view, on=False)


def _switch(view: View, *, on: bool) -> Response:
    channel_id = view.id_of("channel_id", "channel")
    view.change("channel.update", channel_id, {"enabled": on})
    return _back(channel_id, view, "channel-enabled" if on else "channel-disabled")


def _back(channel_id: Id, view: View, done: str) -> Response:
    return view.go(link("/ui/channels", channel_id, done=done))


@pages.get("/ui/channels/{channel_id}/delete", needs="channels:write")
def ask_delete(view: View) -> Response:
    """Ask before a channel is deleted."""
    with view.store.read() as tx:
        row = _row(tx, view)
    return draw(
        view, "confirm.html", title=f"Delete the channel {row['name']}?",
        text="Its address is forgotten, and alerts that wait for it are given up.",
        points=["Routes that name only this channel tell every channel from then on."],
        action=link("/ui/channels", row["id"], "delete"), button="Delete the channel",
        back=link("/ui/channels", row["id"]), values={},
    )  # fmt: skip


@pages.post("/ui/channels/{channel_id}/delete", needs="channels:write")
def delete(view: View) -> Response:
    """Delete a channel."""
    view.change("channel.rm", view.id_of("channel_id", "channel"))
    return view.go(link("/ui/channels", done="channel-deleted"))


def _row(tx: Tx, view: View) -> dict[str, Any]:
    return channels.find(tx, view.scope, view.id_of("channel_id", "channel"))
