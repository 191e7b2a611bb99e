"""Operations on work queues."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select, update

from hub.errors import NotFoundError
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.store.base import Tx
from hub.store.tables import WorkPool, WorkQueue
from hub.types import new_id

_QUEUES = WorkQueue.__table__
_POOLS = WorkPool.__table__


class SetQueue(BaseModel):
    """Make a queue or change it. `slots` null: no limit beside the workers' own."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    priority: int = Field(1, ge=0, le=1000)
    slots: int | None = Field(None, ge=0, le=100_000)
    paused: bool = False


def set_queue(tx: Tx, command: Command, args: SetQueue) -> dict[str, Any]:
    """Make or change a work queue of the default pool."""
    workspace = command.scope.workspace_id
    pool = tx.conn.execute(select(_POOLS.c.id).where(_POOLS.c.workspace_id == workspace)).scalar()
    if pool is None:
        raise NotFoundError("this workspace has no work pool")
    values = args.model_dump(exclude={"name"})
    row = {
        "id": new_id(),
        "workspace_id": workspace,
        "pool_id": pool,
        "created_at": tx.now,
        "name": args.name,
        **values,
    }
    if not tx.insert_ignore(_QUEUES, row):
        where = (_QUEUES.c.workspace_id == workspace, _QUEUES.c.name == args.name)
        tx.conn.execute(update(_QUEUES).where(*where).values(**values))
    tx.wake("runs")
    return {"name": args.name, **values}


OPS = (Op("queue.set", SetQueue, set_queue, "queues:write", watches=_QUEUES),)
