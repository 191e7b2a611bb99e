"""Automations: when which event matches, what is done; and what was done."""

from __future__ import annotations

from starlette.responses import Response

from hub.store import automations as store_automations
from hub.store.tables import Automation
from hub.web.ui import queries
from hub.web.ui.pages.events import firings
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View

pages = Pages()
AUTOMATIONS = Automation.__table__  # type: ignore[attr-defined]


@pages.get("/ui/automations", needs="automations:read")
def automation_list(view: View) -> Response:
    """Automations, newest first."""
    cursor = view.query("cursor")
    with view.store.read() as tx:
        found, now = store_automations.listing(tx, view.scope, cursor=cursor or None), tx.now
    return view.page("automations.html", topics="catalog", found=found, now=now, cursor=cursor)


@pages.get("/ui/automations/{automation_id}", needs="automations:read")
def automation_detail(view: View) -> Response:
    """One automation and what it did lately."""
    automation_id = view.id_of("automation_id", "automation")
    with view.store.read() as tx:
        row = queries.one(tx, view.scope, AUTOMATIONS, automation_id, "automation")
        done, now = firings(tx, view.scope, automation_id=automation_id)[:50], tx.now
    return view.page("automation.html", topics="events", automation=row, firings=done, now=now)


@pages.post("/ui/automations/{automation_id}/enable", needs="automations:write")
def enable(view: View) -> Response:
    """Switch an automation on."""
    return _switch(view, True, "automation-enabled")


@pages.post("/ui/automations/{automation_id}/disable", needs="automations:write")
def disable(view: View) -> Response:
    """Switch an automation off."""
    return _switch(view, False, "automation-disabled")


def _switch(view: View, enabled: bool, done: str) -> Response:
    automation_id = view.id_of("automation_id", "automation")
    view.change("automation.update", automation_id, {"enabled": enabled})
    return view.go(link("/ui/automations", automation_id, done=done))
