"""Which runs wait, in the order in which they are served."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select, text

from hub.store.base import Tx
from hub.store.tables import RunRow, WorkQueue
from hub.types import Id, Micros

RUNS = RunRow.__table__  # type: ignore[attr-defined]
QUEUES = WorkQueue.__table__  # type: ignore[attr-defined]
# Written out, not bound: SQLite uses a partial index only for the very words it was made with.
_WAITS = text("runs.state_type = 'SCHEDULED'")
DEFAULT_PRIORITY = 1
# Built once: putting a statement together costs more than carrying it out.
_QUEUES_NAMED = select(QUEUES).where(QUEUES.c.name.in_(bindparam("names", expanding=True)))
_WAITING = (
    select(RUNS.c.id, RUNS.c.workspace_id, RUNS.c.queue, RUNS.c.due_at)
    .where(
        _WAITS,
        RUNS.c.queue == bindparam("of_queue"),
        RUNS.c.due_at <= bindparam("now"),
        RUNS.c.workspace_id == bindparam("of_workspace"),
        RUNS.c.home == "worker",
    )
    .order_by(RUNS.c.due_at)
    .limit(bindparam("most"))
)
_NEXT_DUE = select(func.min(RUNS.c.due_at)).where(
    _WAITS, RUNS.c.queue == bindparam("of_queue"), RUNS.c.due_at > bindparam("now")
)


@dataclass(frozen=True, slots=True)
class Line:
    """A work queue as the dispatcher sees it. `slots` None: no limit of its own."""

    workspace_id: Id
    name: str
    priority: int = DEFAULT_PRIORITY
    slots: int | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run that is due."""

    run_id: Id
    workspace_id: Id
    queue: str
    due_at: Micros


def lines(tx: Tx, wanted: Iterable[tuple[Id, str]]) -> list[Line]:
    """The queues by (workspace, name), the first to be served first. One without a row has the default settings."""
    pairs = set(wanted)
    known = {
        (row.workspace_id, row.name): Line(row.workspace_id, row.name, row.priority, row.slots, bool(row.paused))
        for row in tx.conn.execute(_QUEUES_NAMED, {"names": sorted({name for _, name in pairs})})
    }
    found = [known.get(pair) or Line(*pair) for pair in pairs]
    return sorted(found, key=lambda line: (line.priority, line.name, line.workspace_id))


def waiting(tx: Tx, line: Line, *, limit: int) -> list[Waiting]:
    """Runs of a queue that are due, the longest due first."""
    given = {"of_queue": line.name, "now": tx.now, "of_workspace": line.workspace_id, "most": limit}
    rows = tx.conn.execute(_WAITING, given)
    return [Waiting(row.id, row.workspace_id, row.queue, row.due_at) for row in rows]


def next_due(tx: Tx, names: Iterable[str]) -> Micros | None:
    """When the next run of these queues becomes due; None when none waits for a time."""
    times = []
    for name in set(names):
        times.append(tx.conn.execute(_NEXT_DUE, {"of_queue": name, "now": tx.now}).scalar())
    return min((int(time) for time in times if time is not None), default=None)


def ahead(tx: Tx, line: Line, *, due_at: Micros, limit: int = 1000) -> int:
    """How many runs of the queue are served before one that is due then; counted no further than `limit`."""
    earlier = select(RUNS.c.id).where(
        _WAITS, RUNS.c.queue == line.name, RUNS.c.due_at < due_at, RUNS.c.workspace_id == line.workspace_id
    )
    return int(tx.conn.execute(select(func.count()).select_from(earlier.limit(limit).subquery())).scalar_one())
