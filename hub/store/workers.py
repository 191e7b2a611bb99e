"""Workers: who is there, with how many slots, until when; and which of their slots are free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update

from hub.store import attempts, events, raw
from hub.store.base import Tx
from hub.store.tables import Worker
from hub.types import SECOND, Actor, Id, Micros, Scope

TABLE = Worker.__table__
ALIVE = ("starting", "ready", "draining")


_ALIVE = select(TABLE).where(TABLE.c.status.in_(ALIVE))
_READY = "status = 'ready' AND lease_until > ?"
_OPENING = ("id", "workspace_id", "queues", "slots")


@dataclass(frozen=True, slots=True)
class Opening:
    """A worker that can take `free` more attempts."""

    worker_id: Id
    workspace_id: Id
    queues: frozenset[str]
    free: int


def register(tx: Tx, row: Mapping[str, Any], *, lease_s: float) -> None:
    """Write a new worker, starting and with a lease."""
    full = {"status": "starting", "started_at": tx.now, "lease_until": _until(tx, lease_s), **row}
    tx.insert(TABLE, full)


def renew(tx: Tx, worker_id: Id, *, lease_s: float, **values: Any) -> bool:
    """Renew a worker's lease and note `values`; False when it was declared gone meanwhile."""
    statement = update(TABLE).where(TABLE.c.id == worker_id, TABLE.c.status.in_(ALIVE))
    return tx.conn.execute(statement.values(lease_until=_until(tx, lease_s), **values)).rowcount == 1


def ready(tx: Tx, worker_id: Id) -> bool:
    """Say that a worker takes attempts from now on."""
    if not renewable(tx, worker_id, ("starting",), status="ready"):
        return False
    _event(tx, worker_id, "started")
    tx.wake("runs")
    return True


def drain(tx: Tx, worker_id: Id) -> None:
    """Have no more attempts sent to a worker."""
    renewable(tx, worker_id, ("starting", "ready"), status="draining")


def leave(tx: Tx, worker_id: Id, *, lost: bool) -> bool:
    """A worker has ended: by itself, or it was `lost`. False when somebody else noted it before."""
    if not renewable(tx, worker_id, ALIVE, status="gone", ended_at=tx.now):
        return False
    _event(tx, worker_id, "lost" if lost else "stopped")
    tx.wake("runs")
    return True


def renewable(tx: Tx, worker_id: Id, states: tuple[str, ...], **values: Any) -> bool:
    """Change a worker that is in one of `states`; False when it is not."""
    statement = update(TABLE).where(TABLE.c.id == worker_id, TABLE.c.status.in_(states)).values(**values)
    return tx.conn.execute(statement).rowcount == 1


def get(tx: Tx, worker_id: Id) -> dict[str, Any] | None:
    """A worker's row."""
    row = tx.conn.execute(select(TABLE).where(TABLE.c.id == worker_id)).mappings().first()
    return None if row is None else dict(row)


def alive(tx: Tx) -> list[dict[str, Any]]:
    """Workers that nobody has noted as gone, whatever their lease says."""
    return [dict(row) for row in tx.conn.execute(_ALIVE).mappings()]


def openings(tx: Tx, *, lock: bool = False) -> list[Opening]:
    """Ready workers with free slots: slots less live attempts, counted.

    With `lock` the workers' rows are held until the transaction ends, so that two dispatchers (PostgreSQL) never
    give the same slot away; SQLite's writers are alone anyway.
    """
    return ask_openings(tx, lock=lock)()


def ask_openings(tx: Tx, *, lock: bool = False) -> Callable[[], list[Opening]]:
    """The same, for whoever looks later: what is asked in between is asked under the lock."""
    tail = "ORDER BY id FOR UPDATE" if lock and tx.dialect == "postgresql" else "ORDER BY id"
    asked = raw.ask_rows(tx, TABLE, _OPENING, {}, guard=_READY, also=(tx.now,), tail=tail)
    # Counted after the lock was won: what the other dispatcher committed is seen.
    counted = attempts.ask_taken(tx)

    def found() -> list[Opening]:
        rows, taken = asked.all(), counted()
        openings_ = [
            Opening(row["id"], row["workspace_id"], frozenset(row["queues"]), row["slots"] - taken.get(row["id"], 0))
            for row in rows
        ]
        return [opening for opening in openings_ if opening.free > 0]

    return found


def clear_old(tx: Tx, *, before: Micros, limit: int) -> int:
    """Delete workers that left before that."""
    old = select(TABLE.c.id).where(TABLE.c.status == "gone", TABLE.c.ended_at < before).limit(limit)
    return tx.conn.execute(TABLE.delete().where(TABLE.c.id.in_(old))).rowcount


def count_live(tx: Tx) -> int:
    """How many workers hold a lease now."""
    query = select(func.count()).where(TABLE.c.status.in_(ALIVE), TABLE.c.lease_until > tx.now)
    return int(tx.conn.execute(query).scalar_one())


def _until(tx: Tx, lease_s: float) -> Micros:
    return tx.now + int(lease_s * SECOND)


def _event(tx: Tx, worker_id: Id, verb: str) -> None:
    row = get(tx, worker_id)
    if row is None:
        return
    more = {"slots": row["slots"], "queues": row["queues"]} if verb == "started" else {}
    scope = Scope(row["workspace_id"], Actor("system", worker_id))
    events.append(tx, scope, f"hub.worker.{verb}", subject=worker_id, name=row["name"], **more)
