"""Set times of automations: each becomes an event, once, whatever number of schedulers there is.

As with a deployment's schedule the tick is a row whose key is (automation, planned time), written in one transaction
with the event and the next time; after a pause only the last missed time is made up for. The automation listens to the
event, so what follows from it is decided, kept and shown as with any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import bindparam, delete, func, select, update

from hub.errors import UsageError
from hub.runtime import calendar
from hub.runtime.composing import timing
from hub.runtime.counting import TICKED
from hub.store import events
from hub.store.base import Tx
from hub.store.tables import Automation, AutomationSchedule, Tick
from hub.types import Actor, Id, Micros, Scope, dated_id, rfc3339

TABLE = AutomationSchedule.__table__
_AUTOMATIONS = Automation.__table__
_TICKS = Tick.__table__
_DUE = select(TABLE.c.automation_id).where(TABLE.c.next_at <= bindparam("now")).order_by(TABLE.c.next_at).limit(50)
_NEXT = select(func.min(TABLE.c.next_at))


def begin(tx: Tx, row: Mapping[str, Any]) -> None:
    """Let an automation (its row) have the set times that it has now, from now on; none when it is switched off."""
    tx.conn.execute(delete(TABLE).where(TABLE.c.automation_id == row["id"]))
    if not row["enabled"] or row["trigger"].get("kind") != "schedule":
        return
    planned = {
        "automation_id": row["id"], "workspace_id": row["workspace_id"], **timing(row["trigger"]), "anchor_at": None,
        "created_at": tx.now,
    }  # fmt: skip
    tx.insert(TABLE, {**planned, "next_at": calendar.next_time(planned, after=tx.now)})
    tx.wake("runs")


def end(tx: Tx, automation_id: Id) -> None:
    """Forget the set times of an automation that is removed."""
    tx.conn.execute(delete(TABLE).where(TABLE.c.automation_id == automation_id))


def next_times(tx: Tx, automation_ids: list[Id]) -> dict[Id, Micros]:
    """When each of some automations fires next, of those that do at set times."""
    query = select(TABLE.c.automation_id, TABLE.c.next_at).where(TABLE.c.automation_id.in_(automation_ids))
    return {row.automation_id: row.next_at for row in tx.conn.execute(query) if row.next_at is not None}


def due(tx: Tx) -> list[Id]:
    """The automations whose time has come, the first ones."""
    return list(tx.conn.execute(_DUE, {"now": tx.now}).scalars())


def next_at(tx: Tx) -> Micros | None:
    """The next set time of all."""
    found: Micros | None = tx.conn.execute(_NEXT).scalar()
    return found


def tick(tx: Tx, automation_id: Id) -> None:
    """Make an event of the last time that has come, and plan the next."""
    query = select(TABLE, _AUTOMATIONS.c.name).join_from(TABLE, _AUTOMATIONS, _AUTOMATIONS.c.id == automation_id)
    query = query.where(TABLE.c.automation_id == automation_id, TABLE.c.next_at <= tx.now)
    found = tx.conn.execute(query).mappings().first()
    if found is None:
        return  # another scheduler was faster, or it was switched off
    row = dict(found)
    try:
        planned = calendar.last_time(row, first=row["next_at"], until=tx.now)
        following = calendar.next_time(row, after=tx.now)
    except UsageError as error:
        _give_up(tx, row, error)
        return
    event = event_of(row, row["name"], planned)
    mark = {"schedule_id": automation_id, "planned_at": planned, "workspace_id": row["workspace_id"], "at": tx.now}
    if tx.insert_ignore(_TICKS, {**mark, "run_id": None}):
        scope = Scope(row["workspace_id"], Actor("schedule", automation_id))
        events.append(tx, scope, TICKED, event_id=event["id"], subject=automation_id, **event["body"])
    where = (TABLE.c.automation_id == automation_id, TABLE.c.next_at == row["next_at"])
    tx.conn.execute(update(TABLE).where(*where).values(next_at=following))


def event_of(row: Mapping[str, Any], name: str, planned: Micros) -> dict[str, Any]:
    """The event of a planned time of a schedule."""
    automation_id = row["automation_id"]
    return {
        "id": dated_id(planned, automation_id, "tick", str(planned)), "workspace_id": row["workspace_id"],
        "type": TICKED, "subject": automation_id, "run_id": None, "at": planned, "seq": 0, "private": {},
        "source": "hub", "actor": str(Actor("schedule", automation_id)),
        "body": {"name": name, "planned_for": rfc3339(planned)},
    }  # fmt: skip


def coming(row: Mapping[str, Any], now: Micros, limit: int) -> Iterator[dict[str, Any]]:
    """The events of the next set times of an automation (its row), also of one that is switched off."""
    planned = {"automation_id": row["id"], "workspace_id": row["workspace_id"], **timing(row["trigger"])}
    schedule, at = {**planned, "anchor_at": None, "created_at": row["updated_at"]}, now
    for _ in range(limit):
        following = calendar.next_time(schedule, after=at)
        if following is None:
            return
        at = following
        yield event_of(schedule, row["name"], at)


def _give_up(tx: Tx, row: Mapping[str, Any], error: UsageError) -> None:
    """One that cannot be planned any more (its time zone is gone) rests and says so."""
    tx.conn.execute(update(TABLE).where(TABLE.c.automation_id == row["automation_id"]).values(next_at=None))
    scope = Scope(row["workspace_id"], Actor("schedule", row["automation_id"]))
    events.append(
        tx, scope, "hub.automation.failed", subject=row["automation_id"], name=row["name"], cause=None, depth=1,
        error=error.detail,
    )  # fmt: skip
