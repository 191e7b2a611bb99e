"""Figures of the overview. Every one is bounded, and what reads a whole day is kept for a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from hub.store.base import Store, Tx
from hub.store.tables import Attempt, Deployment, Receipt, RunRow, Schedule, Source, Worker
from hub.types import SECOND, Id, Micros, Scope
from hub.web.ui import queries
from sqlalchemy import func, select

RUNS = RunRow.__table__
RECEIPTS = Receipt.__table__
WORKERS = Worker.__table__
ATTEMPTS = Attempt.__table__
SCHEDULES = Schedule.__table__
SOURCES = Source.__table__
DEPLOYMENTS = Deployment.__table__
HOUR: Micros = 3600 * SECOND
HOURS = 24
KEEP_FACTOR = 20
LATE = 60 * SECOND


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour: its beginning as people say it, and how many runs ended in each state."""

    label: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Day:
    """The last 24 hours, oldest first, with the sums by state."""

    hours: tuple[Hour, ...]
    totals: Mapping[str, int]
    receipts: Mapping[str, int]

    @property
    def failed(self) -> int:
        """How many ended badly."""
        return self.totals.get("FAILED", 0) + self.totals.get("CRASHED", 0)


_days: WeakKeyDictionary[Store, dict[Id, tuple[float, Day]]] = WeakKeyDictionary()
_lock = threading.Lock()


def last_day(store: Store, tx: Tx, scope: Scope) -> Day:
    """The last 24 hours. A slow answer is kept for twenty times as long as it took, so that it stays cheap."""
    with _lock:
        until, day = _days.get(store, {}).get(scope.workspace_id, (0.0, None))
    started = time.monotonic()
    if day is not None and started < until:
        return day
    day = _read_day(tx, scope)
    ended = time.monotonic()
    with _lock:
        if ended - started > 0.02:
            _days.setdefault(store, {})[scope.workspace_id] = (ended + (ended - started) * KEEP_FACTOR, day)
    return day


def _read_day(tx: Tx, scope: Scope) -> Day:
    first = (tx.now // HOUR - HOURS + 1) * HOUR
    bucket = ((RUNS.c.ended_at - first) // HOUR).label("bucket")
    query = select(bucket, RUNS.c.state_type, func.count().label("many")).where(
        RUNS.c.workspace_id == scope.workspace_id, RUNS.c.ended_at >= first
    )
    by_hour: list[dict[str, int]] = [{} for _ in range(HOURS)]
    totals: dict[str, int] = {}
    for row in tx.conn.execute(query.group_by(bucket, RUNS.c.state_type)):
        by_hour[min(max(int(row.bucket), 0), HOURS - 1)][row.state_type] = row.many
        totals[row.state_type] = totals.get(row.state_type, 0) + row.many
    labels = [f"{datetime.fromtimestamp((first + index * HOUR) / SECOND, UTC):%H}:00" for index in range(HOURS)]
    hours = tuple(Hour(label, counted) for label, counted in zip(labels, by_hour, strict=True))
    return Day(hours, totals, _receipts(tx, scope, first))


def _receipts(tx: Tx, scope: Scope, since: Micros) -> dict[str, int]:
    where = (RECEIPTS.c.workspace_id == scope.workspace_id, RECEIPTS.c.received_at >= since)
    query = select(RECEIPTS.c.verdict, func.count().label("many")).where(*where).group_by(RECEIPTS.c.verdict)
    return {row.verdict: row.many for row in tx.conn.execute(query)}


def current(tx: Tx, scope: Scope) -> dict[str, int]:
    """How many runs are going on, waiting and late right now, each counted no further than 1,000."""

    def count(*states: str, late: bool = False) -> int:
        where = [RUNS.c.due_at <= tx.now - LATE] if late else []
        return sum(queries.count(tx, scope, RUNS, RUNS.c.state_type == state, *where) for state in states)

    return {
        "running": count("RUNNING", "PENDING", "CANCELLING"),
        "waiting": count("SCHEDULED", "PAUSED"),
        "late": count("SCHEDULED", late=True),
    }


def is_new(tx: Tx, scope: Scope) -> bool:
    """Whether nothing has been set up yet: no deployment and no source."""
    return not any(queries.count(tx, scope, table, limit=1) for table in (DEPLOYMENTS, SOURCES))


def workers(tx: Tx, scope: Scope) -> list[dict[str, Any]]:
    """Workers that are alive, each with how many of its slots are taken."""
    alive = (WORKERS.c.status != "gone", WORKERS.c.lease_until >= tx.now)
    found = queries.listing(tx, scope, WORKERS, *alive, limit=50).items
    live = (ATTEMPTS.c.worker_id.in_([row["id"] for row in found]), ATTEMPTS.c.state.in_(("PUBLISHED", "CLAIMED")))
    query = select(ATTEMPTS.c.worker_id, func.count().label("many")).where(*live).group_by(ATTEMPTS.c.worker_id)
    busy = {row.worker_id: row.many for row in tx.conn.execute(query)}
    return [{**row, "busy": busy.get(row["id"], 0)} for row in found]


def next_schedules(tx: Tx, scope: Scope) -> list[dict[str, Any]]:
    """The schedules that come next, with the names of their deployments."""
    columns = (SCHEDULES.c.id, SCHEDULES.c.next_at, SCHEDULES.c.kind, SCHEDULES.c.spec, SCHEDULES.c.deployment_id)
    joined = SCHEDULES.join(DEPLOYMENTS, DEPLOYMENTS.c.id == SCHEDULES.c.deployment_id)
    query = select(*columns, DEPLOYMENTS.c.name).select_from(joined).where(
        SCHEDULES.c.workspace_id == scope.workspace_id, SCHEDULES.c.active.is_(True),
        SCHEDULES.c.next_at.is_not(None), DEPLOYMENTS.c.paused.is_(False),
    )  # fmt: skip
    return [dict(row) for row in tx.conn.execute(query.order_by(SCHEDULES.c.next_at).limit(6)).mappings()]
