"""What leaves a site: events as they were hashed, runs and outcomes by the export class of their fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub import events as catalog
from hub.runtime import contributed
from hub.store import events, runs
from hub.store.base import Tx
from hub.store.tables import CommandOutcome
from hub.types import Id
from sqlalchemy import select

from hub_hybrid.exchange import withheld
from hub_hybrid.protocol import Answered, EventOut, RunOut

SNAPSHOT = "hub.run.snapshot"
"""What a run in a snapshot is called where plugins are asked about it; no event has this type."""
OUTCOMES = CommandOutcome.__table__
RUN_FIELDS = tuple(name for name, level in catalog.CATALOG["hub.run.created"].items() if level == "metadata")


def event_out(row: Mapping[str, Any], workspace_id: Id) -> EventOut:
    """A stamped row as it leaves; one of another workspace leaves as its digest."""
    place = {"seq": row["seq"], "hash": row["hash"]}
    if row["workspace_id"] != workspace_id:
        return EventOut(**place, digest=catalog.digest(row))
    return EventOut(**place, **{name: row[name] for name in catalog.CHAINED})


def wire(event: EventOut) -> dict[str, Any]:
    """The event as JSON, without the fields that its kind does not have."""
    if event.digest is not None:
        return {"seq": event.seq, "hash": event.hash, "digest": event.digest}
    return event.model_dump(exclude={"digest"})


def events_after(tx: Tx, workspace_id: Id, seq: int, limit: int) -> list[EventOut]:
    """What is to be sent after a position."""
    return [event_out(row, workspace_id) for row in events.after(tx, seq=seq, limit=limit)]


def run_out(row: Mapping[str, Any]) -> RunOut:
    """A run with the fields that its events carry."""
    named = {**row, "run_name": row["name"]}
    return RunOut(id=row["id"], run={name: named[name] for name in RUN_FIELDS})


def run_page(tx: Tx, workspace_id: Id, after: Id, limit: int) -> list[RunOut]:
    """Runs in the order of their ids, for a snapshot."""
    columns = [runs.TABLE.c[name] for name in ("id", "name", *RUN_FIELDS) if name != "run_name"]
    query = select(*columns).where(runs.TABLE.c.workspace_id == workspace_id, runs.TABLE.c.id > after)
    return [run_out(dict(row)) for row in tx.conn.execute(query.order_by(runs.TABLE.c.id).limit(limit)).mappings()]


def answered_page(tx: Tx, workspace_id: Id, after: Id, limit: int) -> list[Answered]:
    """Outcomes of commands that came over a link, in the order of their ids."""
    query = select(OUTCOMES).where(
        OUTCOMES.c.workspace_id == workspace_id, OUTCOMES.c.via == "link", OUTCOMES.c.command_id > after
    )
    rows = tx.conn.execute(query.order_by(OUTCOMES.c.command_id).limit(limit)).mappings()
    return [Answered.model_validate(dict(row)) for row in rows]


def redacted(items: list[EventOut]) -> list[EventOut]:
    """Events as they may leave: of those that a plugin withholds the digest. Outside of transactions."""
    hooks = contributed.hooks()
    if not items or not hooks.implemented("hub_export_redact"):
        return items
    whole = [item.model_dump(exclude={"digest"}) for item in items if item.digest is None]
    held = hooks.export_redact(whole) if whole else frozenset()
    return [withheld(item) if item.digest is None and item.id in held else item for item in items]


def redacted_runs(items: list[RunOut] | list[Answered]) -> list[RunOut | Answered]:
    """What is in a snapshot as it may leave: without the runs that a plugin withholds."""
    hooks = contributed.hooks()
    asked = [item for item in items if isinstance(item, RunOut)]
    if not asked or not hooks.implemented("hub_export_redact"):
        return [*items]
    shown = [{"id": one.id, "type": SNAPSHOT, "subject": one.id, "run_id": one.id, "body": one.run} for one in asked]
    held = hooks.export_redact(shown)
    return [one for one in asked if one.id not in held]


def preview(tx: Tx, workspace_id: Id, count: int) -> list[EventOut]:
    """The last events, oldest first; `redacted` and `wire` show exactly how they would be sent."""
    query = select(events.TABLE).where(events.TABLE.c.seq.is_not(None)).order_by(events.TABLE.c.seq.desc()).limit(count)
    rows = [dict(row) for row in tx.conn.execute(query).mappings()]
    return [event_out(row, workspace_id) for row in reversed(rows)]
