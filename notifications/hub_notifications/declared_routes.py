"""The section `routes` of `hub.yaml`: which alerts go where."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from hub.errors import HubError, UsageError
from hub.runtime.definitions.section import Definition, Found, Reference, Section, Step, Wanted
from hub.store.base import Tx
from hub.types import Scope

from hub_notifications import channels, groups
from hub_notifications.route_ops import NAME
from hub_notifications.routes import DEFAULT, DEFAULT_SPEC, Spec


class RouteDefinition(Definition, Spec):
    """A route. A new one is asked after those that are there. `enabled`: left out, it stays as it is."""

    enabled: bool | None = None


def _spec(definition: Spec) -> dict[str, Any]:
    return definition.model_dump(mode="json", by_alias=True, exclude={"enabled"})


def _complete(definition: RouteDefinition, found: Found | None) -> dict[str, Any]:
    stays = found is None or found.values["enabled"]
    return {**_spec(definition), "enabled": stays if definition.enabled is None else definition.enabled}


def _read(tx: Tx, scope: Scope, names: Collection[str] | None) -> dict[str, Found]:
    return {
        row["name"]: Found(row["id"], {**_spec(Spec.model_validate(row["spec"])), "enabled": row["enabled"]})
        for row in groups.list_routes(tx, scope)
        if names is None or row["name"] in names
    }


def _steps(wanted: Wanted, _found: Found | None, _changed: frozenset[str]) -> Iterator[Step]:
    spec = {name: value for name, value in wanted.values.items() if name != "enabled"}
    yield Step("route.set", wanted.name, {"name": wanted.name, "enabled": wanted.values["enabled"], "spec": spec})


def _check(name: str, definition: RouteDefinition) -> Iterator[HubError]:
    if name == DEFAULT and (definition.match or definition.go_on or definition.enabled is False):
        hint = "Give the others a match."
        yield UsageError("the default route takes what no other does: no match, no switch", hint=hint, field="match")


def _refers(definition: RouteDefinition) -> Iterator[Reference]:
    """Channels by name; a tag may mean none yet."""
    lists: list[tuple[tuple[str | int, ...], list[str]]] = [(("channels",), definition.channels)]
    lists += [(("steps", number, "channels"), step.channels) for number, step in enumerate(definition.steps)]
    for place, targets in lists:
        for number, target in enumerate(targets):
            if not target.startswith(channels.TAG):
                yield Reference((*place, number), "channels", target)


def _brief(values: dict[str, Any], _folder: Path) -> dict[str, Any]:
    spec = {name: value for name, value in values.items() if name != "enabled"}
    said = Spec.model_validate(spec).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return said if values["enabled"] else {**said, "enabled": False}


ROUTES = Section(
    "routes", "Which alerts go where.", RouteDefinition, "channels", 85,
    complete=_complete, read=_read, steps=_steps, remove="route.rm", names=NAME, check=_check, refers=_refers,
    brief=_brief, everywhere=(DEFAULT, {**_spec(DEFAULT_SPEC), "enabled": True}),
)  # fmt: skip
