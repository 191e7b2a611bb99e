"""The run, the task run and the deployment that the calling code is part of. Outside a run everything is None."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.sdk.context import FlowInfo, RunContext, current
from hub.types import Id


def _flow() -> FlowInfo | None:
    context = current.get()
    # A task that is called outside a flow has a context, but no run.
    return context.flow if context is not None and context.flow.flow_name else None


def _task() -> RunContext | None:
    context = current.get()
    return context if context is not None and context.task_run_id is not None else None


class _FlowRun:
    """The run of a flow."""

    def __repr__(self) -> str:
        return f"<hub.runtime.flow_run {self.id}>"

    @property
    def id(self) -> Id | None:
        """Its id."""
        return info.run_id if (info := _flow()) else None

    @property
    def name(self) -> str | None:
        """Its name."""
        return info.run_name if (info := _flow()) else None

    @property
    def flow_name(self) -> str | None:
        """The flow's name."""
        return info.flow_name if (info := _flow()) else None

    @property
    def attempt(self) -> int | None:
        """Which execution of the run this is, from 1."""
        return info.attempt if (info := _flow()) else None

    @property
    def parameters(self) -> Mapping[str, Any] | None:
        """Its parameters, as they were after checking."""
        return info.parameters if (info := _flow()) else None

    @property
    def tags(self) -> tuple[str, ...] | None:
        """Its tags."""
        return info.tags if (info := _flow()) else None

    @property
    def parent_run_id(self) -> Id | None:
        """Id of the run that it is nested in."""
        return info.parent_run_id if (info := _flow()) else None


class _TaskRun:
    """The run of a task."""

    def __repr__(self) -> str:
        return f"<hub.runtime.task_run {self.id}>"

    @property
    def id(self) -> Id | None:
        """Its id."""
        return here.task_run_id if (here := _task()) else None

    @property
    def task_name(self) -> str | None:
        """The task's name."""
        return here.task_name if (here := _task()) else None

    @property
    def attempt(self) -> int | None:
        """Which try this is, from 1."""
        return here.task_attempt if (here := _task()) else None


class _Deployment:
    """The deployment whose run this is."""

    def __repr__(self) -> str:
        return f"<hub.runtime.deployment {self.name}>"

    @property
    def id(self) -> Id | None:
        """Its id; None for a flow that was called as a function."""
        return info.deployment_id if (info := _flow()) else None

    @property
    def name(self) -> str | None:
        """Its name; None for a flow that was called as a function."""
        return info.deployment_name if (info := _flow()) else None


flow_run = _FlowRun()
task_run = _TaskRun()
deployment = _Deployment()
