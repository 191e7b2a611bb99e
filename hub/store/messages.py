"""Messages on their way to runs. Who adds or takes one holds the row of the run that it is for."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, func, select

from hub.store.base import Tx
from hub.store.tables import Message
from hub.types import Id, Scope

TABLE = Message.__table__


def add(tx: Tx, scope: Scope, run_id: Id, name: str, value: Any) -> None:
    """Put a message behind those that wait for the run."""
    row = {
        "workspace_id": scope.workspace_id, "run_id": run_id, "name": name, "value": value,
        "sent_by": str(scope.actor), "created_at": tx.now,
    }  # fmt: skip
    tx.insert(TABLE, row)


def take(tx: Tx, scope: Scope, run_id: Id, name: str) -> dict[str, Any] | None:
    """The oldest message of that name, which nobody gets again; None when there is none."""
    query = select(TABLE).where(
        TABLE.c.run_id == run_id, TABLE.c.name == name, TABLE.c.workspace_id == scope.workspace_id
    )
    found = tx.conn.execute(query.order_by(TABLE.c.id).limit(1)).mappings().first()
    if found is None:
        return None
    tx.conn.execute(delete(TABLE).where(TABLE.c.id == found["id"], TABLE.c.workspace_id == scope.workspace_id))
    return dict(found)


def waiting(tx: Tx, scope: Scope, run_id: Id) -> int:
    """How many messages the run has not received yet."""
    query = select(func.count()).where(TABLE.c.run_id == run_id, TABLE.c.workspace_id == scope.workspace_id)
    return int(tx.conn.execute(query).scalar_one())
