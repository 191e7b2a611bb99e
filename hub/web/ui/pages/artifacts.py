"""Artifacts: what runs left for people to read, rendered; and the versions of each key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.responses import Response

from hub.errors import HubError
from hub.runtime import artifacts as reading
from hub.store import artifacts
from hub.store.base import Tx
from hub.store.tables import RunRow
from hub.types import Id, Scope
from hub.web.ui import queries
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View

pages = Pages()
RUNS = RunRow.__table__
KINDS = (
    ("", "All"), ("table", "Tables"), ("markdown", "Texts"), ("link", "Links"), ("image", "Images"),
    ("progress", "Progress"),
)  # fmt: skip
MAX_SHOWN = 4 * 1024 * 1024
"""Bytes of content that a page is made of; what is larger is for the command line."""
OF_RUN = 20
ROWS = 500
VERSIONS = 30


@pages.get("/ui/artifacts", needs="artifacts:read")
def artifact_list(view: View) -> Response:
    """Artifacts, newest first, by kind and key."""
    kind, key, cursor = view.query("kind"), view.query("key"), view.query("cursor")
    kind = kind if kind in artifacts.KINDS else ""
    with view.store.read() as tx:
        found = artifacts.listing(tx, view.scope, kind=kind or None, key=key or None, cursor=cursor or None)
        named = run_names(tx, view.scope, found.items)
        now = tx.now
    return view.page(
        "artifacts.html", topics="artifacts", found=found, now=now, cursor=cursor, kinds=KINDS, runs=named,
        query={"kind": kind, "key": key},
    )  # fmt: skip


@pages.get("/ui/artifacts/{artifact_id}", needs="artifacts:read")
def artifact(view: View) -> Response:
    """One artifact, and the other versions of its key."""
    artifact_id = view.id_of("artifact_id", "artifact")
    with view.store.read() as tx:
        row = artifacts.get(tx, view.scope, artifact_id)
        named, now = run_names(tx, view.scope, [row]), tx.now
        versions: list[dict[str, Any]] = []
        if row["key"] is not None:
            versions = artifacts.listing(tx, view.scope, key=row["key"], limit=VERSIONS).items
    content, gone = _content(view, row)
    return view.page(
        "artifact.html", topics="artifacts", row=row, content=content, gone=gone, versions=versions, runs=named,
        now=now, rows=ROWS,
    )  # fmt: skip


@pages.get("/ui/artifacts/{artifact_id}/delete", needs="artifacts:write")
def ask_delete(view: View) -> Response:
    """Ask before an artifact is deleted."""
    artifact_id = view.id_of("artifact_id", "artifact")
    with view.store.read() as tx:
        row = artifacts.get(tx, view.scope, artifact_id)
    return view.page(
        "confirm.html", title=f"Delete this {row['kind']} artifact?",
        text="It cannot be had back. Other versions of its key stay.",
        action=link("/ui/artifacts", artifact_id, "delete"), button="Delete the artifact",
        back=link("/ui/artifacts", artifact_id), values={},
    )  # fmt: skip


@pages.post("/ui/artifacts/{artifact_id}/delete", needs="artifacts:write")
def delete(view: View) -> Response:
    """Delete an artifact."""
    view.change("artifact.delete", view.id_of("artifact_id", "artifact"))
    return view.go(link("/ui/artifacts", done="artifact-deleted"))


def of_run(tx: Tx, scope: Scope, run_id: Id) -> list[tuple[dict[str, Any], Any]]:
    """The artifacts of a run, each with its content where that stands in the row."""
    return [(row, reading.inline(row)) for row in artifacts.of_run(tx, scope, run_id, limit=OF_RUN)]


def run_names(tx: Tx, scope: Scope, rows: Iterable[Mapping[str, Any]]) -> dict[Id, str]:
    """What the runs of some rows are called; those that are gone are left out."""
    return queries.names(tx, scope, RUNS, [row["run_id"] for row in rows])


def _content(view: View, row: Mapping[str, Any]) -> tuple[Any, str]:
    """The content and, where there is none to be shown, why."""
    if row["size"] > MAX_SHOWN:
        return None, "It is too large for a page."
    try:
        return reading.content(view.store, view.scope, view.services.settings.home / "results", row), ""
    except HubError as error:
        return None, error.detail
