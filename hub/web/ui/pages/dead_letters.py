"""Dead letters: requests that were accepted and could not become events, each with the reason."""

from __future__ import annotations

from starlette.responses import Response

from hub.store.tables import Source
from hub.web.ui import inbox, queries
from hub.web.ui.table import Pages
from hub.web.ui.view import View

pages = Pages()
SOURCES = Source.__table__


@pages.get("/ui/dead-letters", needs="sources:read")
def dead_letter_list(view: View) -> Response:
    """What failed, newest first, by source and time: what is to be dealt with, or what a replay has mended."""
    cursor, mended = view.query("cursor"), view.query("mended") == "yes"

    def given(name: str) -> str:
        return "yes" if name == ("mended" if mended else "failed") else _asked(view, name)

    with view.store.read() as tx:
        asked = inbox.asked(tx, view.scope, given)
        found = asked.search(tx, view.scope, cursor)
        called = queries.names(tx, view.scope, SOURCES, [row["source_id"] for row in found.items])
        sources, now = inbox.source_names(tx, view.scope, asked.query["source"]), tx.now
    return view.page(
        "dead-letters.html", status=422 if asked.faults else 200, topics="receipts", found=found, names=called,
        asked=asked, query={name: asked.query[name] for name in ("source", "since", "mended")}, sources=sources,
        now=now, cursor=cursor,
    )  # fmt: skip


def _asked(view: View, name: str) -> str:
    return view.query(name) if name in ("source", "since") else ""
