"""Operations on automations. Everything that can be wrong is found when it is saved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, update

from hub.errors import ConflictError, NotFoundError
from hub.runtime import acting, actionruns, counting, placement, ticking, windows
from hub.runtime.commands import controls
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.runtime.commands.triggers import Action, RunAction, RunDeployment, SendWebhook, Trigger, WholeTrigger, check
from hub.runtime.composing import KINDS, Whole, id_of, ids_of
from hub.store import automation_state as state
from hub.store import automations, catalog, endpoints, events, flow_states
from hub.store.base import Tx
from hub.types import Id, new_id

MOST_ACTIONS = 10
NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"


class CreateAutomation(BaseModel):
    """A new automation."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=NAME)
    description: str = Field("", max_length=2000)
    trigger: WholeTrigger = Trigger()
    actions: list[Action] = Field(min_length=1, max_length=MOST_ACTIONS)
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
        "created_at": tx.now, "updated_at": tx.now, **stored(args),
    }  # fmt: skip
    if not tx.insert_ignore(automations.TABLE, row):
        raise ConflictError(
            f"there is already an automation named {args.name!r}", hint="Choose another name, or remove that one first."
        )
    _begin(tx, row)
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
    values = {**stored(args), "version": version, "updated_at": tx.now}
    tx.conn.execute(update(table).where(table.c.id == found["id"]).values(**values))
    _begin(tx, {**found, **values}, found)
    events.append(tx, command.scope, "hub.automation.updated", subject=found["id"], name=args.name, version=version)
    return {"id": found["id"], "name": args.name}


def update_(tx: Tx, command: Command, args: UpdateAutomation) -> dict[str, Any]:
    """Switch on or off."""
    found = _find(tx, command)
    table = automations.TABLE
    version = found["version"] + 1
    values = {"enabled": args.enabled, "version": version, "updated_at": tx.now}
    tx.conn.execute(update(table).where(table.c.id == found["id"]).values(**values))
    if args.enabled != found["enabled"]:
        _begin(tx, {**found, **values}, found)
    events.append(tx, command.scope, "hub.automation.updated", subject=found["id"], name=found["name"], version=version)
    return {"id": found["id"], "name": found["name"], "enabled": args.enabled}


def remove(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Delete an automation; what it did stays in the history."""
    found = _find(tx, command)
    tx.conn.execute(delete(automations.TABLE).where(automations.TABLE.c.id == found["id"]))
    state.drop_windows(tx, ids_of(found["id"], found["trigger"]))
    ticking.end(tx, found["id"])
    for number in range(MOST_ACTIONS):
        flow_states.drop(tx, acting.owner_of(found["id"], number))
    events.append(
        tx, command.scope, "hub.automation.deleted", subject=found["id"], name=found["name"], version=found["version"]
    )
    return {"id": found["id"], "name": found["name"]}


def stored(args: CreateAutomation) -> dict[str, Any]:
    """What was asked for, without what was left out, as it is kept."""
    said = args.model_dump(exclude={"name", "trigger", "actions"})
    trigger = args.trigger.model_dump(exclude_defaults=True)
    if isinstance(args.trigger, Trigger):
        trigger = {"kind": "event", "types": args.trigger.types, "match": args.trigger.match, **trigger}
    return {**said, "trigger": trigger, "actions": [_stored_action(action) for action in args.actions]}


def _stored_action(action: Action) -> dict[str, Any]:
    said = action.model_dump(exclude_none=True, exclude={"flow_control"})
    if isinstance(action, RunDeployment) and action.flow_control is not None:
        said["flow_control"] = action.flow_control.stored()
    return said


def _find(tx: Tx, command: Command) -> dict[str, Any]:
    found = automations.find(tx, command.scope, command.target)
    if found is None:
        raise NotFoundError(f"there is no automation {command.target!r}", hint="`hub automations ls` lists them.")
    return found


def _begin(tx: Tx, row: dict[str, Any], before: dict[str, Any] | None = None) -> None:
    """Count anew; what is expected from the moment that it is switched on is expected from now."""
    if before is not None:
        state.drop_windows(tx, ids_of(before["id"], before["trigger"]))
    ticking.begin(tx, row)
    if not row["enabled"]:
        return
    for part_id, trigger in _counting(row):
        window = windows.first(trigger, tx.now)
        if window is not None:
            state.keep_window(tx, row["workspace_id"], part_id, "", windows.as_row(trigger, window))


def _counting(row: dict[str, Any]) -> Iterator[tuple[Id, counting.Trigger]]:
    """The triggers that count, with the ids under which they do."""
    if row["trigger"].get("kind") not in KINDS:
        yield row["id"], counting.Trigger.of(row["trigger"])
    elif not row["trigger"].get("for_each"):  # which values are counted apart is known when they come
        for place, trigger in Whole.of(row["trigger"]).leaves():
            yield id_of(row["id"], place), trigger


def _check(tx: Tx, command: Command, args: CreateAutomation) -> None:
    check(args.trigger, args.actions)
    for action in args.actions:
        if isinstance(action, SendWebhook):
            endpoints.get(tx, command.scope, action.send_webhook)
        if isinstance(action, RunAction):
            actionruns.check(action.run_action, action.parameters)
        if isinstance(action, RunDeployment) and action.place is not None:
            placement.check(tx, command.scope, action.place)
        elif isinstance(action, RunDeployment):
            deployment = _known_deployment(tx, command, action.run_deployment)
            said = action.flow_control.stored() if action.flow_control else {}
            # Together they hold for what the action asks for; when the deployment changes, its runs tell.
            controls.check_combination({**deployment["flow_control"], **said}, deployment)
            controls.check_batch(said, deployment["name"], deployment["parameter_schema"])


def _known_deployment(tx: Tx, command: Command, target: str) -> dict[str, Any]:
    found = catalog.find_deployment(tx, command.scope, target)
    if found is None:
        raise NotFoundError(
            f"there is no deployment {target!r} for the automation to run", hint="`hub deploy` makes one."
        )
    return found


OPS = (
    Op("automation.create", CreateAutomation, create, "automations:write"),
    Op("automation.set", CreateAutomation, set_, "automations:write", watches=automations.TABLE),
    Op("automation.update", UpdateAutomation, update_, "automations:write", watches=automations.TABLE),
    Op("automation.delete", Nothing, remove, "automations:write", watches=automations.TABLE),
)
