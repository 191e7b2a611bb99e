"""Attempts: the slots that are taken, the leases that keep them, and the doorbells that were rung."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import and_, bindparam, func, select, text, update

from hub.engine.run import Transition
from hub.store.base import Tx
from hub.store.tables import Attempt
from hub.types import SECOND, Id, Scope, derived_id

TABLE = Attempt.__table__  # type: ignore[attr-defined]
LIVE = ("PUBLISHED", "CLAIMED")
# Written out, not bound: SQLite uses a partial index only for the very words it was made with.
IS_LIVE = text("attempts.state in ('PUBLISHED','CLAIMED')")
_ENDINGS = {"end": "ENDED", "lose": "LOST", "release": "RELEASED"}


def attempt_id(run_id: Id, number: int) -> Id:
    """The id of a run's attempt; made once."""
    return derived_id(run_id, "attempt", str(number))


def move(tx: Tx, scope: Scope, transition: Transition, *, queue: str, lease_s: float) -> None:
    """Carry out what a transition says about the attempt row, in the run's own transaction."""
    step = transition.attempt_move
    if step is None:
        return
    key = attempt_id(transition.run_id, transition.attempt)
    if step == "open":
        row = {
            "id": key, "workspace_id": scope.workspace_id, "run_id": transition.run_id, "number": transition.attempt,
            "epoch": transition.epoch, "queue": queue, "state": "PUBLISHED", "worker_id": transition.worker_id,
            "host": "", "boot_id": "", "pid_started": "", "published_at": tx.now,
        }  # fmt: skip
        tx.insert(TABLE, row)
        return
    values: dict[str, Any] = {}
    if step == "reopen":
        values = {"epoch": transition.epoch, "worker_id": transition.worker_id, "published_at": tx.now}
    elif step == "claim":
        values = {"state": "CLAIMED", "claimed_at": tx.now, "lease_until": tx.now + int(lease_s * SECOND)}
    else:
        values = {"state": _ENDINGS[step], "ended_at": tx.now, "lease_until": None}
    tx.conn.execute(update(TABLE).where(TABLE.c.id == key, TABLE.c.state.in_(LIVE)).values(**values))


def open_here(
    tx: Tx, scope: Scope, run_id: Id, number: int, *, queue: str, lease_s: float, process: Mapping[str, Any]
) -> Id:
    """Note an attempt that runs in the process that began it (a plain call of a flow); gives its id.

    It has no worker, so it takes no slot. `process` as in `occupy`.
    """
    key = attempt_id(run_id, number)
    row = {
        "id": key, "workspace_id": scope.workspace_id, "run_id": run_id, "number": number, "epoch": 0,
        "queue": queue, "state": "CLAIMED", "worker_id": None, "claimed_at": tx.now,
        "lease_until": tx.now + int(lease_s * SECOND), **process,
    }  # fmt: skip
    tx.insert(TABLE, row)
    return key


def get(tx: Tx, key: Id) -> dict[str, Any] | None:
    """An attempt by its id. Workers ask by the id that the doorbell named; the row tells its workspace."""
    row = tx.conn.execute(select(TABLE).where(TABLE.c.id == key)).mappings().first()
    return None if row is None else dict(row)


def occupy(tx: Tx, key: Id, *, host: str, boot_id: str, pid: int, pid_started: str) -> None:
    """Note which process executes a claimed attempt, so that its death can be told from a pause."""
    values = {"host": host, "boot_id": boot_id, "pid": pid, "pid_started": pid_started}
    tx.conn.execute(update(TABLE).where(TABLE.c.id == key).values(**values))


def renew(tx: Tx, keys: list[Id], *, lease_s: float) -> list[Id]:
    """Renew the leases of claimed attempts; those that are no longer ours are missing from the answer."""
    if not keys:
        return []
    statement = update(TABLE).where(and_(TABLE.c.id.in_(keys), TABLE.c.state == "CLAIMED"))
    statement = statement.values(lease_until=tx.now + int(lease_s * SECOND)).returning(TABLE.c.id)
    return list(tx.conn.execute(statement).scalars())


def of_worker(tx: Tx, worker_id: Id) -> list[dict[str, Any]]:
    """The live attempts of a worker."""
    query = select(TABLE).where(TABLE.c.worker_id == worker_id, IS_LIVE)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def taken(tx: Tx) -> dict[Id, int]:
    """How many slots of each worker are taken: its live attempts, counted."""
    return {worker: count for worker, count in tx.conn.execute(_TAKEN) if worker is not None}


def taken_in_queues(tx: Tx) -> dict[tuple[Id, str], int]:
    """How many live attempts each queue of each workspace has."""
    return {(workspace, queue): count for workspace, queue, count in tx.conn.execute(_TAKEN_IN_QUEUES)}


def claimed(tx: Tx) -> list[dict[str, Any]]:
    """Attempts that execute, those whose lease ends first in front; at most 2000."""
    return [dict(row) for row in tx.conn.execute(_CLAIMED).mappings()]


def unclaimed(tx: Tx, *, older_than_s: float) -> list[dict[str, Any]]:
    """Attempts whose doorbell was rung longer ago than that and that nobody claimed; at most 200."""
    given = {"before": tx.now - int(older_than_s * SECOND)}
    return [dict(row) for row in tx.conn.execute(_UNCLAIMED, given).mappings()]


# Asked every second by every upkeep process: built once.
# Built once: putting a statement together costs more than carrying it out.
_TAKEN = select(TABLE.c.worker_id, func.count()).where(IS_LIVE).group_by(TABLE.c.worker_id)
_TAKEN_IN_QUEUES = (
    select(TABLE.c.workspace_id, TABLE.c.queue, func.count())
    .where(IS_LIVE)
    .group_by(TABLE.c.workspace_id, TABLE.c.queue)
)
_CLAIMED = select(TABLE).where(IS_LIVE, TABLE.c.state == "CLAIMED").order_by(TABLE.c.lease_until).limit(2000)
_UNCLAIMED = (
    select(TABLE)
    .where(IS_LIVE, TABLE.c.state == "PUBLISHED", TABLE.c.published_at < bindparam("before"))
    .order_by(TABLE.c.published_at)
    .limit(200)
)
