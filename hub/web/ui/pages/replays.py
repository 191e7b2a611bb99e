"""Letting kept requests happen again: one, after a look at what it would start; or all of a filter, in steps."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from hub.errors import UsageError
from hub.runtime.foreseeing import foresee
from hub.runtime.replaying import replay_all
from hub.store import receipts, sources
from hub.store.base import Tx
from hub.store.pages import MAX_LIMIT
from hub.store.tables import Source
from hub.types import ID_PATTERN, new_id
from hub.web.ui import inbox, queries
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.verdicts import VERDICTS
from hub.web.ui.view import View

pages = Pages()
SOURCES = Source.__table__
BATCH = 50
MOST = 1_000
"""Requests of one replay."""
_SCANNED = 40
"""Pages of a search that one answer looks through."""
_ID = re.compile(ID_PATTERN)
REFUSED = ("rejected", "handshake")


@pages.get("/ui/receipts/{receipt_id}/replay", needs="sources:write")
def ask_replay(view: View) -> Response:
    """Say what a request would start now, and ask."""
    receipt_id = view.id_of("receipt_id", "receipt")
    with view.store.read() as tx:
        receipt = receipts.row(tx, view.scope, receipt_id)
        source = sources.by_id(tx, view.scope, receipt["source_id"])
    return view.page(
        "replay.html", receipt=receipt, unverified=receipt["verdict"] in REFUSED,
        foreseen=foresee(view.store, view.scope, receipt), held=bool(source and source["paused_at"]),
    )  # fmt: skip


@pages.post("/ui/receipts/{receipt_id}/replay", needs="sources:write")
def replay(view: View) -> Response:
    """Let a kept request happen again, as a receipt of its own."""
    receipt_id = view.id_of("receipt_id", "receipt")
    outcome = view.change("receipt.replay", receipt_id, {"unverified": view.form.text("unverified") == "yes"})
    return view.go(link("/ui/receipts", str(outcome.result["id"]), done="replayed"))


@pages.get("/ui/replays/new", needs="sources:write")
def ask_many(view: View) -> Response:
    """Count what a filter finds, and ask."""
    refused = view.query("refused") == "yes"
    request = new_id()
    with view.store.read() as tx:
        asked = inbox.asked(tx, view.scope, view.query).before(request)
        found = _find(tx, view, asked, "", MOST, refused=refused) if asked.narrows else ([], "")
        called = queries.names(tx, view.scope, SOURCES, [row["source_id"] for row in found[0][:BATCH]])
        now = tx.now
    return view.page(
        "replay-many.html", status=422 if asked.faults else 200, asked=asked, count=len(found[0]), more=bool(found[1]),
        request=request, refused=refused, found={"items": found[0][:10]}, names=called, now=now, verdicts=VERDICTS,
    )  # fmt: skip


@pages.post("/ui/replays", needs="sources:write")
def replay_many(view: View) -> Response:
    """Replay the next so many of a filter, and say how far it is; the page asks for the next ones by itself."""
    form = view.form
    request, refused = form.text("request"), form.text("refused") == "yes"
    if not _ID.match(request):
        raise UsageError("the form names no replay", hint="Begin again from the inbox.")
    total, done, failed = (_count(form.text(name, "0")) for name in ("total", "done", "failed"))
    with view.store.read() as tx:
        asked = inbox.asked(tx, view.scope, form.text).before(request)
        if asked.faults or not asked.narrows:
            raise UsageError("the form's filter cannot be read", hint="Begin again from the inbox.")
        left = max(0, min(BATCH, total - done - failed))
        rows, cursor = _find(tx, view, asked, form.text("cursor"), left, refused=refused)
    ids = [row["id"] for row in rows]
    made = replay_all(view.store, view.scope, ids, request, unverified=refused, via="ui")
    problems = [one for one in made if one.problem]
    done, failed = done + len(made) - len(problems), failed + len(problems)
    return view.page(
        "replay-progress.html", asked=asked, request=request, refused=refused, total=total, done=done, failed=failed,
        cursor=cursor, over=not cursor or done + failed >= total, problems=problems,
    )  # fmt: skip


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 7 else 0


def _find(
    tx: Tx, view: View, asked: inbox.Asked, cursor: str, limit: int, *, refused: bool
) -> tuple[list[dict[str, Any]], str]:
    """The oldest `limit` requests of a filter that may be replayed, and where the next ones begin ("" at the end)."""
    found: list[dict[str, Any]] = []
    for _ in range(_SCANNED):
        room = min(MAX_LIMIT, limit - len(found))
        if room <= 0:
            break
        page = asked.search(tx, view.scope, cursor, limit=room, order="oldest")
        found += [row for row in page.items if refused or row["verdict"] not in REFUSED]
        cursor = page.next_cursor or ""
        if not cursor:
            break
    return found, cursor
