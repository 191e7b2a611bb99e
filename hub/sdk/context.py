"""Which run this code is part of."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from hub.types import Id


@dataclass(frozen=True, slots=True)
class FlowInfo:
    """The facts of a flow run that do not change while one attempt executes."""

    run_id: Id
    run_name: str
    flow_name: str
    attempt: int = 1
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    deployment_id: Id | None = None
    deployment_name: str | None = None
    parent_run_id: Id | None = None


class RunContext:
    """Where the calling code runs: its flow run and, inside a task, its task run."""

    __slots__ = ("flow", "session", "step", "task_attempt", "task_name", "task_run_id")

    def __init__(
        self,
        flow: FlowInfo,
        session: Any,
        *,
        step: str = "",
        task_run_id: Id | None = None,
        task_name: str | None = None,
        task_attempt: int = 0,
    ) -> None:
        self.flow = flow
        self.session = session
        self.step = step
        self.task_run_id = task_run_id
        self.task_name = task_name
        self.task_attempt = task_attempt

    def __repr__(self) -> str:
        return f"RunContext(run_id={self.run_id!r}, task_run_id={self.task_run_id!r})"

    @property
    def run_id(self) -> Id:
        """Id of the flow run."""
        return self.flow.run_id

    @property
    def run_name(self) -> str:
        """Name of the flow run."""
        return self.flow.run_name

    @property
    def flow_name(self) -> str:
        """Name of the flow."""
        return self.flow.flow_name

    @property
    def attempt(self) -> int:
        """Which execution of the flow run this is, from 1."""
        return self.flow.attempt

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The flow's parameters, as they were after checking."""
        return self.flow.parameters

    @property
    def deployment_name(self) -> str | None:
        """Name of the deployment, None for a flow that was called as a function."""
        return self.flow.deployment_name


current: ContextVar[RunContext | None] = ContextVar("hub_run", default=None)


def runtime_context() -> RunContext | None:
    """The run that the calling code is part of; None outside a run."""
    return current.get()
