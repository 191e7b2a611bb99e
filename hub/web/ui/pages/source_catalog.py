"""The catalog of a source: what payloads look like by event type, what is proposed, and what departed from it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from starlette.responses import Response

from hub.errors import HubError, NotFoundError, UsageError
from hub.runtime import drifting
from hub.runtime.presets import installed
from hub.store import dismissals, event_schemas, sources
from hub.store.base import Tx
from hub.web.ui.faults import faults_of
from hub.web.ui.pages.session import inside
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View

pages = Pages()
LEARNED_FROM = 100
MODES = {"off": "Pay no heed", "observe": "Note what departs", "enforce": "Refuse what departs"}
KINDS = {
    "new": ("idle", "New"), "missing": ("warn", "Missing"), "type": ("bad", "Other type"), "other": ("warn", "Departs"),
}  # fmt: skip
"""Each kind of a departure with the kind of its badge and its word."""


@pages.get("/ui/sources/{source_id}/catalog", needs="sources:read")
def catalog(view: View) -> Response:
    """The schemas of a source, and where its payloads departed from them, the last seen first."""
    with view.store.read() as tx:
        source = _source(tx, view)
        schemas = event_schemas.listing(tx, source["id"])
        drifts, now = event_schemas.drifts(tx, source["id"]), tx.now
    return view.page(
        "catalog.html", topics="receipts,catalog", source=source, schemas=schemas, drifts=drifts, modes=MODES,
        kinds=KINDS, most=event_schemas.MAX_DRIFTS, now=now,
    )  # fmt: skip


def _source(tx: Tx, view: View) -> dict[str, Any]:
    return sources.row(tx, view.scope, view.id_of("source_id", "source"))


@pages.post("/ui/sources/{source_id}/catalog", needs="sources:write")
def switch(view: View) -> Response:
    """Say what is done with a payload that departs from its schema."""
    source_id = view.id_of("source_id", "source")
    view.change("source.update", source_id, {"schema_mode": view.form.text("mode")})
    return view.go(link("/ui/sources", source_id, "catalog", done="schema-mode"))


@pages.get("/ui/sources/{source_id}/catalog/proposals", needs="sources:read")
def proposals(view: View) -> Response:
    """Schemas that the last events fit, each beside the one that holds."""
    return _proposals(view)


def _proposals(view: View, *, changed: str = "") -> Response:
    with view.store.read() as tx:
        source = _source(tx, view)
        found, held = _proposed(tx, source, None), event_schemas.texts(tx, source["id"])
        dismissed, now = dismissals.listing(tx, source["id"]), tx.now
    unwanted = {one["about"] for one in dismissed if one["kind"] == "schema"}
    found = [one for one in found if one["type"] not in unwanted]
    shown = [{**one, "digest": _digest(one["document"]), "held": _compared(one, held)} for one in found]
    return view.page(
        "catalog-proposals.html", status=409 if changed else 200, source=source, proposals=shown, changed=changed,
        last=LEARNED_FROM, dismissed=dismissed, now=now,
    )  # fmt: skip


def _proposed(tx: Tx, source: dict[str, Any], event_type: str | None) -> list[dict[str, Any]]:
    preset = installed().find(source["preset"])
    if preset is None:  # its plugin is gone, and nobody can read what came
        return []
    return drifting.propose(tx, source, preset, event_type=event_type, last=LEARNED_FROM)


def _digest(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _compared(one: dict[str, Any], held: dict[str, str]) -> str:
    """How a proposal stands to what holds: new, same, other."""
    text = held.get(one["type"])
    return "new" if text is None else "same" if json.loads(text) == one["document"] else "other"


@pages.post("/ui/sources/{source_id}/catalog/proposals", needs="sources:write")
def accept(view: View) -> Response:
    """Set a schema as it was proposed. What came meanwhile may have changed the proposal: then it is shown anew."""
    type_ = view.form.text("type")
    with view.store.read() as tx:
        source = _source(tx, view)
        found = [one["document"] for one in _proposed(tx, source, type_ or None) if one["type"] == type_]
    if not found or _digest(found[0]) != view.form.text("digest"):
        return _proposals(view, changed=type_)
    view.change("source.schema_set", source["id"], {"type": type_, "document": found[0]})
    return view.go(link("/ui/sources", source["id"], "catalog", done="schema-set"))


@pages.post("/ui/sources/{source_id}/dismiss", needs="sources:write")
def dismiss(view: View) -> Response:
    """Propose something for the source no more."""
    return _decided(view, "source.dismiss", "dismissed")


@pages.post("/ui/sources/{source_id}/reconsider", needs="sources:write")
def reconsider(view: View) -> Response:
    """Let what was dismissed be proposed again."""
    return _decided(view, "source.reconsider", "reconsidered")


def _decided(view: View, op: str, done: str) -> Response:
    with view.store.read() as tx:
        source_id = _source(tx, view)["id"]
    view.change(op, source_id, {name: view.form.text(name) for name in ("kind", "about")})
    return view.go(link(inside(view.form.text("back")).partition("?")[0], done=done))


@pages.get("/ui/sources/{source_id}/catalog/schema", needs="sources:read")
def show_schema(view: View) -> Response:
    """One schema, and where payloads of its type departed from it."""
    with view.store.read() as tx:
        source = _source(tx, view)
        row = event_schemas.get(tx, source, view.query("type"))
        known = None if row["event_type"] == "*" else row["event_type"]
        drifts, now = event_schemas.drifts(tx, source["id"], event_type=known), tx.now
    return view.page(
        "catalog-schema.html", topics="receipts,catalog", source=source, schema=row,
        document=json.loads(row["document"]), drifts=drifts, kinds=KINDS, now=now,
    )  # fmt: skip


@pages.get("/ui/sources/{source_id}/catalog/edit", needs="sources:write")
def ask_schema(view: View) -> Response:
    """The form for a schema, with the one that holds."""
    type_ = view.query("type")
    with view.store.read() as tx:
        source = _source(tx, view)
        try:
            held = json.loads(event_schemas.get(tx, source, type_)["document"]) if type_ else {"type": "object"}
        except NotFoundError:
            held = {"type": "object"}
    return _form(view, source, {"type": type_, "document": json.dumps(held, indent=2, ensure_ascii=False)}, None)


@pages.post("/ui/sources/{source_id}/catalog/edit", needs="sources:write")
def set_schema(view: View) -> Response:
    """Set a schema as it was written."""
    with view.store.read() as tx:
        source = _source(tx, view)
    typed = {"type": view.form.text("type"), "document": view.form.raw("document") or ""}
    try:
        view.change("source.schema_set", source["id"], {"type": typed["type"], "document": _read(typed["document"])})
    except UsageError as error:
        return _form(view, source, typed, error)
    return view.go(link("/ui/sources", source["id"], "catalog", done="schema-set"))


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"document: no JSON: {error}", field="document") from None


def _form(view: View, source: dict[str, Any], typed: dict[str, str], error: HubError | None) -> Response:
    return view.page(
        "catalog-form.html", status=error.status if error else 200, source=source, typed=typed, error=error,
        faults=faults_of(error),
    )  # fmt: skip


@pages.get("/ui/sources/{source_id}/catalog/remove", needs="sources:write")
def ask_remove(view: View) -> Response:
    """Ask before a schema is removed."""
    type_ = view.query("type")
    with view.store.read() as tx:
        source = _source(tx, view)
        event_schemas.get(tx, source, type_)
    back = link("/ui/sources", source["id"], "catalog")
    return view.page(
        "confirm.html", title=f"Remove the schema of {type_}?",
        text=f"What is known of departures from it is forgotten. Events of {source['name']} come in as before.",
        action=f"{back}/remove", button="Remove the schema", back=back, values={"type": type_},
    )  # fmt: skip


@pages.post("/ui/sources/{source_id}/catalog/remove", needs="sources:write")
def remove(view: View) -> Response:
    """Remove a schema."""
    source_id = view.id_of("source_id", "source")
    view.change("source.schema_remove", source_id, {"type": view.form.text("type")})
    return view.go(link("/ui/sources", source_id, "catalog", done="schema-removed"))
