"""What started a run: the way back to the request, the schedule or the person."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import select

from hub.store.base import Tx
from hub.store.tables import Automation, Event, Firing, Receipt, RunRow, Schedule, Source
from hub.types import SECOND, Scope
from hub.web.ui import queries
from hub.web.ui.templating import link

EVENTS = Event.__table__
RECEIPTS = Receipt.__table__
RUNS = RunRow.__table__
SCHEDULES = Schedule.__table__
SOURCES = Source.__table__
AUTOMATIONS = Automation.__table__
FIRINGS = Firing.__table__
NOTED_WITHIN = 600 * SECOND


class Cause(NamedTuple):
    """One step of the way that led to a run: a word for it, its name, its page ('' without one)."""

    kind: str
    text: str
    address: str = ""


def of_run(tx: Tx, scope: Scope, run: dict[str, Any]) -> list[Cause]:
    """The way that led to a run, nearest first: automation, event, receipt; or schedule; or who asked."""
    origin = run["origin_id"]
    event = queries.find(tx, scope, EVENTS, origin) if origin else None
    if event is not None:
        return of_event(tx, scope, event)
    receipt = queries.find(tx, scope, RECEIPTS, origin, "id", "source_id", "event_type") if origin else None
    if receipt is not None:
        return [_receipt(tx, scope, receipt)]
    schedule = queries.find(tx, scope, SCHEDULES, origin, "id", "kind", "spec", "deployment_id") if origin else None
    if schedule is not None:
        spec, kind = schedule["spec"], schedule["kind"]
        words = f"every {spec} s" if kind == "interval" else f"{kind} {spec}"
        return [Cause("Schedule", words, link("/ui/deployments", schedule["deployment_id"]))]
    automation = queries.find(tx, scope, AUTOMATIONS, origin, "id", "name") if origin else None
    if automation is not None:
        cause = Cause("Automation", automation["name"], link("/ui/automations", automation["id"]))
        event = _fired_by(tx, scope, run)
        return [cause, *(of_event(tx, scope, event) if event else ())]
    return []


def _fired_by(tx: Tx, scope: Scope, run: dict[str, Any]) -> dict[str, Any] | None:
    """The event that made an automation start this run; its firing was noted right after the run was made."""
    near = FIRINGS.c.at.between(run["created_at"], run["created_at"] + NOTED_WITHIN)
    where = (FIRINGS.c.workspace_id == scope.workspace_id, FIRINGS.c.run_id == run["id"], near)
    event_id = tx.conn.execute(select(FIRINGS.c.event_id).where(*where).limit(1)).scalar()
    return queries.find(tx, scope, EVENTS, event_id)


def of_event(tx: Tx, scope: Scope, event: dict[str, Any]) -> list[Cause]:
    """An event, and the receipt it came from."""
    causes = [Cause("Event", event["type"], link("/ui/events", event["id"]))]
    receipt_id = event["body"].get("receipt_id")
    receipt = queries.find(tx, scope, RECEIPTS, receipt_id, "id", "source_id", "event_type")
    return [*causes, _receipt(tx, scope, receipt)] if receipt else causes


def _receipt(tx: Tx, scope: Scope, receipt: dict[str, Any]) -> Cause:
    source = queries.names(tx, scope, SOURCES, [receipt["source_id"]]).get(receipt["source_id"], "a deleted source")
    return Cause("Receipt", f"{receipt['event_type'] or 'request'} from {source}", link("/ui/receipts", receipt["id"]))
