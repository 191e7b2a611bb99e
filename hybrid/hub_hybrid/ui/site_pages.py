"""The hubs that report to this one, and their runs as far as each lets them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hub.states import StateType
from hub.web.ui.table import Pages
from hub.web.ui.view import View
from starlette.responses import Response

from hub_hybrid import loglines, orders, replica
from hub_hybrid.site_api import offline_since, shown

pages = Pages()
TEMPLATES = Path(__file__).parent / "templates"
MARKS = {
    "online": ("good", "Online"),
    "late": ("warn", "Late"),
    "offline": ("bad", "Offline"),
    "never": ("idle", "Never heard"),
}
LINES = 500


@pages.get("/ui/sites", needs="links:read")
def site_list(view: View) -> Response:
    """Sites, newest first."""
    cursor, interval = view.query("cursor"), view.services.settings.sync_interval
    with view.store.read() as tx:
        found, now = orders.sites(tx, view.scope, limit=50, cursor=cursor or None), tx.now
    presence = {row["id"]: replica.presence(row, now, interval) for row in found.items}
    return _draw(view, "sites.html", found=found, now=now, presence=presence, cursor=cursor)


@pages.get("/ui/sites/{site}", needs="links:read")
def one_site(view: View) -> Response:
    """A site's runs, newest first, and what it was asked to do."""
    cursor, state, interval = view.query("cursor"), view.query("state"), view.services.settings.sync_interval
    wanted = state if state in StateType.__members__ else None
    with view.store.read() as tx:
        site, now = orders.find_site(tx, view.scope, view.path["site"][:100]), tx.now
        found = orders.runs(tx, view.scope, site["id"], state=wanted, limit=50, cursor=cursor or None)
        commands = orders.listing(tx, view.scope, site["id"], limit=20, cursor=None)
    offline = offline_since(site, now, interval)
    return _draw(
        view, "site.html", site=site, runs=[_told(row, offline) for row in found.items], now=now, found=found,
        commands=commands.items, presence=replica.presence(site, now, interval),
        cursor=cursor, query={"state": wanted or ""}, options=_STATES,
    )  # fmt: skip


@pages.get("/ui/sites/{site}/runs/{run_id}", needs="links:read")
def one_run(view: View) -> Response:
    """A run of a site: what came of it."""
    interval = view.services.settings.sync_interval
    with view.store.read() as tx:
        site, now = orders.find_site(tx, view.scope, view.path["site"][:100]), tx.now
        row = orders.run(tx, view.scope, site["id"], view.path["run_id"][:36])
        lines = loglines.listing(tx, view.scope, site["id"], row["run_id"], level=0, limit=LINES, cursor=None)
    offline = offline_since(site, now, interval)
    return _draw(view, "site-run.html", site=site, run=_told(row, offline), lines=lines, now=now)


def _told(row: dict[str, Any], offline: str) -> dict[str, Any]:
    return {**shown(row, offline).model_dump(), "created_at": row["run"]["created_at"]}


_STATES = (("", "All"), ("RUNNING", "Running"), ("FAILED", "Failed"), ("COMPLETED", "Completed"))


def _draw(view: View, template: str, **context: Any) -> Response:
    return view.page(template, folders=(TEMPLATES,), topics="", marks=MARKS, **context)
