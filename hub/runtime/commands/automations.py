"""Operations on automations. Everything that can be wrong is found when it is saved."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, select, update

from hub.errors import ConflictError, NotFoundError
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.runtime.expressions import check_mapping, compile_expression
from hub.store import automations, events
from hub.store.base import Tx
from hub.store.tables import Deployment
from hub.types import new_id

_DEPLOYMENTS = Deployment.__table__  # type: ignore[attr-defined]
NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"


class Trigger(BaseModel):
    """Which events. `types` are patterns such as `github.push` or `github.*`; `match` is CEL, empty: all of them."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["event"] = "event"
    types: list[str] = Field(default_factory=list, max_length=50)
    match: str = Field(default="", max_length=10_000)


class RunDeployment(BaseModel):
    """Start a deployment. `parameters` is a JSON tree whose strings that start with `=` are CEL."""

    model_config = ConfigDict(extra="forbid")
    run_deployment: str = Field(min_length=1, max_length=200)
    parameters: dict[str, Any] = Field(default_factory=dict)


class CreateAutomation(BaseModel):
    """A new automation."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=NAME)
    description: str = Field("", max_length=2000)
    trigger: Trigger = Trigger()
    actions: list[RunDeployment] = Field(min_length=1, max_length=10)
    enabled: bool = True


class UpdateAutomation(BaseModel):
    """Switch an automation on or off."""

    model_config = ConfigDict(extra="forbid")
    enabled: bool


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def create(tx: Tx, command: Command, args: CreateAutomation) -> dict[str, Any]:
    """Make an automation; its expressions are compiled and its deployments looked up first."""
    _check(tx, command, args)
    row = {
        "id": new_id(), "workspace_id": command.scope.workspace_id, "name": args.name, "version": 1,
        "description": args.description, "enabled": args.enabled, "trigger": args.trigger.model_dump(),
        "actions": [action.model_dump() for action in args.actions], "created_at": tx.now, "updated_at": tx.now,
    }  # fmt: skip
    if not tx.insert_ignore(automations.TABLE, row):
        raise ConflictError(
            f"there is already an automation named {args.name!r}", hint="Choose another name, or remove that one first."
        )
    events.append(tx, command.scope, "hub.automation.created", subject=str(row["id"]), name=args.name, version=1)
    return {"id": row["id"], "name": args.name}


def set_(tx: Tx, command: Command, args: CreateAutomation) -> dict[str, Any]:
    """Make an automation, or make the one of that name be as given."""
    found = automations.find(tx, command.scope, args.name)
    if found is None or found["name"] != args.name:
        return create(tx, command, args)
    _check(tx, command, args)
    table = automations.TABLE
    version = found["version"] + 1
    values = {**args.model_dump(exclude={"name"}), "version": version, "updated_at": tx.now}
    tx.conn.execute(update(table).where(table.c.id == found["id"]).values(**values))
    events.append(tx, command.scope, "hub.automation.updated", subject=found["id"], name=args.name, version=version)
    return {"id": found["id"], "name": args.name}


def update_(tx: Tx, command: Command, args: UpdateAutomation) -> dict[str, Any]:
    """Switch on or off."""
    found = _find(tx, command)
    table = automations.TABLE
    version = found["version"] + 1
    values = {"enabled": args.enabled, "version": version, "updated_at": tx.now}
    tx.conn.execute(update(table).where(table.c.id == found["id"]).values(**values))
    events.append(tx, command.scope, "hub.automation.updated", subject=found["id"], name=found["name"], version=version)
    return {"id": found["id"], "name": found["name"], "enabled": args.enabled}


def remove(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Delete an automation; what it did stays in the history."""
    found = _find(tx, command)
    tx.conn.execute(delete(automations.TABLE).where(automations.TABLE.c.id == found["id"]))
    events.append(
        tx, command.scope, "hub.automation.deleted", subject=found["id"], name=found["name"], version=found["version"]
    )
    return {"id": found["id"], "name": found["name"]}


def _find(tx: Tx, command: Command) -> dict[str, Any]:
    found = automations.find(tx, command.scope, command.target)
    if found is None:
        raise NotFoundError(f"there is no automation {command.target!r}", hint="`hub automations ls` lists them.")
    return found


def _check(tx: Tx, command: Command, args: CreateAutomation) -> None:
    compile_expression(args.trigger.match or "true")
    for action in args.actions:
        check_mapping(action.parameters)
        _known_deployment(tx, command, action.run_deployment)


def _known_deployment(tx: Tx, command: Command, target: str) -> None:
    query = select(_DEPLOYMENTS.c.id).where(_DEPLOYMENTS.c.workspace_id == command.scope.workspace_id)
    if tx.conn.execute(query.where((_DEPLOYMENTS.c.name == target) | (_DEPLOYMENTS.c.id == target))).first() is None:
        raise NotFoundError(
            f"there is no deployment {target!r} for the automation to run", hint="`hub deploy` makes one."
        )


OPS = (
    Op("automation.create", CreateAutomation, create, "automations:write"),
    Op("automation.set", CreateAutomation, set_, "automations:write"),
    Op("automation.update", UpdateAutomation, update_, "automations:write"),
    Op("automation.delete", Nothing, remove, "automations:write"),
)
