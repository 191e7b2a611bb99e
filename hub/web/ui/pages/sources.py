"""Webhook sources: what each verifies, how it is made, changed and deleted. Secrets are shown once."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from hub.errors import ConflictError, HubError, NotFoundError, UsageError
from hub.runtime.presets import installed
from hub.store import receipts as store_receipts
from hub.store import sources as store_sources
from hub.store.base import Tx
from hub.store.tables import Receipt
from hub.types import Id
from hub.web.api.webhooks import address, warnings_of
from hub.web.ui import queries
from hub.web.ui.pages.receipts import VERDICTS
from hub.web.ui.panels import panels
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View
from hub.webhooks.preset import Preset

pages = Pages()
RECEIPTS = Receipt.__table__  # type: ignore[attr-defined]
OPTION = "option."
LAST_RECEIPTS = 10
HOUR = 3600


@pages.get("/ui/sources", needs="sources:read")
def source_list(view: View) -> Response:
    """Sources, newest first, each with whether it is verified."""
    cursor = view.query("cursor")
    with view.store.read() as tx:
        found = store_sources.listing(tx, view.scope, cursor=cursor or None)
        shown = [_shown(tx, row) for row in found.items]
        last, now = store_receipts.last_at(tx, [row["id"] for row in found.items]), tx.now
    return view.page(
        "sources.html", topics="catalog,receipts", sources=shown, found=found, last=last, now=now, cursor=cursor
    )


def _shown(tx: Tx, row: dict[str, Any]) -> dict[str, Any]:
    """A source with its preset, its secrets without their values, and how far it is verified."""
    preset = installed().find(row["preset"])
    secrets = store_sources.secret_rows(tx, row["id"])
    warnings = warnings_of(row, preset, ready=bool(row["verify_none"] or secrets))
    return {**row, "provider": preset, "secrets": secrets, "warnings": warnings, "state": _state(row, preset, secrets)}


def _state(row: dict[str, Any], preset: Preset | None, secrets: list[dict[str, Any]]) -> tuple[str, str, str]:
    """Kind, word and icon of a source's badge. What is not verified is red, and never only red."""
    if not row["enabled"]:
        return "idle", "Off", "PAUSED"
    if preset is None:
        return "bad", "No such preset", "warning"
    if row["verify_none"]:
        return "bad", "Not verified", "unshielded"
    if not secrets:
        return "bad", "No secret", "unshielded"
    return ("warn", "Observes", "unshielded") if row["mode"] == "observe" else ("good", "Verified", "shield")


@pages.get("/ui/sources/new", needs="sources:write")
def new_source(view: View) -> Response:
    """Choose a provider, then fill in its form."""
    chosen = view.query("preset")
    if not chosen:
        return view.page("source-presets.html", presets=list(installed()))
    return _form(view, _preset(chosen), None)


@pages.post("/ui/sources/new", needs="sources:write")
def create(view: View) -> Response:
    """Make a source, and show its address and its secret, this once."""
    preset = _preset(view.form.text("preset"))
    options = {name: view.form.text(OPTION + name) for name in preset.options}
    args = {
        "name": view.form.text("name"), "preset": preset.id, "secret": view.form.text("secret") or None,
        "options": {name: value for name, value in options.items() if value},
        "mode": "observe" if "observe" in view.form else "enforce",
        "verify": "none" if "verify_none" in view.form else "preset",
    }  # fmt: skip
    try:
        made = view.change("source.create", "", args)
    except (UsageError, ConflictError) as error:
        return _form(view, preset, error)
    return _once(view, made.result, preset, title="The source was created", repeated=made.repeated)


def _preset(name: str) -> Preset:
    return installed().get(name)


def _form(view: View, preset: Preset, error: HubError | None) -> Response:
    values = {name: view.form.raw(OPTION + name) or (option.default or "") for name, option in preset.options.items()}
    return view.page(
        "source-form.html", status=error.status if error else 200, preset=preset, error=error, values=values,
        prefix=OPTION, name=view.form.text("name"), observe="observe" in view.form, open="verify_none" in view.form,
    )  # fmt: skip


def _once(view: View, made: dict[str, Any], preset: Preset | None, *, title: str, repeated: bool) -> Response:
    """What is new of a source's address and secret. A form that is sent again gets no second look at them."""
    token = made.get("token")
    url = address(view.services.settings, token) if token else ""
    answer = view.page(
        "source-once.html", title=title, made=made, url=url, secret=made.get("secret") or "", preset=preset,
        repeated=repeated, public=bool(view.services.settings.public_url),
    )  # fmt: skip
    answer.headers["cache-control"] = "no-store"
    return answer


@pages.get("/ui/sources/{source_id}", needs="sources:read")
def source_detail(view: View) -> Response:
    """One source: what it verifies, its secrets without their values, its last requests."""
    source_id = view.id_of("source_id", "source")
    with view.store.read() as tx:
        source = _shown(tx, _row(tx, view, source_id))
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


@pages.post("/ui/sources/{source_id}/update", needs="sources:write")
def update(view: View) -> Response:
    """Switch a source on or off, or change its mode."""
    changes: dict[str, Any] = {}
    if "enabled" in view.form:
        changes["enabled"] = view.form.text("enabled") == "yes"
    if "mode" in view.form:
        changes["mode"] = view.form.text("mode")
    source_id = view.id_of("source_id", "source")
    view.change("source.update", source_id, changes)
    return view.go(link("/ui/sources", source_id, done="source-updated"))


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
    with view.store.read() as tx:
        preset = installed().find(_row(tx, view, source_id)["preset"])
    return _once(view, made.result, preset, title="The source has new secrets", repeated=made.repeated)


def _rotate_form(view: View, error: HubError | None) -> Response:
    with view.store.read() as tx:
        source = _shown(tx, _row(tx, view, view.id_of("source_id", "source")))
    return view.page("source-rotate.html", status=error.status if error else 200, source=source, error=error)


@pages.get("/ui/sources/{source_id}/delete", needs="sources:write")
def ask_delete(view: View) -> Response:
    """Ask before a source is deleted."""
    source_id = view.id_of("source_id", "source")
    with view.store.read() as tx:
        source = _row(tx, view, source_id)
    return view.page(
        "confirm.html", title=f"Delete the source {source['name']}?",
        text="Its address answers 404 from now on, and its secrets are forgotten. Its receipts stay until they expire.",
        action=link("/ui/sources", source_id, "delete"), button="Delete the source",
        back=link("/ui/sources", source_id), values={},
    )  # fmt: skip


@pages.post("/ui/sources/{source_id}/delete", needs="sources:write")
def delete(view: View) -> Response:
    """Delete a source."""
    view.change("source.delete", view.id_of("source_id", "source"))
    return view.go(link("/ui/sources", done="source-deleted"))
