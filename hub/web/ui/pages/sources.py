"""Webhook sources: what each verifies, how it is made, changed and deleted. Secrets are shown once."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from hub.errors import HubError, NotFoundError, UsageError
from hub.runtime.acting import lane_of
from hub.runtime.presets import installed
from hub.store import automation_state, consumers, holding
from hub.store import receipts as store_receipts
from hub.store import sources as store_sources
from hub.store.base import Tx
from hub.store.tables import Receipt, RunRow
from hub.types import SECOND, Id
from hub.web.api.webhooks import is_ready, warnings_of
from hub.web.ui import queries, show
from hub.web.ui.faults import faults_of
from hub.web.ui.pages.wizard import once
from hub.web.ui.panels import panels
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.verdicts import VERDICTS
from hub.web.ui.view import View
from hub.webhooks.preset import Preset

pages = Pages()
RECEIPTS = Receipt.__table__
RUNS = RunRow.__table__
RUN_SHOWN = ("id", "name", "state_type", "state_name")
MOST_KEYS = 200
LAST_RECEIPTS = 10
HOUR = 3600
DAY = 86_400 * SECOND


@pages.get("/ui/sources", needs="sources:read")
def source_list(view: View) -> Response:
    """Sources, newest first, each with whether it is verified."""
    cursor = view.query("cursor")
    with view.store.read() as tx:
        found = store_sources.listing(tx, view.scope, cursor=cursor or None)
        shown = [_shown(tx, view, row) for row in found.items]
        last, now = store_receipts.last_at(tx, view.scope, [row["id"] for row in found.items]), tx.now
    return view.page(
        "sources.html", topics="catalog,receipts", sources=shown, found=found, last=last, now=now, cursor=cursor
    )


def _shown(tx: Tx, view: View, row: dict[str, Any]) -> dict[str, Any]:
    """A source with its preset, its secrets without their values, and how far it is verified."""
    preset = installed().find(row["preset"])
    secrets = store_sources.secret_rows(tx, row["id"])
    held = holding.count(tx, row["id"]) if row["paused_at"] is not None else 0
    said = consumers.states(tx, [row["id"]]).get(row["id"]) if row["connection"] else None
    warnings = warnings_of(tx, row, preset, ready=is_ready(row, preset, secrets), held=held, consumer=said)
    state = _state(row, preset, secrets) if said is None or said["state"] != "waiting" else ("bad", "Waits", "warning")
    day = store_receipts.counts(tx, view.scope, row["id"], tx.now - DAY)
    return {
        **row, "provider": preset, "secrets": secrets, "warnings": warnings, "state": state, "held": held, "day": day,
        "taken": sum(count for verdict, count in day.items() if verdict != "rejected"),
    }  # fmt: skip


def _state(row: dict[str, Any], preset: Preset | None, secrets: list[dict[str, Any]]) -> tuple[str, str, str]:
    """Kind, word and icon of a source's badge. What is not verified is red, and never only red."""
    if not row["enabled"]:
        return "idle", "Off", "PAUSED"
    if preset is None:
        return "bad", "No such preset", "warning"
    if row["verify_none"]:
        return "bad", "Not verified", "unshielded"
    if not is_ready(row, preset, secrets):
        return "bad", "No secret", "unshielded"
    if preset.consumer:
        return "good", "By its connection", "shield"
    return ("warn", "Observes", "unshielded") if row["mode"] == "observe" else ("good", "Verified", "shield")


@pages.get("/ui/sources/{source_id}", needs="sources:read")
def source_detail(view: View) -> Response:
    """One source: what it verifies, its secrets without their values, its last requests."""
    source_id = view.id_of("source_id", "source")
    with view.store.read() as tx:
        source = _shown(tx, view, _row(tx, view, source_id))
        where = RECEIPTS.c.source_id == source_id
        last = queries.listing(tx, view.scope, RECEIPTS, where, limit=LAST_RECEIPTS, without=("body", "headers"))
        now = tx.now
    return view.page(
        "source.html", topics="receipts,catalog", source=source, found=last, names={source_id: source["name"]}, now=now,
        verdicts=VERDICTS, panels=panels(view, "source", {"id": source_id, "source": source}),
    )  # fmt: skip


def _row(tx: Tx, view: View, source_id: Id) -> dict[str, Any]:
    row = store_sources.by_id(tx, view.scope, source_id)
    if row is None or row["deleted_at"] is not None:
        raise NotFoundError(f"there is no source {source_id}", hint="It may have been deleted; its receipts are kept.")
    return row


