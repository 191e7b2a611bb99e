"""Operations on results."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.store.base import Tx


class Collect(BaseModel):
    """Whether to look through every store for what no row names."""

    model_config = ConfigDict(extra="forbid")
    orphans: bool = True


def collect(_tx: Tx, _command: Command, args: Collect) -> dict[str, Any]:
    """Note that somebody wants what nobody names to go. It goes outside of any transaction."""
    return {"orphans": args.orphans}


OPS = (Op("result.collect", Collect, collect, "results:write"),)
