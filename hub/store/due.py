"""Which runs wait, in the order in which they are served."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text

from hub.store import flow_states, lanes, raw, runs
from hub.store.base import Tx
from hub.store.flow_states import IS_OPEN
from hub.store.lanes import Waiting
from hub.store.tables import RunRow, WorkQueue
from hub.types import Id, Micros

RUNS = RunRow.__table__
QUEUES = WorkQueue.__table__
# Written out, not bound: SQLite uses a partial index only for the very words it was made with.
_WAITS = text("runs.state_type = 'SCHEDULED'")
DEFAULT_PRIORITY = 1
_LINE = ("workspace_id", "name", "priority", "slots", "paused")
_IS_DUE = f"state_type = 'SCHEDULED' AND home = 'worker' AND due_at <= ? AND {IS_OPEN}"
_COLUMNS = (*runs.RULE_COLUMNS, "lane", "throttle")
_NEXT_DUE = "SELECT MIN(due_at) FROM runs WHERE state_type = 'SCHEDULED' AND queue = ? AND due_at > ?"


@dataclass(frozen=True, slots=True)
class Line:
    """A work queue as the dispatcher sees it. `slots` None: no limit of its own."""

    workspace_id: Id
    name: str
    priority: int = DEFAULT_PRIORITY
    slots: int | None = None
    paused: bool = False


def lines(tx: Tx, wanted: Iterable[tuple[Id, str]]) -> list[Line]:
    """The queues by (workspace, name), the first to be served first. One without a row has the default settings."""
    return ask_lines(tx, wanted)()


def ask_lines(tx: Tx, wanted: Iterable[tuple[Id, str]]) -> Callable[[], list[Line]]:
    """The same, for whoever looks later."""
    pairs = set(wanted)
    asked = raw.ask_many(tx, QUEUES, _LINE, "name", sorted({name for _, name in pairs}))

    def found() -> list[Line]:
        known = {(row["workspace_id"], row["name"]): Line(**row) for rows in asked for row in rows.all()}
        lines_ = [known.get(pair) or Line(*pair) for pair in pairs]
        return sorted(lines_, key=lambda line: (line.priority, line.name, line.workspace_id))

    return found


def ask_anything(tx: Tx, names: Iterable[str]) -> Callable[[], bool]:
    """Whether a run of these queues is due, in whatever workspace; for whoever looks later."""
    also = (tx.now, tx.now)
    asked = [
        raw.ask_rows(tx, RUNS, ("id",), {"queue": name}, guard=_IS_DUE, also=also, tail="LIMIT 1") for name in names
    ]
    return lambda: sum(len(rows.all()) for rows in asked) > 0


def waiting(tx: Tx, line: Line, *, limit: int) -> list[Waiting]:
    """Runs of a queue that are due, each with its place in time and its lane, the longest due first.

    Of a lane (see `lanes`) at most the first run, and none while it is full: however many wait there, nobody else
    stands behind them.
    """
    found = _due(tx, line, limit, _IS_DUE)
    if not any(row["lane"] for row in found):
        return [_waits(row) for row in found]
    free = [_waits(row) for row in _due(tx, line, limit, f"{_IS_DUE} AND lane IS NULL")]
    in_lanes = lanes.waiting(tx, line.name, line.workspace_id, limit=limit)
    return sorted([*free, *in_lanes], key=lambda one: (one.at, one.run.id))[:limit]


def _waits(row: dict[str, Any]) -> Waiting:
    return Waiting(row["due_at"], runs.as_run(row), throttle=row["throttle"])


def _due(tx: Tx, line: Line, limit: int, guard: str) -> list[dict[str, Any]]:
    where = {"queue": line.name, "workspace_id": line.workspace_id}
    tail = f"ORDER BY due_at LIMIT {int(limit)}"
    return raw.select_rows(tx, RUNS, _COLUMNS, where, guard=guard, also=(tx.now, tx.now), tail=tail)


def next_due(tx: Tx, names: Iterable[str]) -> Micros | None:
    """When the next run of these queues becomes due, or may start by its throttle; None when none waits for a time."""
    asked = [(raw.ask(tx, _NEXT_DUE, (name, tx.now)), flow_states.ask_next_opening(tx, name)) for name in set(names)]
    times = [time for due, opening in asked for time in (due.fetchone()[0], opening())]
    return min((int(time) for time in times if time is not None), default=None)


def ahead(tx: Tx, line: Line, *, due_at: Micros, limit: int = 1000) -> int:
    """How many runs of the queue are served before one that is due then; counted no further than `limit`."""
    earlier = select(RUNS.c.id).where(
        _WAITS, RUNS.c.queue == line.name, RUNS.c.due_at < due_at, RUNS.c.workspace_id == line.workspace_id
    )
    return int(tx.conn.execute(select(func.count()).select_from(earlier.limit(limit).subquery())).scalar_one())
