"""`@task`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, Unpack, overload

from hub.sdk import port
from hub.sdk.functions import Wrapped, dashed
from hub.sdk.futures import Future, Futures
from hub.sdk.options import Options, TaskOptions, task_options

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")
_RESERVED = frozenset({"wait_for"})


class Unmapped(Generic[T]):
    """An argument that `map` gives to every call as it is."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value


def unmapped(value: T) -> Unmapped[T]:
    """Keep `map` from iterating over `value`: every call gets it whole."""
    return Unmapped(value)


class Task(Generic[P, R]):
    """A step of a flow: a function whose calls are journaled, retried, and skipped when a new attempt meets them done.

    Options: `name`, `description`, `task_run_name`, `tags`, `retries`, `retry_delay_seconds`, `retry_jitter_factor`,
    `retry_delay_cap`, `retry_on`, `retry_condition`, `timeout_seconds`, `log_prints` as for flows; `persist=False`
    keeps the result out of the journal, so that a new attempt runs the task again.
    """

    def __init__(self, fn: Callable[P, R] | Wrapped, options: TaskOptions | None = None) -> None:
        self._given: TaskOptions = {**(options or {})}
        self._wrapped = fn if isinstance(fn, Wrapped) else Wrapped(fn, what="task", reserved=_RESERVED)
        default = dashed(self._wrapped.fn.__name__)
        self.options: Options = task_options(default, self._wrapped.description, self._given)
        self.key = self._wrapped.key
        self.__name__ = self._wrapped.fn.__name__
        self.__qualname__ = self._wrapped.qualname
        self.__module__ = self._wrapped.module
        self.__doc__ = self._wrapped.doc
        self.__wrapped__ = self._wrapped.fn

    def __repr__(self) -> str:
        return f"<task {self.name}>"

    @property
    def name(self) -> str:
        """The task's name."""
        return self.options.name

    @property
    def fn(self) -> Callable[P, R]:
        """The function itself: calling it is no task run."""
        return self._wrapped.fn

    @property
    def is_async(self) -> bool:
        """Whether calls must be awaited."""
        return self._wrapped.is_async

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return port.runtime().call_task(self, args, kwargs)  # type: ignore[no-any-return]

    @overload
    def submit(
        self: Task[..., Coroutine[Any, Any, T]], *args: Any, wait_for: Iterable[Future[Any]] = (), **kwargs: Any
    ) -> Future[T]: ...
    @overload
    def submit(self: Task[..., R], *args: Any, wait_for: Iterable[Future[Any]] = (), **kwargs: Any) -> Future[R]: ...
    def submit(self, *args: Any, wait_for: Iterable[Future[Any]] = (), **kwargs: Any) -> Future[Any]:
        """Start the task beside the caller, on a thread of the run (an async task: on its loop).

        Futures among the arguments are awaited first; with `wait_for` further ones are, without being passed on.
        """
        return port.runtime().submit(self, args, kwargs, wait_for)

    @overload
    def map(
        self: Task[..., Coroutine[Any, Any, T]], *args: Any, wait_for: Iterable[Future[Any]] = (), **kwargs: Any
    ) -> Futures[T]: ...
    @overload
    def map(self: Task[..., R], *args: Any, wait_for: Iterable[Future[Any]] = (), **kwargs: Any) -> Futures[R]: ...
    def map(self, *args: Any, wait_for: Iterable[Future[Any]] = (), **kwargs: Any) -> Futures[Any]:
        """Submit the task once for each element of its iterable arguments, taken side by side.

        Texts, bytes, mappings and what cannot be iterated go to every call as they are, as does `unmapped(value)`.
        Raises UsageError when the iterables differ in length or there is none.
        """
        return port.runtime().map_over(self, args, kwargs, wait_for)

    @overload
    def __get__(self, instance: None, owner: type) -> Task[P, R]: ...
    @overload
    def __get__(self: Task[Concatenate[S, Q], R], instance: S, owner: type | None = None) -> Task[Q, R]: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        method = self._wrapped.bind_to(instance, owner)
        return self if method is None else self._with(method)

    def _with(self, method: Wrapped) -> Task[..., R]:
        # Bound at every attribute access, so nothing is checked again.
        copy: Task[..., R] = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy._wrapped = method
        return copy

    def with_options(self, **options: Unpack[TaskOptions]) -> Task[P, R]:
        """A copy of the task with some options changed."""
        return Task(self._wrapped, {**self._given, **options})


class _Decorator(Protocol):
    def __call__(self, fn: Callable[P, R], /) -> Task[P, R]: ...


@overload
def task(fn: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(**options: Unpack[TaskOptions]) -> _Decorator: ...
def task(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a task of a function: `@task` or `@task(retries=3, ...)`. `Task` lists the options."""
    if fn is not None:
        return Task(fn, options)  # type: ignore[arg-type]
    task_options("task", "", options)
    return lambda decorated: Task(decorated, options)  # type: ignore[arg-type]
