"""Bookmarks: requests that are kept under a name, and sent again whenever they are wanted."""

from __future__ import annotations

import re

from starlette.responses import Response

from hub.errors import UsageError
from hub.store import bookmarks
from hub.store.tables import Source
from hub.types import ID_PATTERN
from hub.web.api.webhooks import address
from hub.web.ui import queries
from hub.web.ui.faults import Faults
from hub.web.ui.pages.receipts import shown
from hub.web.ui.pages.wizard import sent
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View

pages = Pages()
SOURCES = Source.__table__
_ID = re.compile(ID_PATTERN)


@pages.get("/ui/bookmarks", needs="sources:read")
def bookmark_list(view: View) -> Response:
    """Bookmarked requests, the last named first."""
    cursor = view.query("cursor")
    with view.store.read() as tx:
        found, now = bookmarks.listing(tx, view.scope, cursor=cursor or None), tx.now
        ids = [row["source_id"] for row in found.items]
        alive = SOURCES.c.deleted_at.is_(None)
        rows = queries.listing(tx, view.scope, SOURCES, SOURCES.c.id.in_(ids), alive).items if ids else []
    return view.page(
        "bookmarks.html", topics="catalog", found=found, now=now, cursor=cursor,
        names={row["id"]: row["name"] for row in rows},
    )  # fmt: skip


@pages.post("/ui/receipts/{receipt_id}/bookmark", needs="sources:write")
def put(view: View) -> Response:
    """Keep a request under a name."""
    receipt_id, name = view.id_of("receipt_id", "receipt"), view.form.text("name")
    try:
        view.change("bookmark.set", name, {"receipt": receipt_id})
    except UsageError as error:
        return shown(view, Faults(name=f"{error.detail}. {error.hint}"), name)
    return view.go(link("/ui/receipts", receipt_id, done="bookmarked"))


@pages.post("/ui/bookmarks/{name}/send", needs="sources:write")
def send(view: View) -> Response:
    """Send a bookmarked request again, signed anew; its receipt is shown."""
    name = view.path["name"]
    with view.store.read() as tx:
        source_id = bookmarks.get(tx, view.scope, name)["source_id"]
    return sent(view, source_id, {"bookmark": name, "url": address(view.services.settings, "trigger")})


@pages.get("/ui/bookmarks/{name}/delete", needs="sources:write")
def ask_delete(view: View) -> Response:
    """Ask before a name is taken away."""
    with view.store.read() as tx:
        row = bookmarks.get(tx, view.scope, view.path["name"])
    return view.page(
        "confirm.html", title=f"Remove the bookmark {row['name']}?",
        text="Its request stays as long as others of its source do, and is gone after that.",
        action=link("/ui/bookmarks", row["name"], "delete"), button="Remove it", back="/ui/bookmarks", values={},
    )  # fmt: skip


@pages.post("/ui/bookmarks/{name}/delete", needs="sources:write")
def delete(view: View) -> Response:
    """Take a name away."""
    view.change("bookmark.delete", view.path["name"])
    back = view.form.text("back")
    place = link("/ui/receipts", back, done="unbookmarked") if _ID.match(back) else ""
    return view.go(place or link("/ui/bookmarks", done="unbookmarked"))
