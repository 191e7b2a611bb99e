"""Operations on actions of plugins."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hub.runtime import actionruns
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.runtime.naming import default_name
from hub.store import runs
from hub.store.base import Tx
from hub.types import new_id


class RunAction(BaseModel):
    """Call an action in a run of its own. The same `run_id` gives the same run."""

    model_config = ConfigDict(extra="forbid")
    parameters: dict[str, Any] = Field(default_factory=dict)
    run_id: str | None = None
    origin: Literal["api", "automation", "restart"] = "api"
    origin_id: str | None = None
    restart_of: str | None = None
    restart_from: str | None = None


def run(tx: Tx, command: Command, args: RunAction) -> dict[str, Any]:
    """Make the run of the action that the target names."""
    actionruns.check(command.target, args.parameters)
    run_id = args.run_id or new_id()
    name = default_name(command.target.replace(".", "-"), run_id)
    row = {
        "id": run_id, "name": name, "flow_name": command.target, "entrypoint": actionruns.ENTRYPOINT,
        "parameters": {"action": command.target, "parameters": args.parameters}, "origin": args.origin,
        "origin_id": args.origin_id, "restart_of": args.restart_of, "restart_from": args.restart_from,
    }  # fmt: skip
    return {"id": run_id, "name": name, "created": runs.create(tx, command.scope, row)}


OPS = (Op("action.run", RunAction, run, "runs:write", frozenset({"parameters"})),)
