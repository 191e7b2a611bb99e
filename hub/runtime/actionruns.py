"""Runs of plugins' actions: an ordinary flow run whose flow calls one task, so that it is retried, seen and restarted.

What asks for one may live where the plugin is not loaded: then only the worker can say whether the action is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.actions import Action
from hub.errors import HubError, NotFoundError, ParameterError
from hub.plugins import list_manifests
from hub.runtime import contributed
from hub.runtime import parameters as shapes
from hub.sdk.flows import flow
from hub.settings import load_settings

ENTRYPOINT = f"{__name__}:run"


@flow(name="action")
def run(action: str, parameters: dict[str, Any]) -> Any:
    """Call the action of that name. Raises NotFoundError, ParameterError, and what its task raises."""
    found = find(action)
    if found is None:
        raise NotFoundError(f"the plugin of the action {action} is not loaded in workers", hint=_hint(action))
    args, kwargs = shapes.call_arguments(found.task, shapes.from_json(found.task, parameters))
    return found.task(*args, **kwargs)


def find(name: str) -> Action | None:
    """The action; None when its plugin is there and not loaded in this process. Raises NotFoundError."""
    actions = contributed.installed().actions
    if name in actions:
        return actions[name]
    plugin, _, _ = name.partition(".")
    if any(known.startswith(f"{plugin}.") for known in actions) or not _is_elsewhere(plugin):
        raise NotFoundError(f"there is no action {name!r}", hint=_hint(name))
    return None


def check(name: str, parameters: Mapping[str, Any]) -> None:
    """Whether an action can be called with parameters of these names. Raises NotFoundError, ParameterError."""
    found = find(name)
    if found is None:
        return
    shape = shapes.schema(found.task)
    known, required = shape.get("properties", {}), shape.get("required", [])
    assert isinstance(known, dict)
    assert isinstance(required, list)
    wrong = [f"it has no parameter {one}" for one in parameters if one not in known]
    wrong += [f"{one} is missing" for one in required if one not in parameters]
    if wrong:
        raise ParameterError(f"action {name}: {'; '.join(wrong)}", hint=f"It takes {', '.join(known) or 'nothing'}.")


def _is_elsewhere(plugin: str) -> bool:
    try:
        rows = list_manifests(load_settings(), name=plugin)
    except HubError:
        return False
    return any(row.works and row.manifest is not None and "worker" in row.manifest.runs_in for row in rows)


def _hint(name: str) -> str:
    plugin = name.partition(".")[0]
    return f"`hub plugins show {plugin}` lists its actions; each is named PLUGIN.ACTION."
