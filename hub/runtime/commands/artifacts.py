"""Operations on artifacts."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from hub.errors import NotFoundError
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.store import artifacts
from hub.store.base import Tx


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def remove(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Delete an artifact; others of its key stay."""
    row = artifacts.remove(tx, command.scope, command.target)
    if row is None:
        raise NotFoundError(f"there is no artifact {command.target!r}", hint="`hub artifacts ls` lists them.")
    return {"id": row["id"], "key": row["key"], "kind": row["kind"]}


OPS = (Op("artifact.delete", Nothing, remove, "artifacts:write"),)
