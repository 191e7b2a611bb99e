"""Logins that terminals asked for, until somebody allows or refuses them, or their time is over."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select, update

from hub.store.base import Tx
from hub.store.tables import DeviceLogin
from hub.types import SECOND, Id, Micros

TABLE = DeviceLogin.__table__
PENDING, APPROVED, DENIED, USED = "pending", "approved", "denied", "used"


def add(tx: Tx, **values: Any) -> None:
    """Keep one."""
    tx.insert(TABLE, values)


def by_digest(tx: Tx, digest: str) -> dict[str, Any] | None:
    """The one whose device code has that digest."""
    return _first(tx, TABLE.c.digest == digest)


def by_code(tx: Tx, user_code: str) -> dict[str, Any] | None:
    """The one with that code, while it can still be allowed or refused."""
    return _first(tx, TABLE.c.user_code == user_code, TABLE.c.status == PENDING, TABLE.c.expires_at > tx.now)


def decide(tx: Tx, login_id: Id, status: str, user_id: Id) -> bool:
    """Allow or refuse it; False when it is decided, or too old."""
    where = (TABLE.c.id == login_id, TABLE.c.status == PENDING, TABLE.c.expires_at > tx.now)
    done = tx.conn.execute(update(TABLE).where(*where).values(status=status, user_id=user_id))
    return bool(done.rowcount == 1)


def redeem(tx: Tx, login_id: Id) -> bool:
    """Take the token that it was allowed; False when it was taken."""
    done = tx.conn.execute(update(TABLE).where(TABLE.c.id == login_id, TABLE.c.status == APPROVED).values(status=USED))
    return bool(done.rowcount == 1)


def polled(tx: Tx, login_id: Id, *, every: float) -> bool:
    """Note that it was asked for; False when it was asked for less than `every` seconds ago."""
    before = tx.now - int(every * SECOND)
    late = (TABLE.c.polled_at.is_(None)) | (TABLE.c.polled_at <= before)
    done = tx.conn.execute(update(TABLE).where(TABLE.c.id == login_id, late).values(polled_at=tx.now))
    return bool(done.rowcount == 1)


def trim(tx: Tx, *, before: Micros, limit: int) -> int:
    """Forget those whose time was over before that."""
    old = select(TABLE.c.id).where(TABLE.c.expires_at < before).limit(limit)
    return tx.conn.execute(delete(TABLE).where(TABLE.c.id.in_(old))).rowcount


def _first(tx: Tx, *where: Any) -> dict[str, Any] | None:
    row = tx.conn.execute(select(TABLE).where(*where)).mappings().first()
    return None if row is None else dict(row)