@pages.get("/ui/sources/{source_id}/order", needs="sources:read")
def order(view: View) -> Response:
    """The keys of a source whose runs start one after the other: what each waits for."""
    source_id = view.id_of("source_id", "source")
    with view.store.read() as tx:
        source = _row(tx, view, source_id)
        keys = automation_state.lanes_of(tx, lane_of(source_id), limit=MOST_KEYS)
        running = queries.some(tx, view.scope, RUNS, [row["run_id"] for row in keys], *RUN_SHOWN)
        now = tx.now
    return view.page(
        "source-order.html", topics="runs,catalog", source=source, keys=keys, runs=running, most=MOST_KEYS, now=now
    )


@pages.post("/ui/sources/{source_id}/update", needs="sources:write")
def update(view: View) -> Response:
    """Switch a source on or off, change its mode, or open its handshake again."""
    changes: dict[str, Any] = {}
    if "enabled" in view.form:
        changes["enabled"] = view.form.text("enabled") == "yes"
    if "mode" in view.form:
        changes["mode"] = view.form.text("mode")
    if "handshake" in view.form:
        changes["handshake"] = view.form.text("handshake")
    source_id = view.id_of("source_id", "source")
    view.change("source.update", source_id, changes)
    return view.go(link("/ui/sources", source_id, done="source-updated"))


@pages.post("/ui/sources/{source_id}/pause", needs="sources:write")
def pause(view: View) -> Response:
    """Hold what a source takes."""
    source_id = view.id_of("source_id", "source")
    view.change("source.pause", source_id)
    return view.go(link("/ui/sources", source_id, done="source-paused"))


@pages.post("/ui/sources/{source_id}/resume", needs="sources:write")
def resume(view: View) -> Response:
    """Let what was held happen."""
    source_id = view.id_of("source_id", "source")
    view.change("source.resume", source_id)
    return view.go(link("/ui/sources", source_id, done="source-resumed"))


@pages.get("/ui/sources/{source_id}/rotate", needs="sources:write")
def ask_rotate(view: View) -> Response:
    """The form for a new secret or a new address."""
    return _rotate_form(view, None)


@pages.post("/ui/sources/{source_id}/rotate", needs="sources:write")
def rotate(view: View) -> Response:
    """Give a source a new secret, a new address, or both; the old ones hold for a while."""
    source_id = view.id_of("source_id", "source")
    hours = view.form.text("overlap", "24")
    args = {
        "secret": view.form.text("secret") or None, "new_secret": "new_secret" in view.form,
        "new_token": "new_token" in view.form, "overlap_s": int(hours) * HOUR if hours.isdecimal() else -1,
    }  # fmt: skip
    try:
        made = view.change("source.rotate", source_id, args)
    except UsageError as error:
        return _rotate_form(view, error)
    return once(view, made.result, title="The source has new secrets", repeated=made.repeated)


def _rotate_form(view: View, error: HubError | None) -> Response:
    with view.store.read() as tx:
        source = _shown(tx, view, _row(tx, view, view.id_of("source_id", "source")))
    return view.page(
        "source-rotate.html", status=error.status if error else 200, source=source, error=error, faults=faults_of(error)
    )


@pages.get("/ui/sources/{source_id}/delete", needs="sources:write")
def ask_delete(view: View) -> Response:
    """Ask before a source is deleted."""
    source_id = view.id_of("source_id", "source")
    with view.store.read() as tx:
        source = _shown(tx, view, _row(tx, view, source_id))
        kept = queries.count(tx, view.scope, RECEIPTS, RECEIPTS.c.source_id == source_id)
    return view.page(
        "confirm.html", title=f"Delete the source {source['name']}?", text="This cannot be undone.",
        points=_what_goes(source, kept),
        action=link("/ui/sources", source_id, "delete"), button="Delete the source",
        back=link("/ui/sources", source_id), values={},
    )  # fmt: skip


def _what_goes(source: dict[str, Any], kept: int) -> list[str]:
    """What a deletion does, before it does it."""
    many = show.plural(kept, "receipt") + (" or more" if kept >= queries.COUNT_LIMIT else "")
    said = [
        "Its address answers 404 from now on.",
        f"Forgotten with it: {show.plural(len(source['secrets']), 'secret')}.",
        f"Held back and never to happen: {show.plural(source['held'], 'request')}." if source["held"] else "",
        f"Kept to be read until they expire, but not to be replayed: {many}." if kept else "",
    ]
    return [sentence for sentence in said if sentence]


@pages.post("/ui/sources/{source_id}/delete", needs="sources:write")
def delete(view: View) -> Response:
    """Delete a source."""
    view.change("source.delete", view.id_of("source_id", "source"))
    return view.go(link("/ui/sources", done="source-deleted"))
