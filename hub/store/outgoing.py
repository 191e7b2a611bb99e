"""Webhooks on their way out: added with what they tell of, claimed with a lease, tried on a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, func, literal_column, or_, select, update

from hub.errors import NotFoundError
from hub.store.base import Tx
from hub.store.effects import HELD
from hub.store.endpoints import TABLE as ENDPOINTS
from hub.store.pages import Page, page
from hub.store.tables import OutgoingAttempt, OutgoingWebhook
from hub.types import SECOND, Id, Micros, Scope, new_id

TABLE = OutgoingWebhook.__table__
ATTEMPTS = OutgoingAttempt.__table__
TOPIC = "deliveries"
SHOWN = tuple(column for column in TABLE.c if column.name not in ("body", "claimed_by", "claimed_until"))
PER_ENDPOINT = 4
"""Attempts that one endpoint may have at once, so that a slow one does not hold up the others."""
_FREE = or_(
    and_(TABLE.c.status == "pending", TABLE.c.due_at <= bindparam("now")),
    and_(TABLE.c.status == "sending", TABLE.c.claimed_until < bindparam("now")),
)
_DUE = _FREE & select(ENDPOINTS.c.id).where(ENDPOINTS.c.id == TABLE.c.endpoint_id, ENDPOINTS.c.enabled).exists()
_ANY = select(TABLE.c.id).where(_FREE).limit(1)
_HOLDERS = (
    select(TABLE.c.claimed_by).where(TABLE.c.status == "sending", TABLE.c.claimed_until > bindparam("now")).distinct()
)


def add(
    tx: Tx, scope: Scope, webhook_id: Id, endpoint: Mapping[str, Any], type_: str, body: bytes, origin: str
) -> bool:
    """Plan a message, once for its id; False when it was planned before. To a disabled endpoint it waits."""
    due_at = tx.now if endpoint["enabled"] else HELD
    row = {
        "id": webhook_id, "workspace_id": scope.workspace_id, "endpoint_id": endpoint["id"], "type": type_,
        "body": body, "origin": origin, "status": "pending", "tries": 0, "attempts": 0, "due_at": due_at,
        "created_at": tx.now,
    }  # fmt: skip
    tx.wake(TOPIC)
    return tx.insert_ignore(TABLE, row)


def any_due(tx: Tx) -> bool:
    """Whether `claim` would find something."""
    return tx.conn.execute(_ANY, {"now": tx.now}).first() is not None


def claim(tx: Tx, holder: str, busy: Mapping[Id, int], *, limit: int, lease_s: float) -> list[dict[str, Any]]:
    """Take due messages, few of each endpoint; `busy` says how many of each are being sent here.

    Whoever dies with one loses it when the lease ends.
    """
    place = func.row_number().over(partition_by=TABLE.c.endpoint_id, order_by=TABLE.c.due_at).label("place")
    query = select(TABLE.c.id, TABLE.c.endpoint_id, place).where(_DUE)
    ranked = query.subquery()
    chosen = select(ranked.c.id, ranked.c.endpoint_id, ranked.c.place).where(ranked.c.place <= PER_ENDPOINT)
    found = tx.conn.execute(chosen.order_by(ranked.c.place).limit(4 * limit), {"now": tx.now}).all()
    ids = [row.id for row in found if row.place + busy.get(row.endpoint_id, 0) <= PER_ENDPOINT][:limit]
    if not ids:
        return []
    until = tx.now + int(lease_s * SECOND)
    taken = update(TABLE).where(TABLE.c.id.in_(ids), _FREE)
    values = {
        "status": "sending", "claimed_by": holder, "claimed_until": until, "attempts": TABLE.c.attempts + 1,
        "tries": TABLE.c.tries + 1,
    }  # fmt: skip
    rows = tx.conn.execute(taken.values(**values).returning(*TABLE.c), {"now": tx.now}).mappings()
    return sorted((dict(row) for row in rows), key=lambda row: row["due_at"])


def holders(tx: Tx) -> list[str]:
    """Who is sending."""
    return [str(found) for found in tx.conn.execute(_HOLDERS, {"now": tx.now}).scalars()]


def give_back(tx: Tx, holder: str) -> None:
    """Let others have at once what a holder, which is dead, was sending; the attempt that died is made again."""
    mine = (TABLE.c.status == "sending", TABLE.c.claimed_by == holder)
    values = {"status": "pending", "claimed_until": None, "tries": TABLE.c.tries - 1}
    tx.conn.execute(update(TABLE).where(*mine).values(**values))
    tx.wake(TOPIC)


def settle(tx: Tx, webhook: Mapping[str, Any], attempt: Mapping[str, Any], *, due_at: Micros | None) -> bool:
    """Note how an attempt went: it has no `error`, or is tried again at `due_at`, or has failed for good.

    False when another has taken it meanwhile.
    """
    error = attempt["error"]
    ended = error is None or due_at is None
    values = {
        "status": "delivered" if error is None else "pending" if due_at is not None else "failed",
        "claimed_until": None, "error": error, "due_at": due_at or webhook["due_at"],
        "ended_at": tx.now if ended else None,
    }  # fmt: skip
    mine = (TABLE.c.id == webhook["id"], TABLE.c.status == "sending", TABLE.c.attempts == webhook["attempts"])
    if not tx.conn.execute(update(TABLE).where(*mine).values(**values)).rowcount:
        return False
    row = {"id": new_id(), "workspace_id": webhook["workspace_id"], "webhook_id": webhook["id"], **attempt}
    tx.insert(ATTEMPTS, {**row, "number": webhook["attempts"]})
    return True


def get(tx: Tx, scope: Scope, webhook_id: Id) -> dict[str, Any]:
    """A message with its body. Raises NotFoundError."""
    query = select(TABLE).where(TABLE.c.id == webhook_id, TABLE.c.workspace_id == scope.workspace_id)
    found = tx.conn.execute(query).mappings().first()
    if found is None:
        raise NotFoundError(f"there is no delivery {webhook_id}", hint="`hub endpoints deliveries` lists them.")
    return dict(found)


def attempts(tx: Tx, webhook_id: Id) -> list[dict[str, Any]]:
    """Every attempt that ended, the first one first."""
    query = select(ATTEMPTS).where(ATTEMPTS.c.webhook_id == webhook_id).order_by(ATTEMPTS.c.number)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def listing(
    tx: Tx, scope: Scope, *, endpoint_id: Id | None = None, status: str = "", limit: int = 50, cursor: str | None = None
) -> Page[dict[str, Any]]:
    """Messages without their bodies, newest first, with the endpoint's name."""
    joined = TABLE.join(ENDPOINTS, ENDPOINTS.c.id == TABLE.c.endpoint_id, isouter=True)
    query = select(*SHOWN, ENDPOINTS.c.name.label("endpoint")).select_from(joined)
    query = query.where(TABLE.c.workspace_id == scope.workspace_id, *with_status(status))
    query = query.where(TABLE.c.endpoint_id == endpoint_id) if endpoint_id else query
    return page(tx, query, TABLE.c.id, limit=limit, cursor=cursor, make=told)


