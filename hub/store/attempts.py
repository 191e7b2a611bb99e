"""Attempts: the slots that are taken, the leases that keep them, and the doorbells that were rung."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import and_, bindparam, select, text, update

from hub.engine.run import Transition
from hub.store import limits, raw
from hub.store.base import Tx
from hub.store.tables import Attempt, RunRow
from hub.types import SECOND, Id, Scope, derived_id

TABLE = Attempt.__table__
_RUNS = RunRow.__table__
# Written out, not bound: SQLite uses a partial index only for the very words it was made with.
_LIVE = "state in ('PUBLISHED','CLAIMED')"
IS_LIVE = text(f"attempts.{_LIVE}")
_ENDINGS = {"end": "ENDED", "lose": "LOST", "release": "RELEASED"}


def attempt_id(run_id: Id, number: int) -> Id:
    """The id of a run's attempt; made once."""
    return derived_id(run_id, "attempt", str(number))


def move(
    tx: Tx, scope: Scope, transition: Transition, *, queue: str, lease_s: float, process: Mapping[str, Any] | None
) -> None:
    """Carry out what a transition says about the attempt row, in the run's own transaction.

    `process`: which process claims it (host, boot_id, pid, pid_started), so that its death can be told from a pause.
    """
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
        until = tx.now + int(lease_s * SECOND)
        values = {"state": "CLAIMED", "claimed_at": tx.now, "lease_until": until, **(process or {})}
    else:
        values = {"state": _ENDINGS[step], "ended_at": tx.now, "lease_until": None}
        limits.end_of_attempt(tx, key)
    raw.put(tx, TABLE, values, {"id": key}, guard=_LIVE)


def open_here(
    tx: Tx, scope: Scope, run_id: Id, number: int, *, queue: str, lease_s: float, process: Mapping[str, Any]
) -> Id:
    """Note an attempt that runs in the process that began it (a plain call of a flow); gives its id.

    It has no worker, so it takes no slot. `process` as in `move`.
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
    return raw.select_one(tx, TABLE, raw.names_of(TABLE), {"id": key})


def was_lost(tx: Tx, key: Id) -> bool:
    """Whether an attempt ended because its process was lost."""
    found = raw.select_one(tx, TABLE, ("state",), {"id": key})
    return found is not None and found["state"] == "LOST"


def with_run(tx: Tx, key: Id) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """An attempt and its run, every column of both, in one question."""
    mine, runs = raw.names_of(TABLE), raw.names_of(_RUNS)
    columns = ", ".join([*(f'a."{name}"' for name in mine), *(f'r."{name}"' for name in runs)])
    text = f"SELECT {columns} FROM attempts a JOIN runs r ON r.id = a.run_id WHERE a.id = "  # noqa: S608 - our own
    found = raw.execute(tx, text + raw.mark(tx.dialect), (key,)).fetchone()
    if found is None:
        return None
    return raw.as_row(TABLE, mine, found[: len(mine)]), raw.as_row(_RUNS, runs, found[len(mine) :])


def renew(tx: Tx, keys: list[Id], *, lease_s: float) -> list[Id]:
    """Renew claimed attempts, and what they hold of limits; those that are no longer ours are not in the answer."""
    if not keys:
        return []
    statement = update(TABLE).where(and_(TABLE.c.id.in_(keys), TABLE.c.state == "CLAIMED"))
    statement = statement.values(lease_until=tx.now + int(lease_s * SECOND)).returning(TABLE.c.id)
    kept = list(tx.conn.execute(statement).scalars())
    limits.renew(tx, kept, lease_s=lease_s)
    return kept


def of_worker(tx: Tx, worker_id: Id) -> list[dict[str, Any]]:
    """The live attempts of a worker."""
    query = select(TABLE).where(TABLE.c.worker_id == worker_id, IS_LIVE)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def taken(tx: Tx) -> dict[Id, int]:
    """How many slots of each worker are taken: its live attempts, counted."""
    return ask_taken(tx)()


def ask_taken(tx: Tx) -> Callable[[], dict[Id, int]]:
    """The same, for whoever looks later."""
    asked = raw.execute(tx, _TAKEN)
    return lambda: {worker: count for worker, count in asked.fetchall() if worker is not None}


def taken_in_queues(tx: Tx) -> dict[tuple[Id, str], int]:
    """How many live attempts each queue of each workspace has."""
    return {(workspace, queue): count for workspace, queue, count in raw.fetch(tx, _TAKEN_IN_QUEUES)}


def claimed(tx: Tx) -> list[dict[str, Any]]:
    """Attempts that execute, those whose lease ends first in front; at most 2000."""
    return [dict(row) for row in tx.conn.execute(_CLAIMED).mappings()]


def unclaimed(tx: Tx, *, older_than_s: float) -> list[dict[str, Any]]:
    """Attempts whose doorbell was rung longer ago than that and that nobody claimed; at most 200."""
    given = {"before": tx.now - int(older_than_s * SECOND)}
    return [dict(row) for row in tx.conn.execute(_UNCLAIMED, given).mappings()]


# Built once: putting a statement together costs more than carrying it out.
_TAKEN = f"SELECT worker_id, COUNT(*) FROM attempts WHERE {_LIVE} GROUP BY worker_id"  # noqa: S608 - fixed words
_TAKEN_IN_QUEUES = (
    f"SELECT workspace_id, queue, COUNT(*) FROM attempts WHERE {_LIVE} "  # noqa: S608 - fixed words
    "GROUP BY workspace_id, queue"
)
_CLAIMED = select(TABLE).where(IS_LIVE, TABLE.c.state == "CLAIMED").order_by(TABLE.c.lease_until).limit(2000)
_UNCLAIMED = (
    select(TABLE)
    .where(IS_LIVE, TABLE.c.state == "PUBLISHED", TABLE.c.published_at < bindparam("before"))
    .order_by(TABLE.c.published_at)
    .limit(200)
)
