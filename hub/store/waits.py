"""Wait points: opened by the code that waits, answered or expired once, closed with their run.

Locks: whoever settles a point, or lets a run leave because of one, first holds the row of the run that the point wakes.
So an answer that comes while the run is leaving is either seen by the leaving run, or finds it gone and wakes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from sqlalchemy import bindparam, func, or_, select, text, update

from hub.store import raw
from hub.store.base import Tx
from hub.store.tables import RunRow, SiteValue, WaitPoint
from hub.types import Id, Micros, Scope

TABLE = WaitPoint.__table__
_RUNS = RunRow.__table__
# Written out, not bound: SQLite uses a partial index only for the very words it was made with.
_CAN_EXPIRE = text("wait_points.state = 'open' AND wait_points.expires_at IS NOT NULL")
_AWAIT_EVENTS = text("wait_points.state = 'open' AND wait_points.kind = 'event'")
_VALUES = SiteValue.__table__
_SEEN = "waits.events"
PointState: TypeAlias = Literal["open", "answered", "expired", "closed"]


@dataclass(frozen=True, slots=True)
class Point:
    """One wait point as it is now. `kind` says who may answer and what `answer` is."""

    id: Id
    workspace_id: Id
    run_id: Id
    wakes_run_id: Id
    step_key: str
    kind: str
    key: str
    state: PointState
    asks: dict[str, Any]
    answer: Any
    answered_by: str | None
    created_at: Micros
    expires_at: Micros | None


_COLUMNS = tuple(Point.__dataclass_fields__)


def hold_run(tx: Tx, run_id: Id) -> None:
    """Hold the row of a run until the end of the transaction; on SQLite nobody else writes anyway."""
    if tx.dialect == "postgresql":
        tx.conn.execute(select(_RUNS.c.id).where(_RUNS.c.id == run_id).with_for_update())


def opened(tx: Tx, scope: Scope, point: Point) -> tuple[Point, bool]:
    """Open a point, or give the one that an earlier attempt has opened for the same step; and whether it is new."""
    new = tx.insert_ignore(TABLE, {name: getattr(point, name) for name in _COLUMNS})
    found = raw.select_one(tx, TABLE, _COLUMNS, {"run_id": point.run_id, "step_key": point.step_key})
    assert found is not None
    assert found["workspace_id"] == scope.workspace_id
    return _point(found), new


def any_of(tx: Tx, point_id: Id) -> Point | None:
    """A point of any workspace, for who has a link that the hub has signed for it."""
    found = raw.select_one(tx, TABLE, _COLUMNS, {"id": point_id})
    return None if found is None else _point(found)


def asked_again(tx: Tx, point: Point) -> Point | None:
    """The open point that asks for the same input again, because the answer to this one was refused by its type."""
    same = (TABLE.c.run_id == point.run_id, TABLE.c.workspace_id == point.workspace_id, TABLE.c.kind == point.kind)
    query = select(*(TABLE.c[name] for name in _COLUMNS)).where(*same, TABLE.c.key == point.key)
    later = query.where(TABLE.c.created_at >= point.created_at).order_by(TABLE.c.created_at)
    at = point.id
    for found in map(_point, tx.conn.execute(later).mappings()):
        if found.asks.get("again_of") == at:
            if found.state == "open":
                return found
            at = found.id
    return None


def get(tx: Tx, scope: Scope, point_id: Id) -> Point | None:
    """A point of this workspace."""
    found = raw.select_one(tx, TABLE, _COLUMNS, {"id": point_id, "workspace_id": scope.workspace_id})
    return None if found is None else _point(found)


def open_of(tx: Tx, scope: Scope, run_id: Id) -> list[Point]:
    """The open points that hold a run up, its own and those of flows nested in it; the oldest first."""
    query = select(*(TABLE.c[name] for name in _COLUMNS)).where(
        TABLE.c.workspace_id == scope.workspace_id, TABLE.c.state == "open",
        or_(TABLE.c.run_id == run_id, TABLE.c.wakes_run_id == run_id),
    )  # fmt: skip
    return [_point(row) for row in tx.conn.execute(query.order_by(TABLE.c.created_at, TABLE.c.id)).mappings()]


def settle(tx: Tx, scope: Scope, point_id: Id, state: PointState, *, answer: Any = None, by: str | None = None) -> bool:
    """End a point; False when it had ended before. The caller holds the run that it wakes."""
    query = update(TABLE).where(
        TABLE.c.id == point_id, TABLE.c.workspace_id == scope.workspace_id, TABLE.c.state == "open"
    )
    done = tx.conn.execute(query.values(state=state, answer=answer, answered_by=by, answered_at=tx.now))
    return bool(done.rowcount)


def close_of(tx: Tx, scope: Scope, run_id: Id) -> None:
    """Close what a run that has ended waited for."""
    of_run = (TABLE.c.run_id == run_id, TABLE.c.workspace_id == scope.workspace_id, TABLE.c.state == "open")
    if tx.conn.execute(update(TABLE).where(*of_run).values(state="closed", answered_at=tx.now)).rowcount:
        tx.wake("waits")


def are_events_awaited(tx: Tx) -> bool:
    """Whether there is an open point that waits for an event."""
    return tx.conn.execute(select(TABLE.c.id).where(_AWAIT_EVENTS).limit(1)).first() is not None


def awaiting_events(tx: Tx, *, over: bool = False) -> list[Point]:
    """The open points of all workspaces that wait for events, for the hub's own work; `over`: those out of time."""
    query = select(*(TABLE.c[name] for name in _COLUMNS)).where(_AWAIT_EVENTS)
    if over:
        query = query.where(TABLE.c.expires_at <= tx.now)
    return [_point(row) for row in tx.conn.execute(query.order_by(TABLE.c.created_at)).mappings()]


def events_seen(tx: Tx) -> int:
    """The last stamped event that was looked at for all of them."""
    found = raw.select_one(tx, _VALUES, ("value",), {"name": _SEEN})
    return 0 if found is None else int(found["value"])


def note_events_seen(tx: Tx, seq: int) -> None:
    """Move that forward, never back: another process may be ahead."""
    if seq > events_seen(tx):
        tx.upsert(_VALUES, {"name": _SEEN, "value": seq}, keys=["name"])


def run_out(tx: Tx, *, limit: int) -> list[Point]:
    """Open points of any workspace whose time is over, for the hub's own work; not those that wait for events."""
    query = select(*(TABLE.c[name] for name in _COLUMNS)).where(_CAN_EXPIRE, TABLE.c.expires_at <= bindparam("now"))
    query = query.where(TABLE.c.kind != "event")
    found = tx.conn.execute(query.order_by(TABLE.c.expires_at).limit(limit), {"now": tx.now})
    return [_point(row) for row in found.mappings()]


def next_expiry(tx: Tx) -> Micros | None:
    """When the next open point runs out."""
    found: Micros | None = tx.conn.execute(_NEXT).scalar()
    return found


_NEXT = select(func.min(TABLE.c.expires_at)).where(_CAN_EXPIRE, TABLE.c.kind != "event")


def _point(row: Any) -> Point:
    return Point(**cast("dict[str, Any]", dict(row)))
