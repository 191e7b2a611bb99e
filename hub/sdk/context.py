"""Which run this code is part of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from hub.types import Id, derived_id


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
    depth: int = 0
    """In how many runs it is nested."""


class RunContext:
    """Where the calling code runs: its flow run and, inside a task, its task run."""

    __slots__ = (
        "_counters", "_to_come", "around", "flow", "held", "inner", "is_async", "made", "session", "step",
        "task_attempt", "task_name", "task_run_id",
    )  # fmt: skip

    def __init__(
        self,
        flow: FlowInfo,
        session: Any,
        step: str = "",
        task_run_id: Id | None = None,
        task_name: str | None = None,
        task_attempt: int = 0,
        is_async: bool = False,
    ) -> None:
        self.flow = flow
        self.session = session
        self.step = step
        self.task_run_id = task_run_id
        self.task_name = task_name
        self.task_attempt = task_attempt
        # What its code holds of limits, for the runtime to give back should the code not do so.
        self.held: list[Any] | None = None
        # Counters of what its code has made, for names that a replay finds again.
        self.made: dict[str, Any] | None = None
        # The transaction that it was called in, and the one that a task is to those that it calls: the runtime's.
        self.around: Any = None
        self.inner: Any = None
        # Whether its code is a coroutine, for what is to be awaited there and is not elsewhere.
        self.is_async = is_async
        self._counters: dict[str, Callable[[], int]] = {}
        self._to_come: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"RunContext(run_id={self.run_id!r}, task_run_id={self.task_run_id!r})"

    def count(self, name: str) -> int:
        """For the runtime: how often its code has come to `name` before; the same in every try and every attempt."""
        counter = self._counters.get(name)
        if counter is None:
            # setdefault and next are single C calls: two threads get one counter and two numbers.
            counter = self._counters.setdefault(name, count().__next__)
        number = counter()
        self._to_come[name] = number + 1
        return number

    def to_come(self, name: str) -> int:
        """For the runtime: the number that `count` will give next."""
        return self._to_come.get(name, 0)

    @property
    def run_id(self) -> Id:
        """Id of the flow run."""
        return self.flow.run_id

    @property
    def idempotency_key(self) -> Id:
        """Of this call of a task: the same in every try and every attempt of the run, also after a kill before anything
        of the task was written, when `task_run_id` becomes another."""
        return derived_id(self.flow.run_id, "step", self.step)

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
