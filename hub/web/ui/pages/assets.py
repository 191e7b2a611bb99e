"""Assets: what tasks make outside; one with its last materializations and its lineage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from hub.store import assets
from hub.store.base import Tx
from hub.types import Id, Scope
from hub.web.ui import lineage
from hub.web.ui.lineage import Graph
from hub.web.ui.pages.artifacts import run_names
from hub.web.ui.table import Pages
from hub.web.ui.view import View

pages = Pages()
STEPS, NEAR = 2, 12
OF_RUN = 50


@pages.get("/ui/assets", needs="assets:read")
def asset_list(view: View) -> Response:
    """Assets with their newest tries."""
    cursor = view.query("cursor")
    with view.store.read() as tx:
        found = assets.listing(tx, view.scope, cursor=cursor or None)
        named, now = run_names(tx, view.scope, found.items), tx.now
    return view.page("assets.html", topics="artifacts", found=found, now=now, cursor=cursor, runs=named)


@pages.get("/ui/assets/{asset_id}", needs="assets:read")
def asset(view: View) -> Response:
    """One asset: its newest try, where it comes from and goes to, its last materializations."""
    asset_id, cursor = view.id_of("asset_id", "asset"), view.query("cursor")
    with view.store.read() as tx:
        row = assets.get(tx, view.scope, asset_id)
        graph, shown = _lineage(tx, view.scope, asset_id)
        history = assets.materializations(tx, view.scope, asset_id, limit=20, cursor=cursor or None)
        named, now = run_names(tx, view.scope, [row, *history.items]), tx.now
    return view.page(
        "asset.html", topics="artifacts", row=row, graph=graph, shown=shown, history=history, runs=named, now=now,
        cursor=cursor, box=lineage,
    )  # fmt: skip


def of_run(tx: Tx, scope: Scope, run_id: Id) -> list[dict[str, Any]]:
    """What a run made, or failed to make."""
    return assets.of_run(tx, scope, run_id, limit=OF_RUN)


def _lineage(tx: Tx, scope: Scope, asset_id: Id) -> tuple[Graph, Mapping[Id, dict[str, Any]]]:
    columns = assets.neighbours(tx, scope, asset_id, steps=STEPS, limit=NEAR)
    ids = [one for found in columns.values() for one in found]
    shown = assets.by_ids(tx, scope, ids)
    ordered = {step: sorted(found, key=lambda one: str(shown[one]["key"])) for step, found in columns.items()}
    return lineage.layered(ordered, assets.links_among(tx, scope, ids)), shown