def with_status(status: str) -> list[ColumnElement[bool]]:
    """The conditions for a status, none for an empty one."""
    if status in ("", "delivered"):
        return [TABLE.c.status == status] if status else []
    # Said as the partial indexes say it: a planner that sees only a parameter could not know that they apply.
    return [TABLE.c.status == status, TABLE.c.status != literal_column("'delivered'")]


def told(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as people see it: `due_at` is when it is tried next, null when it is not."""
    waits = row["status"] in ("pending", "sending") and row["due_at"] < HELD
    return {**row, "due_at": row["due_at"] if waits else None}


def again(tx: Tx, scope: Scope, *where: ColumnElement[bool], limit: int = 1_000) -> int:
    """Send messages that have ended, or that wait, at once and on a new schedule; how many."""
    mine = (TABLE.c.workspace_id == scope.workspace_id, TABLE.c.status.in_(("delivered", "failed", "pending")))
    chosen = select(TABLE.c.id).where(*mine, *where).order_by(TABLE.c.id).limit(limit)
    ids = list(tx.conn.execute(chosen).scalars())
    values = {"status": "pending", "tries": 0, "due_at": tx.now, "ended_at": None}
    if ids:
        tx.conn.execute(update(TABLE).where(TABLE.c.id.in_(ids), TABLE.c.status != "sending").values(**values))
        tx.wake(TOPIC)
    return len(ids)


def hold(tx: Tx, endpoint_id: Id) -> None:
    """Put off for ever what waits for an endpoint, so that nobody looks at it while the endpoint is disabled."""
    waits = (TABLE.c.endpoint_id == endpoint_id, TABLE.c.status == "pending")
    tx.conn.execute(update(TABLE).where(*waits).values(due_at=HELD))


def release(tx: Tx, endpoint_id: Id) -> None:
    """Let it go at once."""
    held = (TABLE.c.endpoint_id == endpoint_id, TABLE.c.status == "pending")
    tx.conn.execute(update(TABLE).where(*held).values(due_at=tx.now))
    tx.wake(TOPIC)


def drop(tx: Tx, endpoint_id: Id) -> None:
    """End what waits for an endpoint that is removed."""
    waits = (TABLE.c.endpoint_id == endpoint_id, TABLE.c.status.in_(("pending", "sending")))
    values = {"status": "failed", "ended_at": tx.now, "claimed_until": None, "error": "the endpoint was removed"}
    tx.conn.execute(update(TABLE).where(*waits).values(**values))


def trim(tx: Tx, *, before: Micros, limit: int) -> int:
    """Delete messages that ended before then, with their attempts; returns how many."""
    old = select(TABLE.c.id).where(TABLE.c.ended_at < before).order_by(TABLE.c.ended_at).limit(limit)
    ids = list(tx.conn.execute(old).scalars())
    if ids:
        tx.conn.execute(delete(ATTEMPTS).where(ATTEMPTS.c.webhook_id.in_(ids)))
        tx.conn.execute(delete(TABLE).where(TABLE.c.id.in_(ids)))
    return len(ids)
