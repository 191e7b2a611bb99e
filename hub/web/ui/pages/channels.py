"""Channels: where alerts go. Their addresses are sealed; only our own label of them is shown."""

from __future__ import annotations

from starlette.responses import Response

from hub.errors import ConflictError, UsageError
from hub.store.tables import Channel
from hub.web.ui import queries
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View

pages = Pages()
CHANNELS = Channel.__table__


@pages.get("/ui/channels", needs="channels:read")
def channel_list(view: View) -> Response:
    """Channels, newest first."""
    cursor = view.query("cursor")
    with view.store.read() as tx:
        found, now = queries.listing(tx, view.scope, CHANNELS, cursor=cursor, without=("sealed",)), tx.now
    return view.page("channels.html", topics="catalog,alerts", found=found, now=now, cursor=cursor)


@pages.get("/ui/channels/new", needs="channels:write")
def new_channel(view: View) -> Response:
    """The form for a channel."""
    return view.page("channel-form.html", error=None, name="")


@pages.post("/ui/channels/new", needs="channels:write")
def create(view: View) -> Response:
    """Make a channel. The address is typed again after a mistake: it is never sent back."""
    name = view.form.text("name")
    try:
        view.change("channel.add", "", {"name": name, "address": view.form.text("address")})
    except (UsageError, ConflictError) as error:
        return view.page("channel-form.html", status=error.status, error=error, name=name)
    return view.go(link("/ui/channels", done="channel-created"))


@pages.post("/ui/channels/{channel_id}/test", needs="channels:write")
def test(view: View) -> Response:
    """Send a test message; the page of its alert shows how it goes."""
    outcome = view.change("channel.test", view.id_of("channel_id", "channel"))
    return view.go(link("/ui/alerts", str(outcome.result["id"]), done="channel-tested"))


@pages.post("/ui/channels/{channel_id}/enable", needs="channels:write")
def enable(view: View) -> Response:
    """Switch a channel on."""
    view.change("channel.update", view.id_of("channel_id", "channel"), {"enabled": True})
    return view.go(link("/ui/channels", done="channel-enabled"))


@pages.post("/ui/channels/{channel_id}/disable", needs="channels:write")
def disable(view: View) -> Response:
    """Switch a channel off."""
    view.change("channel.update", view.id_of("channel_id", "channel"), {"enabled": False})
    return view.go(link("/ui/channels", done="channel-disabled"))


@pages.get("/ui/channels/{channel_id}/delete", needs="channels:write")
def ask_delete(view: View) -> Response:
    """Ask before a channel is deleted."""
    channel_id = view.id_of("channel_id", "channel")
    with view.store.read() as tx:
        channel = queries.one(tx, view.scope, CHANNELS, channel_id, "channel")
    return view.page(
        "confirm.html", title=f"Delete the channel {channel['name']}?",
        text="Its address is forgotten, and alerts that wait for it are given up.",
        action=link("/ui/channels", channel_id, "delete"), button="Delete the channel", back="/ui/channels", values={},
    )  # fmt: skip


@pages.post("/ui/channels/{channel_id}/delete", needs="channels:write")
def delete(view: View) -> Response:
    """Delete a channel."""
    view.change("channel.rm", view.id_of("channel_id", "channel"))
    return view.go(link("/ui/channels", done="channel-deleted"))
