"""Events: what happened, in the order in which it was stamped; one event with what came of it."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from hub.store import automations as store_automations
from hub.store import event_log, placed
from hub.store.base import Tx
from hub.store.tables import Automation, Event, RunRow
from hub.types import Id, Scope
from hub.web.ui import origins, queries
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View

pages = Pages()
EVENTS = Event.__table__
RUNS = RunRow.__table__
AUTOMATIONS = Automation.__table__
PREFIXES = (("", "All"), ("hub.run.", "Runs"), ("hub.", "The hub's own"))


@pages.get("/ui/events", needs="events:read")
def event_list(view: View) -> Response:
    """Stamped events, newest first, by the beginning of their type and by run."""
    prefix, run, cursor = view.query("type"), view.query("run"), view.query("cursor")
    with view.store.read() as tx:
        found = event_log.listing(tx, view.scope, types=(prefix,), run_id=run or None, cursor=cursor or None)
        of_run = queries.find(tx, view.scope, RUNS, run, "id", "name") if run else None
        now = tx.now
    return view.page(
        "events.html", topics="events", found=found, now=now, cursor=cursor, prefixes=PREFIXES, of_run=of_run,
        query={"type": prefix, "run": run},
    )  # fmt: skip


@pages.get("/ui/events/{event_id}", needs="events:read")
def event_detail(view: View) -> Response:
    """One event: its fields by what may leave this hub, where it came from, what automations did about it."""
    event_id = view.id_of("event_id", "event")
    with view.store.read() as tx:
        event = queries.one(tx, view.scope, EVENTS, event_id, "event")
        causes = origins.of_event(tx, view.scope, event)[1:]
        done, now = firings(tx, view.scope, event_id=event_id), tx.now
        run = queries.find(tx, view.scope, RUNS, event["run_id"], "id", "name", "state_type", "state_name")
    return view.page("event.html", event=event, causes=causes, firings=done, run=run, now=now)


def firings(tx: Tx, scope: Scope, *, event_id: Id) -> list[dict[str, Any]]:
    """What automations made of an event, with the names of the automations and the states of the runs."""
    return told(tx, scope, store_automations.firings(tx, scope, event_id=event_id))


def told(tx: Tx, scope: Scope, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Evaluations with the names of what they are about, and where runs of them were placed."""
    called = queries.names(tx, scope, AUTOMATIONS, [row["automation_id"] for row in found])
    types = queries.names(tx, scope, EVENTS, [row["event_id"] for row in found], "type")
    for row in found:
        row["automation"] = called.get(row["automation_id"], "a deleted automation")
        row["type"] = types.get(row["event_id"], "an event that is no longer kept")
        row["run"] = queries.find(tx, scope, RUNS, row["run_id"], "id", "name", "state_type", "state_name")
        row["placed"] = placed.find(tx, scope, row["run_id"]) if row["run"] is None else None
        row["address"] = link("/ui/automations", row["automation_id"])
    return found
