"""What the store knows of conditions: bounded queries, each on an index."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from hub.runtime.plugin_rows import is_live
from hub.store import endpoints, events, outgoing, runs, workers
from hub.store.base import Tx
from hub.store.tables import (
    Alert,
    Delivery,
    Log,
    PlaneSite,
    Receipt,
    SiteValue,
    Source,
    TaskRunRow,
    Worker,
    WorkQueue,
    Workspace,
)  # fmt: skip
from hub.types import Id, Micros, first_id
from sqlalchemy import String, and_, case, func, literal_column, select, type_coerce

from hub_notifications import channels
from hub_notifications.conditions import DEAD_FOR, LATE, LOST_FOR, SHARE, WINDOW

ALERTS, RECEIPTS, SOURCES = Alert.__table__, Receipt.__table__, Source.__table__
QUEUES, WORKERS, SITES, DELIVERIES = WorkQueue.__table__, Worker.__table__, PlaneSite.__table__, Delivery.__table__
LOGS, TASKS, VALUES, WORKSPACES = Log.__table__, TaskRunRow.__table__, SiteValue.__table__, Workspace.__table__
RUNS = runs.TABLE
OLDEST = 200
"""Runs of a queue that are looked at, and runs that could be stuck."""
REFUSED = 10_000
"""Refused requests of a workspace that are counted."""
_WAITING = (
    "id", "workspace_id", "name", "flow_name", "deployment_name", "deployment_id", "queue", "lane", "throttle", "home",
    "due_at", "started_at", "state_name", "attempt", "alerts",
)  # fmt: skip
_SHOWN = [RUNS.c[name] for name in _WAITING]


def firing(tx: Tx, kinds: Collection[str]) -> list[tuple[Id, str]]:
    """(workspace, key) of every alert of these kinds that fires."""
    query = select(ALERTS.c.workspace_id, ALERTS.c.dedup_key)
    query = query.where(ALERTS.c.status == literal_column("'firing'"), ALERTS.c.kind.in_(kinds))
    return [(row.workspace_id, row.dedup_key) for row in tx.conn.execute(query)]


def workspaces(tx: Tx) -> list[Id]:
    """All of them."""
    return list(tx.conn.execute(select(WORKSPACES.c.id)).scalars())


def refused(tx: Tx) -> Iterator[dict[str, Any]]:
    """Sources with requests whose signature was refused lately. See `conditions.signatures`."""
    since = first_id(tx.now - WINDOW)
    for workspace_id in workspaces(tx):
        rare = RECEIPTS.c.verdict != literal_column("'accepted'")
        newest = select(RECEIPTS.c.source_id, RECEIPTS.c.id).where(
            RECEIPTS.c.workspace_id == workspace_id, RECEIPTS.c.verdict == "rejected", rare, RECEIPTS.c.id >= since
        )
        part = newest.order_by(RECEIPTS.c.id.desc()).limit(REFUSED).subquery()
        query = select(part.c.source_id, func.count().label("refusals"), func.max(part.c.id).label("newest"))
        for row in tx.conn.execute(query.group_by(part.c.source_id)).all():
            found = tx.conn.execute(select(SOURCES.c.name).where(SOURCES.c.id == row.source_id)).scalar()
            reason = tx.conn.execute(select(RECEIPTS.c.reason).where(RECEIPTS.c.id == row.newest)).scalar()
            if found is not None:
                yield {
                    "workspace_id": workspace_id, "id": row.source_id, "name": found, "refused": row.refusals,
                    "total": _received(tx, workspace_id, row.source_id, since, int(row.refusals / SHARE) + 1),
                    "reason": reason or "",
                }  # fmt: skip


def _received(tx: Tx, workspace_id: Id, source_id: Id, since: Id, most: int) -> int:
    some = select(RECEIPTS.c.id).where(
        RECEIPTS.c.workspace_id == workspace_id, RECEIPTS.c.source_id == source_id, RECEIPTS.c.id >= since
    )
    return int(tx.conn.execute(select(func.count()).select_from(some.limit(most).subquery())).scalar_one())


def waiting(tx: Tx) -> list[dict[str, Any]]:
    """Runs that are due for a while in queues that are not paused, the oldest of each first."""
    lines = tx.conn.execute(select(QUEUES.c.workspace_id, QUEUES.c.name, QUEUES.c.paused)).all()
    paused = {(line.workspace_id, line.name) for line in lines if line.paused}
    found: list[dict[str, Any]] = []
    for name in sorted({line.name for line in lines}):
        query = select(*_SHOWN).where(
            RUNS.c.state_type == literal_column("'SCHEDULED'"),
            RUNS.c.queue == name,
            RUNS.c.due_at <= tx.now - LATE,
            RUNS.c.home == "worker",
        )
        rows = tx.conn.execute(query.order_by(RUNS.c.due_at).limit(OLDEST)).mappings()
        found += [dict(row) for row in rows if (row["workspace_id"], name) not in paused]
    return found


def served(tx: Tx) -> dict[tuple[Id, str], int]:
    """How many workers serve the queues of workspaces now."""
    found: dict[tuple[Id, str], int] = {}
    for worker in workers.alive(tx):
        for name in worker["queues"] if worker["lease_until"] > tx.now else ():
            line = (worker["workspace_id"], name)
            found[line] = found.get(line, 0) + 1
    return found


def watched_runs(tx: Tx, started_before: Micros) -> list[dict[str, Any]]:
    """Runs that execute since then and whose flows want to hear of it when they are stuck, the oldest first."""
    found: list[dict[str, Any]] = []
    for workspace_id in workspaces(tx):
        query = select(*_SHOWN).where(
            RUNS.c.workspace_id == workspace_id,
            RUNS.c.state_type == "RUNNING",
            RUNS.c.started_at < started_before,
            type_coerce(RUNS.c.alerts, String).like('%"stuck"%'),
        )
        found += [dict(row) for row in tx.conn.execute(query.order_by(RUNS.c.id).limit(OLDEST)).mappings()]
    return found


def last_sign(tx: Tx, run: dict[str, Any]) -> Micros:
    """When a run that executes showed something last: a line in its log, a task that began or ended."""
    logged = select(LOGS.c.at).where(LOGS.c.run_id == run["id"]).order_by(LOGS.c.id.desc()).limit(1)
    tasks = select(func.max(TASKS.c.started_at), func.max(TASKS.c.ended_at)).where(TASKS.c.run_id == run["id"])
    signs = [tx.conn.execute(logged).scalar(), *tx.conn.execute(tasks).one(), run["started_at"]]
    return max(int(one) for one in signs if one is not None)


def durations(tx: Tx, run: dict[str, Any], *, last: int) -> list[Micros]:
    """How long the last completed runs of the same deployment (else of the same flow without one) took."""
    same = (
        RUNS.c.deployment_id == run["deployment_id"]
        if run["deployment_id"]
        else and_(RUNS.c.flow_name == run["flow_name"], RUNS.c.deployment_id.is_(None))
    )
    recent = select(RUNS.c.state_type, RUNS.c.started_at, RUNS.c.ended_at)
    recent = recent.where(RUNS.c.workspace_id == run["workspace_id"], same).order_by(RUNS.c.id.desc()).limit(5 * last)
    rows = tx.conn.execute(recent).all()
    return [int(row.ended_at - row.started_at) for row in rows if row.state_type == "COMPLETED" and row.started_at][
        :last
    ]


def lost(tx: Tx) -> Iterator[dict[str, Any]]:
    """Workers that were lost lately. See `conditions.lost_workers`."""
    table = events.TABLE
    for workspace_id in workspaces(tx):
        query = select(table.c.at, table.c.body).where(
            table.c.workspace_id == workspace_id, table.c.type == "hub.worker.lost"
        )
        for row in tx.conn.execute(query.order_by(table.c.seq.desc()).limit(50)).all():
            if row.at > tx.now - LOST_FOR:
                yield {"workspace_id": workspace_id, "name": row.body["name"], "at": row.at}


def last_starts(tx: Tx) -> dict[tuple[Id, str], Micros]:
    """When workers of each name started last; those that are there count as of now."""
    there = case((WORKERS.c.status.in_(workers.ALIVE), tx.now), else_=WORKERS.c.started_at)
    query = select(WORKERS.c.workspace_id, WORKERS.c.name, func.max(there).label("at"))
    rows = tx.conn.execute(query.group_by(WORKERS.c.workspace_id, WORKERS.c.name))
    return {(row.workspace_id, row.name): int(row.at) for row in rows}


def sites(tx: Tx) -> Sequence[Any]:
    """The sites that report to this plane."""
    query = select(SITES.c.workspace_id, SITES.c.id, SITES.c.name, SITES.c.last_seen_at)
    return tx.conn.execute(query.where(SITES.c.removed_at.is_(None))).mappings().all()


def dead_deliveries(tx: Tx) -> Iterator[dict[str, Any]]:
    """Channels with messages that were given up lately. See `conditions.dead_deliveries`."""
    dead = DELIVERIES.c.status == "dead"
    for workspace_id in workspaces(tx):
        query = select(
            DELIVERIES.c.channel_id, func.sum(case((dead, 1), else_=0)).label("given_up"),
            func.max(case((dead, DELIVERIES.c.ended_at))).label("dead_at"),
            func.max(case((DELIVERIES.c.status == "sent", DELIVERIES.c.ended_at))).label("sent_at"),
        ).where(
            DELIVERIES.c.workspace_id == workspace_id, DELIVERIES.c.id >= first_id(tx.now - 4 * DEAD_FOR),
            DELIVERIES.c.ended_at > tx.now - DEAD_FOR,
        )  # fmt: skip
        for row in tx.conn.execute(query.group_by(DELIVERIES.c.channel_id)).all():
            table = channels.CHANNELS
            name = tx.conn.execute(select(table.c.name).where(table.c.id == row.channel_id)).scalar()
            if row.dead_at is not None and name is not None:
                more = {"dead_at": row.dead_at, "sent_at": row.sent_at, "count": int(row.given_up)}
                yield {"workspace_id": workspace_id, "id": row.channel_id, "name": name, **more}


def enabled_channels(tx: Tx) -> dict[Id, list[str]]:
    """The names of enabled channels of each workspace."""
    found: dict[Id, list[str]] = {}
    table = channels.CHANNELS
    for row in tx.conn.execute(
        select(table.c.workspace_id, table.c.name).where(table.c.enabled).order_by(table.c.name)
    ):
        found.setdefault(row.workspace_id, []).append(row.name)
    return found


def dead_webhooks(tx: Tx) -> Iterator[dict[str, Any]]:
    """Endpoints that are failing and for which webhooks were given up lately."""
    table, sent = endpoints.TABLE, outgoing.TABLE
    query = select(table.c.id, table.c.workspace_id, table.c.name).where(table.c.failing_since.is_not(None))
    for row in tx.conn.execute(query).all():
        given_up = select(sent.c.id, sent.c.error).where(
            sent.c.workspace_id == row.workspace_id,
            sent.c.endpoint_id == row.id,
            sent.c.status == "failed",
            sent.c.status != literal_column("'delivered'"),
            sent.c.ended_at > tx.now - DEAD_FOR,
        )
        found = tx.conn.execute(given_up.order_by(sent.c.id.desc()).limit(1000)).all()
        if found:
            more = {"count": len(found), "error": found[0].error}
            yield {"workspace_id": row.workspace_id, "id": row.id, "name": row.name, **more}


def plugin_reports(tx: Tx) -> list[Any]:
    """What live processes have written down of their plugins."""
    query = select(VALUES.c.value).where(VALUES.c.name.startswith("plugins/", autoescape=True))
    return [value for value in tx.conn.execute(query).scalars() if is_live(value, tx.now)]


def failed_tasks(tx: Tx, run_id: Id) -> list[dict[str, Any]]:
    """One failed task run of each task of a run, at most 20."""
    columns = (TASKS.c.id, TASKS.c.task_name, TASKS.c.error_type, TASKS.c.error_message)
    query = select(*columns).where(TASKS.c.run_id == run_id, TASKS.c.state_type == "FAILED").order_by(TASKS.c.id)
    found: dict[str, dict[str, Any]] = {}
    for row in tx.conn.execute(query.limit(1000)).mappings():
        found.setdefault(row["task_name"], dict(row))
    return list(found.values())[:20]
