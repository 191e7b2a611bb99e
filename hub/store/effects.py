"""Work that follows a commit: added in its transaction, claimed by row with a lease, done at least once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Integer, and_, bindparam, or_, select, update

from hub.store.base import Tx
from hub.store.tables import Effect
from hub.types import SECOND, Id, Micros, Scope, new_id

TABLE = Effect.__table__  # type: ignore[attr-defined]
MAX_TRIES = 8


def add(
    tx: Tx,
    scope: Scope,
    kind: str,
    key: str,
    payload: Mapping[str, Any] | None = None,
    *,
    due_at: Micros | None = None,
) -> bool:
    """Add work of `kind`, once for every `key`. False when it is there already."""
    row = {
        "id": new_id(),
        "workspace_id": scope.workspace_id,
        "kind": kind,
        "key": key,
        "payload": dict(payload or {}),
        "due_at": tx.now if due_at is None else due_at,
        "tries": 0,
    }
    tx.wake("effects")
    return tx.insert_ignore(TABLE, row)


def any_due(tx: Tx, kinds: Iterable[str]) -> bool:
    """Whether `claim` would find something."""
    return tx.conn.execute(_ANY_DUE, {"kinds": list(kinds), "now": tx.now}).first() is not None


def claim(tx: Tx, kinds: Iterable[str], holder: str, *, limit: int = 100, lease_s: float = 30) -> list[dict[str, Any]]:
    """Take due work; whoever dies with it loses it when the lease ends. A try is counted at the claim."""
    given = {"kinds": list(kinds), "now": tx.now, "limit": limit}
    rows = [dict(row) for row in tx.conn.execute(_DUE, given).mappings()]
    if rows:
        until = tx.now + int(lease_s * SECOND)
        tx.conn.execute(
            update(TABLE)
            .where(TABLE.c.id.in_([row["id"] for row in rows]))
            .values(claimed_by=holder, claimed_until=until, tries=TABLE.c.tries + 1)
        )
    return rows


def finish(tx: Tx, ids: list[Id]) -> None:
    """Mark work as done."""
    if ids:
        tx.conn.execute(update(TABLE).where(TABLE.c.id.in_(ids)).values(done_at=tx.now, claimed_until=None))


def fail(tx: Tx, effect: Mapping[str, Any], error: str, *, retry_in_s: float) -> bool:
    """Give work back after a failure, or bury it when its tries are spent. True when buried."""
    dead: bool = effect["tries"] + 1 >= MAX_TRIES
    values = {"error": error[:2000], "claimed_until": None, "due_at": tx.now + int(retry_in_s * SECOND)}
    if dead:
        values["dead_at"] = tx.now
    tx.conn.execute(update(TABLE).where(TABLE.c.id == effect["id"]).values(**values))
    return dead


_IS_DUE = and_(
    TABLE.c.done_at.is_(None),
    TABLE.c.dead_at.is_(None),
    TABLE.c.kind.in_(bindparam("kinds", expanding=True)),
    TABLE.c.due_at <= bindparam("now"),
    or_(TABLE.c.claimed_until.is_(None), TABLE.c.claimed_until < bindparam("now")),
)
_ANY_DUE = select(TABLE.c.id).where(_IS_DUE).limit(1)
_DUE = (
    select(TABLE)
    .where(_IS_DUE)
    .order_by(TABLE.c.due_at)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(skip_locked=True)
)
