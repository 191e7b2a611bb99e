"""Functions that are called when a run of a flow or a task enters a state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypedDict

from hub.errors import UsageError
from hub.types import Id

StateHook: TypeAlias = Callable[[Any, Any, Any], object]
"""`fn(flow_or_task, run, state)`, sync or async. What it returns is dropped."""

EVENTS = ("on_running", "on_completion", "on_failure", "on_cancellation", "on_crashed")
"""`on_crashed` is a flow's only: a task whose process was lost is done again by the next attempt of its flow."""


class HookOptions(TypedDict, total=False):
    """The options of flows and tasks that name hooks."""

    on_running: Iterable[StateHook]
    on_completion: Iterable[StateHook]
    on_failure: Iterable[StateHook]
    on_cancellation: Iterable[StateHook]


@dataclass(frozen=True, slots=True)
class FlowRun:
    """A run of a flow, as its hooks see it."""

    id: Id
    name: str
    flow_name: str
    attempt: int
    parameters: Mapping[str, Any]
    tags: tuple[str, ...]
    deployment_id: Id | None
    deployment_name: str | None
    parent_run_id: Id | None


@dataclass(frozen=True, slots=True)
class TaskRun:
    """A run of a task, as its hooks see it."""

    id: Id
    name: str
    task_name: str
    attempt: int
    flow_run_id: Id


def hook_options(given: Mapping[str, Any]) -> dict[str, tuple[StateHook, ...]]:
    """The hooks that an author named. Raises UsageError for what cannot be called."""
    found = {}
    for event in EVENTS:
        hooks = given.get(event) or ()
        known = (hooks,) if callable(hooks) else tuple(hooks) if isinstance(hooks, Iterable) else (hooks,)
        for hook in known:
            if not callable(hook):
                raise UsageError(
                    f"{event}={hook!r} cannot be called", hint=f"Give functions: {event}=[fn], fn(flow, run, state)."
                )
        if known:
            found[event] = known
    return found
