"""`hub runs why`: looks around a run and has the rules explain it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import func, select

from hub.engine.why import Awaited, LaneWait, LimitWait, Reason, Surroundings, explain
from hub.errors import NotFoundError
from hub.runtime import broker, runner
from hub.settings import Settings
from hub.store import attempts, lanes, limit_lists, runs, waits
from hub.store.base import Store, Tx
from hub.store.tables import Worker, WorkQueue
from hub.types import Id, Scope

_WORKERS = Worker.__table__
_QUEUES = WorkQueue.__table__
_HOLDERS = 10


def why(store: Store, settings: Settings, scope: Scope, run_id: Id) -> Reason:
    """Explain one run. Raises NotFoundError."""
    with store.read() as tx:
        run = runs.get(tx, scope, run_id)
        if run is None:
            raise NotFoundError(f"there is no run {run_id} in this workspace", hint="`hub runs ls` lists them.")
        row = tx.conn.execute(select(runs.TABLE.c.queue).where(runs.TABLE.c.id == run_id)).one()
        around, now = _surroundings(tx, settings, scope, row.queue, run_id, run.attempt), tx.now
    first = explain(run, around, now=now)
    if first.rule not in ("next", "published", "no_upkeep"):
        return first
    # It should go on: only then is it worth to knock at the broker's door, and not while a transaction is open.
    return explain(run, replace(around, broker_problem=broker.problem(settings)), now=now)


def _surroundings(tx: Tx, settings: Settings, scope: Scope, queue: str, run_id: Id, attempt: int) -> Surroundings:
    line = tx.conn.execute(
        select(_QUEUES).where(_QUEUES.c.workspace_id == scope.workspace_id, _QUEUES.c.name == queue)
    ).mappings().first()  # fmt: skip
    serving = [worker for worker in _live(tx, scope) if queue in worker["queues"]]
    taken = attempts.taken(tx)
    live = attempts.TABLE
    holding = tx.conn.execute(
        select(live.c.run_id).where(
            live.c.workspace_id == scope.workspace_id, live.c.queue == queue, attempts.IS_LIVE
        ).limit(1000)
    ).scalars().all()  # fmt: skip
    own = attempts.get(tx, attempts.attempt_id(run_id, attempt)) or {}
    names = {worker["id"]: worker["name"] for worker in serving}
    chunks, wanted = _chunks(tx, scope, run_id), queue
    if chunks:
        wanted = tx.conn.execute(select(runs.TABLE.c.queue).where(runs.TABLE.c.id == chunks[0])).scalar_one()
    return Surroundings(
        queue=queue,
        queue_paused=bool(line and line["paused"]),
        queue_slots=line["slots"] if line else None,
        queue_taken=len(holding),
        workers=len(serving),
        slots=sum(worker["slots"] for worker in serving),
        taken=sum(taken.get(worker["id"], 0) for worker in serving),
        ahead=_ahead(tx, scope, queue, run_id),
        holders=tuple(holding[:_HOLDERS]),
        worker=names.get(own.get("worker_id"), own.get("host", "")) if own else "",
        published_at=own.get("published_at"),
        lease_until=own.get("lease_until"),
        broker_seen_at=max((worker["canary_seen_at"] or worker["started_at"] for worker in serving), default=None),
        claim_timeout_s=settings.claim_timeout,
        cancel_grace_s=settings.worker_cancel_grace,
        canary_s=settings.canary_interval,
        upkeep=bool(runner.heartbeats(tx)),
        lane=_lane(tx, scope, run_id),
        waits=_waits(tx, scope, run_id),
        chunks=chunks,
        all_wait=_all_wait(tx, scope, wanted, taken),
        awaited=tuple(Awaited(row.key, row.kind, row.expires_at) for row in waits.open_of(tx, scope, run_id)),
    )


def _chunks(tx: Tx, scope: Scope, run_id: Id) -> tuple[Id, ...]:
    table = runs.TABLE
    query = select(table.c.id).where(
        table.c.workspace_id == scope.workspace_id, table.c.parent_run_id == run_id, table.c.origin == runs.CHUNK,
        table.c.state_type == "SCHEDULED",
    )  # fmt: skip
    return tuple(tx.conn.execute(query.order_by(table.c.due_at, table.c.id).limit(1000)).scalars())


def _all_wait(tx: Tx, scope: Scope, queue: str, taken: dict[Id, int]) -> bool:
    """Whether no slot of a queue is free, and each one is held by a flow of which chunks wait for that queue."""
    table, live = runs.TABLE, attempts.TABLE
    serving = {worker["id"]: worker["slots"] for worker in _live(tx, scope) if queue in worker["queues"]}
    if not serving or any(taken.get(worker, 0) < slots for worker, slots in serving.items()):
        return False
    holding = set(
        tx.conn.execute(select(live.c.run_id).where(live.c.worker_id.in_(serving), attempts.IS_LIVE)).scalars()
    )
    waiting = select(table.c.parent_run_id).where(
        table.c.workspace_id == scope.workspace_id, table.c.origin == runs.CHUNK, table.c.queue == queue,
        table.c.state_type == "SCHEDULED",
    )  # fmt: skip
    return bool(holding) and holding <= set(tx.conn.execute(waiting.distinct()).scalars())


def _lane(tx: Tx, scope: Scope, run_id: Id) -> LaneWait | None:
    found = lanes.around(tx, scope, run_id)
    return None if found is None else LaneWait(**found)


def _waits(tx: Tx, scope: Scope, run_id: Id) -> tuple[LimitWait, ...]:
    return tuple(
        LimitWait(row["limit_name"], row["slots"], row["position"], tuple(row["holders"]), row["task_name"] or "")
        for row in limit_lists.waits_of_run(tx, scope, run_id)
    )


def _live(tx: Tx, scope: Scope) -> list[dict[str, Any]]:
    query = select(_WORKERS).where(
        _WORKERS.c.workspace_id == scope.workspace_id, _WORKERS.c.status == "ready", _WORKERS.c.lease_until > tx.now
    )
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def _ahead(tx: Tx, scope: Scope, queue: str, run_id: Id) -> int:
    """How many due runs of the queue were made earlier; counted up to a thousand."""
    table = runs.TABLE
    earlier = select(table.c.id).where(
        table.c.workspace_id == scope.workspace_id, table.c.queue == queue, table.c.state_type == "SCHEDULED",
        table.c.home == "worker", table.c.due_at <= tx.now, table.c.id < run_id,
    )  # fmt: skip
    return int(tx.conn.execute(select(func.count()).select_from(earlier.limit(1000).subquery())).scalar_one())
