"""Operations on the cache."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.store import cache
from hub.store.base import Tx

BATCH = 1000


class ClearCache(BaseModel):
    """Which entries: of a task (its name or key), under a key, only expired ones; all by default."""

    model_config = ConfigDict(extra="forbid")
    task: str | None = Field(None, min_length=1, max_length=400)
    key: str | None = Field(None, min_length=1, max_length=80)
    expired: bool = False


def clear(tx: Tx, command: Command, args: ClearCache) -> dict[str, Any]:
    """Remove entries, a thousand at most; `more` says whether there are others."""
    gone = cache.clear(tx, command.scope, **args.model_dump(), limit=BATCH)
    return {"entries": len(gone), "bytes": sum(row["size"] for row in gone), "more": len(gone) == BATCH}


OPS = (Op("cache.clear", ClearCache, clear, "cache:write"),)
