"""The section `automations`: when events match, do something."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from pydantic import Field

from hub.errors import HubError
from hub.runtime.commands.automations import MOST_ACTIONS, NAME, CreateAutomation, stored
from hub.runtime.commands.triggers import Action, AnyTrigger, Trigger
from hub.runtime.commands.triggers import check as check_expressions
from hub.runtime.definitions.section import Definition, Found, Reference, Section, Step, Wanted, refusal
from hub.runtime.definitions.values import rows
from hub.store import automations as kept
from hub.store.base import Tx
from hub.types import ID_PATTERN, Scope

_ABOUT = {
    "run_deployment": "deployments", "pause_deployment": "deployments", "resume_deployment": "deployments",
    "send_webhook": "endpoints",
}  # fmt: skip


class AutomationDefinition(Definition):
    """When events match `trigger`, do the `actions`. `enabled`: left out, it stays as it is."""

    description: str = Field("", max_length=2000)
    trigger: AnyTrigger = Field(default_factory=Trigger)
    actions: list[Action] = Field(min_length=1, max_length=MOST_ACTIONS)
    enabled: bool | None = None


def complete(definition: AutomationDefinition, found: Found | None) -> dict[str, Any]:
    """As the hub keeps it."""
    enabled = definition.enabled if definition.enabled is not None else found is None or found.values["enabled"]
    made = CreateAutomation(
        name="any", description=definition.description, trigger=definition.trigger, actions=list(definition.actions),
        enabled=enabled,
    )  # fmt: skip
    return stored(made)


def read(tx: Tx, scope: Scope, names: Collection[str] | None) -> dict[str, Found]:
    """The automations that are there."""
    columns = ("description", "trigger", "actions", "enabled")
    found = rows(tx, scope, kept.TABLE, names)
    return {row["name"]: Found(row["id"], {name: row[name] for name in columns}) for row in found}


def steps(wanted: Wanted, _found: Found | None, _changed: frozenset[str]) -> Iterator[Step]:
    """The one command."""
    yield Step("automation.set", wanted.name, {"name": wanted.name, **wanted.values})


def check(_name: str, definition: AutomationDefinition) -> Iterator[HubError]:
    """Its expressions."""
    yield from refusal("trigger", check_expressions, definition.trigger, [])
    for number, action in enumerate(definition.actions):
        yield from refusal(f"actions.{number}", check_expressions, Trigger(), [action])


def refers(definition: AutomationDefinition) -> Iterable[Reference]:
    """What its actions are about, where that is said by name."""
    for number, action in enumerate(definition.actions):
        for key, section in _ABOUT.items():
            name = getattr(action, key, None)
            if key == "run_deployment" and getattr(action, "place", None) is not None:
                continue  # that is a deployment of a site
            if isinstance(name, str) and not name.startswith("=") and not re.match(ID_PATTERN, name):
                yield Reference(("actions", number, key), section, name)


def brief(values: dict[str, Any], _folder: Any) -> dict[str, Any]:
    """Without what has its default."""
    said = AutomationDefinition.model_validate(values).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {name: value for name, value in said.items() if (name, value) != ("enabled", True)}


AUTOMATIONS = Section(
    "automations", "When events match, do something.", AutomationDefinition, "automations", 80,
    complete=complete, read=read, steps=steps, remove="automation.delete", names=NAME, check=check, refers=refers,
    brief=brief,
)  # fmt: skip
