"""Acknowledging and silencing alerts by a link in a message, without a login.

Looking changes nothing, however often and by whom: mail programs and chats follow links. The button does it, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.errors import ConflictError, UsageError
from hub.runtime import alert_links
from hub.runtime.commands import Command, apply
from hub.store.base import Tx
from hub.store.tables import Channel, CommandOutcome, Notification
from hub.types import Actor, Id, Scope, derived_id
from hub.web.ui.pages.answers import WHO
from hub.web.ui.table import Pages
from hub.web.ui.view import View
from sqlalchemy import select
from starlette.responses import Response

from hub_notifications import firing, notices
from hub_notifications.ui.drawing import draw

pages = Pages()
CHANNELS = Channel.__table__
NOTIFICATIONS = Notification.__table__
OUTCOMES = CommandOutcome.__table__
ACTIONS: Mapping[str, tuple[str, str]] = {
    "acknowledge": ("notification.acknowledge", "Acknowledge"),
    "silence": ("notification.silence", "Silence"),
}
"""Each action of a link with its operation and what its page is called."""
SILENCES: Mapping[str, str] = {"3600": "1 hour", "86400": "1 day"}
MAX_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Asked:
    """What a link leads to: the alerts of its message that fire, and who was told."""

    action: str
    notification_id: Id
    workspace_id: Id
    channel: str
    alerts: list[dict[str, Any]]

    @property
    def command_id(self) -> Id:
        """The same for all links of a message to this action: it happens once."""
        return command_of(self.notification_id, self.action)


def command_of(notification_id: Id, action: str) -> Id:
    """The id of the command that an action of a message's links is."""
    return derived_id(notification_id, "by link", action)


@pages.get("/ui/alert-links/{action}/{token}", needs=None, trusts="the signed link")
def linked(view: View) -> Response:
    """What would be done, with the button that does it."""
    asked = _asked(view)
    return asked if isinstance(asked, Response) else _form(view, asked)


@pages.post("/ui/alert-links/{action}/{token}", needs=None, trusts="the signed link")
def act(view: View) -> Response:
    """Do it, once."""
    asked = _asked(view)
    if isinstance(asked, Response):
        return asked
    args: dict[str, Any] = {"channel": asked.channel}
    if asked.action == "silence":
        if view.form.text("for_s") not in SILENCES:
            raise UsageError("a silence by a link lasts an hour or a day", hint="Use one of the page's buttons.")
        args["for_s"] = int(view.form.text("for_s"))
    op, _ = ACTIONS[asked.action]
    scope = Scope(asked.workspace_id, Actor(WHO, asked.channel))
    try:
        apply(view.store, Command(op, scope, asked.notification_id, args, id=asked.command_id, via="ui"))
    except ConflictError as error:
        return _over(view, "refused", error.detail)
    return view.go(f"{view.request.url.path}?thanks=yes")


OVER: dict[str, tuple[int, str, str]] = {
    "thanks": (200, "Thank you", "{what}. You can close this page."),
    "used": (410, "This has been done", "{what}. A link is good for one time."),
    "quiet": (410, "This is acknowledged", "{what}."),
    "expired": (410, "This link is too old", "The dashboard shows what still fires."),
    "over": (410, "This is over", "None of the alerts of this message fires any more, so there is nothing to do."),
    "gone": (410, "This link holds no longer", "Its channel or its message was removed."),
    "refused": (409, "This could not be done", "{what}"),
    "unknown": (404, "This link is not valid", "Perhaps a part of it was cut off: try to copy the whole address."),
}
"""What a link that does nothing says: status, title, sentence."""


def _asked(view: View) -> Asked | Response:
    """What the link in the path may do, else the page that says why it may not. Raises RateLimitedError."""
    view.services.auth.check_links(view.request)
    action = view.path["action"]
    said = alert_links.read(view.store.keyring, view.path["token"]) if action in ACTIONS else None
    if said is None:
        view.services.auth.wrong_link(view.request)
        return _over(view, "unknown")
    with view.store.read() as tx:
        message = _row(tx, NOTIFICATIONS, said.notification_id)
        channel = _row(tx, CHANNELS, said.channel_id)
        if message is None or channel is None or channel["workspace_id"] != message["workspace_id"]:
            return _over(view, "gone")
        done = _row(tx, OUTCOMES, command_of(said.notification_id, action), by="command_id")
        told = notices.firing_of(tx, Scope(message["workspace_id"]), said.notification_id)
        now = tx.now
    if done is not None:
        return _over(view, "thanks" if view.query("thanks") else "used", str(done["result"].get("said", "It was done")))
    if said.until <= now:
        return _over(view, "expired")
    if not told:
        return _over(view, "over")
    if action == "acknowledge" and all(firing.is_quiet(one, now) for one in told):
        return _over(view, "quiet", f"It was acknowledged by {told[0]['acknowledged_by']}")
    return Asked(action, said.notification_id, message["workspace_id"], str(channel["name"]), told)


def _row(tx: Tx, table: Any, ident: Id, *, by: str = "id") -> dict[str, Any] | None:
    """A row that a signed link names, in whatever workspace it is."""
    row = tx.conn.execute(select(table).where(table.c[by] == ident)).mappings().first()
    return None if row is None else dict(row)


def _form(view: View, asked: Asked) -> Response:
    _, name = ACTIONS[asked.action]
    return draw(
        view, "alert-link.html", asked=asked, name=name, shown=asked.alerts[:MAX_SHOWN],
        more=len(asked.alerts) - MAX_SHOWN, action=view.request.url.path, silences=SILENCES,
    )  # fmt: skip


def _over(view: View, why: str, what: str = "") -> Response:
    status, title, text = OVER[why]
    return draw(view, "answer-over.html", status=status, title=title, text=text.format(what=what), good=why == "thanks")
