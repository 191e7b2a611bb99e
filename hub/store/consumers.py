"""Sources that consume, and what the process that does it for one said last."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, delete, select

from hub.store import connections
from hub.store.base import Tx
from hub.store.sources import TABLE as SOURCES
from hub.store.tables import SourceConsumer
from hub.types import Id, Micros, Scope

TABLE = SourceConsumer.__table__
LOCK = "consumer/"
"""What the name of the lock of a source's consumer begins with."""
_LIVE = (SOURCES.c.connection.is_not(None), SOURCES.c.enabled.is_(True), SOURCES.c.deleted_at.is_(None))
_WANTED = select(SOURCES).where(*_LIVE).order_by(SOURCES.c.id)
_ONE = select(SOURCES).where(SOURCES.c.id == bindparam("source"), *_LIVE)
_DELETED = select(SOURCES.c.id).where(SOURCES.c.id == bindparam("source"), SOURCES.c.deleted_at.is_not(None))


def wanted(tx: Tx) -> list[dict[str, Any]]:
    """Every source of every workspace that is to consume now."""
    return [dict(row) for row in tx.conn.execute(_WANTED).mappings()]


def live(tx: Tx, source_id: Id) -> dict[str, Any] | None:
    """One of them; None when it is not to consume any more."""
    row = tx.conn.execute(_ONE, {"source": source_id}).mappings().first()
    return None if row is None else dict(row)


def stand(tx: Tx, source_id: Id) -> tuple[Micros, Micros] | None:
    """When the source and its connection (0: it is gone) were changed last; None: it is not to consume any more."""
    row = live(tx, source_id)
    if row is None:
        return None
    found = connections.find(tx, Scope(row["workspace_id"]), row["connection"])
    return row["updated_at"], found["updated_at"] if found else 0


def states(tx: Tx, ids: list[Id]) -> dict[Id, dict[str, Any]]:
    """What was said last of those sources that have consumed."""
    if not ids:
        return {}
    found = tx.conn.execute(select(TABLE).where(TABLE.c.source_id.in_(ids))).mappings()
    return {row["source_id"]: dict(row) for row in found}


def say(tx: Tx, source: dict[str, Any], state: str, reason: str = "", *, retry_at: Micros | None = None) -> str | None:
    """Note how it stands; gives the state before, None when there was none. `since` is when the state began.

    Of a source that is deleted nothing is noted any more.
    """
    before = states(tx, [source["id"]]).get(source["id"])
    if tx.conn.execute(_DELETED, {"source": source["id"]}).first() is not None:
        return state
    since = before["since"] if before and before["state"] == state else tx.now
    row = {
        "source_id": source["id"], "workspace_id": source["workspace_id"], "state": state, "reason": reason,
        "since": since, "retry_at": retry_at,
    }  # fmt: skip
    tx.upsert(TABLE, row, keys=["source_id"])
    return before["state"] if before else None


def forget(tx: Tx, source_id: Id) -> None:
    """Remove what was said of a source."""
    tx.conn.execute(delete(TABLE).where(TABLE.c.source_id == source_id))
