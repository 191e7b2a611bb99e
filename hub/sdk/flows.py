"""`@flow`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, Unpack, overload

from hub.sdk import port
from hub.sdk.functions import Wrapped, dashed
from hub.sdk.options import FlowOptions, Options, flow_options
from hub.types import Id

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployment that was made or changed."""

    id: Id
    name: str
    created: bool
    version: int = 1


class Flow(Generic[P, R]):
    """A function whose calls are runs: journaled, retried, resumed where they were, shown in the dashboard.

    Options: `name` (the function's, dashed), `description` (its docstring), `version`, `flow_run_name` (a template
    over the parameters, or a function of them), `tags`, `retries` and how they are spaced (`retry_delay_seconds`:
    seconds, a list, or `exponential_backoff(...)`; `retry_jitter_factor` 0 to 1; `retry_delay_cap` seconds), which
    failures are retried (`retry_on`: exception types; `retry_condition`: a function of the exception),
    `timeout_seconds`, `log_prints` (printed lines become log lines too), `persist` (keep the result),
    `crash_retries` (attempts after its process was lost, on a worker; 2), `max_threads` (for submitted tasks; 16).
    """

    def __init__(self, fn: Callable[P, R] | Wrapped, options: FlowOptions | None = None) -> None:
        self._given: FlowOptions = {**(options or {})}
        self._wrapped = fn if isinstance(fn, Wrapped) else Wrapped(fn, what="flow")
        default = dashed(self._wrapped.fn.__name__)
        self.options: Options = flow_options(default, self._wrapped.description, self._given)
        self.__name__ = self._wrapped.fn.__name__
        self.__qualname__ = self._wrapped.qualname
        self.__module__ = self._wrapped.module
        self.__doc__ = self._wrapped.doc
        self.__wrapped__ = self._wrapped.fn

    def __repr__(self) -> str:
        return f"<flow {self.name}>"

    @property
    def name(self) -> str:
        """The flow's name."""
        return self.options.name

    @property
    def fn(self) -> Callable[P, R]:
        """The function itself: calling it is no run."""
        return self._wrapped.fn

    @property
    def is_async(self) -> bool:
        """Whether calls must be awaited."""
        return self._wrapped.is_async

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return port.runtime().call_flow(self, args, kwargs)  # type: ignore[no-any-return]

    @overload
    def __get__(self, instance: None, owner: type) -> Flow[P, R]: ...
    @overload
    def __get__(self: Flow[Concatenate[S, Q], R], instance: S, owner: type | None = None) -> Flow[Q, R]: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        method = self._wrapped.bind_to(instance, owner)
        return self if method is None else self._with(method)

    def _with(self, method: Wrapped) -> Flow[..., R]:
        # Bound at every attribute access, so nothing is checked again.
        copy: Flow[..., R] = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy._wrapped = method
        return copy

    def with_options(self, **options: Unpack[FlowOptions]) -> Flow[P, R]:
        """A copy of the flow with some options changed."""
        return Flow(self._wrapped, {**self._given, **options})

    def deploy(
        self,
        name: str | None = None,
        *,
        cron: str | None = None,
        interval: float | None = None,
        timezone: str = "UTC",
        parameters: Mapping[str, Any] | None = None,
        tags: Iterable[str] = (),
        queue: str = "default",
        description: str | None = None,
        paused: bool = False,
    ) -> Deployed:
        """Make or change a deployment, so that workers, schedules and webhooks can start this flow.

        `interval` in seconds. The flow must stand in a file that the worker has at the same place. Raises UsageError
        (also for wrong `parameters`), UnavailableError when the hub's store cannot be written.
        """
        options = {
            "name": name or self.name, "cron": cron, "interval": interval, "timezone": timezone,
            "parameters": dict(parameters or {}), "tags": list(tags), "queue": queue, "description": description,
            "paused": paused,
        }  # fmt: skip
        return port.runtime().deploy(self, options)


class _Decorator(Protocol):
    def __call__(self, fn: Callable[P, R], /) -> Flow[P, R]: ...


@overload
def flow(fn: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def flow(**options: Unpack[FlowOptions]) -> _Decorator: ...
def flow(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a flow of a function: `@flow` or `@flow(retries=2, ...)`. `Flow` lists the options."""
    if fn is not None:
        return Flow(fn, options)  # type: ignore[arg-type]
    flow_options("flow", "", options)
    return lambda decorated: Flow(decorated, options)  # type: ignore[arg-type]
