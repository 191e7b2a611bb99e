"""What leaves a site: events as they were hashed, with no more than a link's policy lets out; runs and outcomes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub import events as catalog
from hub import redacting
from hub.runtime import contributed
from hub.store import events, exporting, runs
from hub.store.base import Tx
from hub.store.tables import CommandOutcome
from hub.types import Id
from sqlalchemy import select

from hub_hybrid.exchange import lessened, spoken, withheld
from hub_hybrid.protocol import PROTOCOL, Answered, EventOut, RunOut

SNAPSHOT = "hub.run.snapshot"
"""What a run in a snapshot is called where plugins are asked about it; no event has this type."""
OUTCOMES = CommandOutcome.__table__
RUN_FIELDS = tuple(name for name, level in catalog.CATALOG["hub.run.created"].items() if level == "metadata")
_SENT = ("seq", "hash", "workspace_id", "more", *catalog.CHAINED)
_PRIVATE = ("state_message", "error_message", "parameters", *exporting.OF_RUNS)


@dataclass(frozen=True, slots=True)
class Policy:
    """Whose events a link sends and how much of them. `since`: of runs made before then only metadata."""

    workspace_id: Id
    level: str = "metadata"
    since: int = 0
    protocol: int = PROTOCOL

    @classmethod
    def of(cls, link: Mapping[str, Any], protocol: int = PROTOCOL) -> Policy:
        """That of a link, towards a plane of a protocol."""
        return cls(link["workspace_id"], link["level"], link["level_since"], protocol)


def event_out(row: Mapping[str, Any], policy: Policy) -> EventOut:
    """A stamped row as it leaves; one of another workspace leaves as its digest."""
    place = {"seq": row["seq"], "hash": row["hash"]}
    if row["workspace_id"] != policy.workspace_id:
        return EventOut(**place, digest=catalog.digest(row))
    whole = EventOut(**place, **{name: row[name] for name in catalog.CHAINED}, more=row["more"] or {})
    return lessened(spoken(whole, policy.protocol), policy.level)


def wire(event: EventOut) -> dict[str, Any]:
    """The event as JSON, without the fields that its kind does not have."""
    if event.digest is not None:
        return {"seq": event.seq, "hash": event.hash, "digest": event.digest}
    if not event.more:
        return event.model_dump(exclude={"digest", "more"})
    more = {level: part.model_dump(exclude_none=True) for level, part in event.more.items()}
    return {**event.model_dump(exclude={"digest", "more"}), "more": more}


def events_after(tx: Tx, policy: Policy, seq: int, limit: int) -> list[EventOut]:
    """What is to be sent after a position."""
    return [event_out(row, policy) for row in events.after(tx, seq=seq, limit=limit, columns=_SENT)]


def run_out(row: Mapping[str, Any], more: Mapping[str, Any] | None, needles: tuple[str, ...]) -> RunOut:
    """A run with the fields that its events carry, without secrets."""
    named = {**row, "run_name": row["name"]}
    fields = {name: redacting.blotted(named[name], needles) for name in RUN_FIELDS}
    return RunOut(id=row["id"], run=fields, more=dict(more or {}))


def run_page(tx: Tx, policy: Policy, after: Id, limit: int) -> list[RunOut]:
    """Runs in the order of their ids, for a snapshot."""
    private = _PRIVATE if policy.level != "metadata" else ()
    columns = [runs.TABLE.c[name] for name in ("id", "name", *RUN_FIELDS, *private) if name != "run_name"]
    query = select(*columns).where(runs.TABLE.c.workspace_id == policy.workspace_id, runs.TABLE.c.id > after)
    rows = [dict(row) for row in tx.conn.execute(query.order_by(runs.TABLE.c.id).limit(limit)).mappings()]
    needles = exporting.known_secrets(tx, policy.workspace_id) if rows else None
    more = _more(tx, policy, rows, needles) if private and needles is not None else {}
    return [run_out(row, more.get(row["id"]), needles or ()) for row in rows]


def _more(
    tx: Tx, policy: Policy, rows: list[dict[str, Any]], needles: tuple[str, ...]
) -> dict[Id, dict[str, dict[str, Any]]]:
    """By run what the policy lets out of it."""
    recent = [row for row in rows if row["created_at"] >= policy.since]
    caps = exporting.run_caps(tx, [row["id"] for row in recent])
    levels = {row["id"]: catalog.lowest(policy.level, caps[row["id"]]) for row in recent}
    return {row["id"]: exporting.run_parts(row, levels[row["id"]], needles) for row in recent}


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
    whole = [{**wire(item), "more": fields_of(item)} for item in items if item.digest is None]
    held = hooks.export_redact(whole) if whole else frozenset()
    return [withheld(item) if item.digest is None and item.id in held else item for item in items]


def fields_of(event: EventOut) -> dict[str, dict[str, Any]]:
    """By class the fields that an event shows beside its metadata."""
    return {level: json.loads(part.text) for level, part in event.more.items() if part.text is not None}


def redacted_runs(items: list[RunOut] | list[Answered]) -> list[RunOut | Answered]:
    """What is in a snapshot as it may leave: without the runs that a plugin withholds."""
    hooks = contributed.hooks()
    asked = [item for item in items if isinstance(item, RunOut)]
    if not asked or not hooks.implemented("hub_export_redact"):
        return [*items]
    shown = [
        {"id": one.id, "type": SNAPSHOT, "subject": one.id, "run_id": one.id, "body": one.run, "more": one.more}
        for one in asked
    ]
    held = hooks.export_redact(shown)
    return [one for one in asked if one.id not in held]


def preview(tx: Tx, policy: Policy, count: int) -> list[EventOut]:
    """The last events, oldest first; `redacted` and `wire` show exactly how they would be sent."""
    query = select(events.TABLE).where(events.TABLE.c.seq.is_not(None)).order_by(events.TABLE.c.seq.desc()).limit(count)
    rows = [dict(row) for row in tx.conn.execute(query).mappings()]
    return [event_out(row, policy) for row in reversed(rows)]
