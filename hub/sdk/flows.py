"""`@flow`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar, Unpack, overload

from hub.sdk import port
from hub.sdk.decorated import Decorated, H
from hub.sdk.functions import Wrapped, dashed
from hub.sdk.options import FlowOptions, flow_options
from hub.types import Id

if TYPE_CHECKING:
    from hub.graphs.picture import Picture

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


class Flow(Decorated[P, R]):
    """A function whose calls are runs: journaled, retried, resumed where they were, shown in the dashboard.

    Options: `name` (the function's, dashed), `description` (its docstring), `version`, `flow_run_name` (a template
    over the parameters, or a function of them), `tags`, `retries` and how they are spaced (`retry_delay_seconds`:
    seconds, a list, `exponential_backoff(...)` or a function of the retry's number; `retry_jitter_factor` 0 to 1;
    `retry_delay_cap` seconds; `retry_budget_seconds` for all tries; a shared `retry_policy`), which
    failures are retried (`retry_on`, `give_up_on`: exception types and names of error classes; `retry_condition`:
    a function of the exception),
    `timeout_seconds`, `log_prints` (printed lines become log lines too), `persist` (keep the result),
    `result_store` (where: `local` or a connection's name; for its tasks too), `result_serializer` (how, likewise),
    `on_running`, `on_completion`, `on_failure`, `on_cancellation`, `on_crashed` (lists of `fn(flow, run, state)`),
    `crash_retries` (attempts after its process was lost, on a worker; 2), `max_threads` (for submitted tasks; 16),
    `task_runner` (where submitted tasks execute: `CeleryTaskRunner(...)`, `ProcessPoolTaskRunner(...)`),
    `alerts` (who is told when a run fails: names of channels, `tag:NAME`; False: nobody; more by `hub.Alerts(...)`),
    `export` (the most that may leave for a plane: `metadata`, `errors`, `logs`, `params`, `results`).
    """

    what = "flow"

    def __init__(self, fn: Callable[P, R] | Wrapped, options: FlowOptions | None = None) -> None:
        self._given: FlowOptions = {**(options or {})}
        wrapped = fn if isinstance(fn, Wrapped) else Wrapped(fn, what="flow")
        super().__init__(wrapped, flow_options(dashed(wrapped.fn.__name__), wrapped.description, self._given))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return port.runtime().call_flow(self, args, kwargs)  # type: ignore[no-any-return]

    @overload
    def __get__(self, instance: None, owner: type) -> Flow[P, R]: ...
    @overload
    def __get__(self: Flow[Concatenate[S, Q], R], instance: S, owner: type | None = None) -> Flow[Q, R]: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self._bound(instance, owner)

    def on_crashed(self, hook: H) -> H:
        """Have a worker call `hook(flow, run, state)` when the processes of a run were lost too often; a decorator."""
        return self._hooked("on_crashed", hook)

    def with_options(self, **options: Unpack[FlowOptions]) -> Flow[P, R]:
        """A copy of the flow with some options changed."""
        return Flow(self._wrapped, {**self._given, **options})

    @property
    def parameter_schema(self) -> dict[str, Any]:
        """The JSON schema (2020-12) of its parameters, made of their type hints. Raises FlowLoadError."""
        return port.runtime().parameter_schema(self)

    def visualize(self, *args: P.args, **kwargs: P.kwargs) -> Picture:
        """A picture of what a call with these parameters would do: `.svg`, `.mermaid`, `.save("flow.svg")`.

        The flow's function is called, its tasks are not: they give placeholders that can be passed on and computed
        with, or what `@task(viz_return_value=...)` says. Raises UsageError, naming the task, where the flow needs to
        know a result; ParameterError; and what the flow itself raises.
        """
        return port.runtime().visualize(self, args, kwargs)

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
        concurrency: int | None = None,
        concurrency_key: str = "",
        overflow: Literal["enqueue", "cancel_new", "cancel_old"] = "enqueue",
        flow_control: Mapping[str, Any] | None = None,
        paused: bool = False,
    ) -> Deployed:
        """Make or change a deployment, so that workers, schedules and webhooks can start this flow.

        `interval` in seconds; `paused` stops its schedules, no more. `concurrency`: so many runs at once, of
        each value of `concurrency_key` (CEL over `params`, in a text as `customer:${params.id}`) if there is one; runs
        beyond that wait, or `overflow` cancels the new or the oldest ones. `flow_control`: what is done with requests
        for runs, by the names of the controls: {"debounce": {"period": "5s", "key": "params.id"}, ...}.

        The flow must stand in a file that the worker has at the same place. Raises UsageError (also for wrong
        `parameters`), UnavailableError when the hub's store cannot be written.
        """
        options = {
            "name": name or self.name, "cron": cron, "interval": interval, "timezone": timezone,
            "parameters": dict(parameters or {}), "tags": list(tags), "queue": queue, "description": description,
            "concurrency": concurrency, "concurrency_key": concurrency_key, "overflow": overflow,
            "flow_control": dict(flow_control or {}),
            "paused": paused,
        }  # fmt: skip
        return port.runtime().deploy(self, options)


if TYPE_CHECKING:

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
