"""Automations: when which event matches, what is done; and what was done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from hub.runtime import simulating, ticking
from hub.runtime.acting import KINDS
from hub.runtime.composing import in_words as waits_for
from hub.runtime.simulating import Trial
from hub.store import automation_state as state
from hub.store import automations as store_automations
from hub.store.base import Tx
from hub.store.tables import Automation, Event
from hub.types import Scope, rfc3339
from hub.web.ui import queries
from hub.web.ui.faults import Faults
from hub.web.ui.outcomes import OUTCOMES
from hub.web.ui.pages.events import told
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View

pages = Pages()
TRIED = 100
AUTOMATIONS = Automation.__table__
EVENTS = Event.__table__
KEPT = ("fired", "error", "counted", "filtered", "cooled_down", "loop_stopped")
"""Outcomes that are kept."""


@pages.get("/ui/automations", needs="automations:read")
def automation_list(view: View) -> Response:
    """Automations, newest first."""
    cursor = view.query("cursor")
    with view.store.read() as tx:
        found, now = store_automations.listing(tx, view.scope, cursor=cursor or None), tx.now
    for row in found.items:
        row["does"] = [(in_words(action), action) for action in row["actions"]]
    return view.page("automations.html", topics="catalog", found=found, now=now, cursor=cursor)


@pages.get("/ui/automations/{automation_id}", needs="automations:read")
def automation_detail(view: View) -> Response:
    """One automation and what it did lately."""
    automation_id, cursor, outcome = (
        view.id_of("automation_id", "automation"),
        view.query("cursor"),
        view.query("outcome"),
    )
    outcome = outcome if outcome in KEPT else ""
    with view.store.read() as tx:
        row = queries.one(tx, view.scope, AUTOMATIONS, automation_id, "automation")
        page = store_automations.evaluations(tx, view.scope, automation_id, outcome=outcome, cursor=cursor or None)
        done, now = told(tx, view.scope, page.items), tx.now
        next_at = ticking.next_times(tx, [automation_id]).get(automation_id)
        acted = state.actions_of(tx, view.scope, automation_id, [firing["event_id"] for firing in done])
    for firing in done:
        firing["actions"] = [(in_words(one["action"]), one) for one in acted.get(firing["event_id"], [])]
    does = [(in_words(action), action) for action in row["actions"]]
    facts = counting_in_words(row["trigger"])
    facts += [("Next time", f"{rfc3339(next_at)[:19]}Z")] if next_at is not None else []
    return view.page(
        "automation.html", topics="events", automation=row, does=does, facts=facts, firings=done, now=now,
        next_cursor=page.next_cursor, cursor=cursor, query={"outcome": outcome},
        outcomes=[("", "All"), *((name, OUTCOMES[name][1]) for name in KEPT)],
    )  # fmt: skip


@pages.get("/ui/automations/{automation_id}/test", needs="automations:read")
def automation_test(view: View) -> Response:
    """What it would have made of stored events; changes nothing."""
    automation_id = view.id_of("automation_id", "automation")
    typed = {"last": view.query("last").strip() or str(TRIED), "event": view.query("event").strip()}
    with view.store.read() as tx:
        row, now = queries.one(tx, view.scope, AUTOMATIONS, automation_id, "automation"), tx.now
        event, faults = _asked(tx, view.scope, typed)
    trials: list[Trial] = []
    if not faults:
        batch = [event] if event else simulating.batch_of(view.store, view.scope, row, int(typed["last"]), now)
        trials = simulating.simulate(view.store, row, batch, event["at"] if event else now)[::-1]
    counts = [(outcome_, sum(trial.outcome == outcome_ for trial in trials)) for outcome_ in OUTCOMES]
    return view.page(
        "automation_test.html", status=422 if faults else 200, automation=row, trials=trials, now=now, typed=typed,
        faults=faults, counts=[(name, count) for name, count in counts if count], most=simulating.MOST,
    )  # fmt: skip


def _asked(tx: Tx, scope: Scope, typed: Mapping[str, str]) -> tuple[dict[str, Any] | None, Faults]:
    """The one event that was asked for, if any, and what is wrong with what was typed."""
    faults = Faults()
    last = typed["last"]
    if not (last.isascii() and last.isdecimal() and len(last) <= 6 and 1 <= int(last) <= simulating.MOST):
        faults["last"] = f"expected a whole number from 1 to {simulating.MOST}"
    if not typed["event"]:
        return None, faults
    event = queries.find(tx, scope, EVENTS, typed["event"])
    if event is None:
        faults["event"] = "there is no event with this id"
    return event, faults


@pages.post("/ui/automations/{automation_id}/enable", needs="automations:write")
def enable(view: View) -> Response:
    """Switch an automation on."""
    return _switch(view, True, "automation-enabled")


@pages.post("/ui/automations/{automation_id}/disable", needs="automations:write")
def disable(view: View) -> Response:
    """Switch an automation off."""
    return _switch(view, False, "automation-disabled")


def in_words(action: Mapping[str, Any]) -> str:
    """An action in a few words; of one that runs a deployment the deployment is left to a link."""
    kind = next((name for name in KINDS if name in action), "?")
    state = f" to {action['state']}" if kind == "set_state" else ""
    return "" if kind == "run_deployment" else f"{kind.replace('_', ' ').capitalize()}: {action.get(kind)}{state}"


def counting_in_words(trigger: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a trigger says of counting, for those that count, and of its parts, for those that have some."""
    if trigger.get("kind") == "schedule":
        return []
    if "triggers" in trigger:
        return _parts_in_words(trigger)
    within = f"{trigger.get('within', 0):g} s"
    enough = f"{trigger.get('threshold', 1)} within {within}"
    missing = trigger.get("posture") == "proactive"
    said = [
        ("Fires when", f"fewer than {enough} came" if missing else f"{enough} came" if trigger.get("within") else ""),
        ("Only after", ", ".join(trigger.get("after", []))),
        ("Counts apart", ", ".join(trigger.get("for_each", []))),
        ("Then rests", f"{trigger['cool_down']:g} s" if trigger.get("cool_down") else ""),
    ]
    return [(name, text) for name, text in said if text]


def _parts_in_words(trigger: Mapping[str, Any]) -> list[tuple[str, str]]:
    said = []
    for number, part in enumerate(trigger["triggers"], 1):
        match = f" that match {part['match']}" if part.get("match") else ""
        more = "".join(f"; {name.lower()}: {text}" for name, text in counting_in_words(part))
        said.append((f"Part {number}", f"{waits_for(part)}{match}{more}"))
    within, whole = trigger.get("within"), {name: trigger.get(name) for name in ("for_each", "cool_down")}
    said += [("Within", f"{within:g} s")] if within else []
    return said + counting_in_words({name: value for name, value in whole.items() if value})


def _switch(view: View, enabled: bool, done: str) -> Response:
    automation_id = view.id_of("automation_id", "automation")
    view.change("automation.update", automation_id, {"enabled": enabled})
    return view.go(link("/ui/automations", automation_id, done=done))
