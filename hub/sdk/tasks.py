"""`@task`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, Protocol, TypeVar, Unpack, overload

from hub.sdk import port
from hub.sdk.decorated import Decorated
from hub.sdk.functions import Wrapped, dashed
from hub.sdk.futures import Future, Futures
from hub.sdk.futurestream import FutureStream
from hub.sdk.inputs import Lazy
from hub.sdk.options import TaskOptions, task_options
from hub.sdk.transactions import transaction_hooks

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")
RESERVED = frozenset({"wait_for"})


class Unmapped(Generic[T]):
    """An argument that `map` gives to every call as it is."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value


def unmapped(value: T) -> Unmapped[T]:
    """Keep `map` from iterating over `value`: every call gets it whole."""
    return Unmapped(value)


class Task(Decorated[P, R]):
    """A step of a flow: a function whose calls are journaled, retried, and skipped when a new attempt meets them done.

    Options: `name`, `description`, `task_run_name`, `tags`, `retries`, `retry_delay_seconds`, `retry_jitter_factor`,
    `retry_delay_cap`, `retry_budget_seconds`, `retry_policy`, `retry_on`, `give_up_on`, `retry_condition`,
    `timeout_seconds`, `log_prints`, `result_store`, `result_serializer` as for flows; `persist=False` keeps the result
    out of the journal, so that a new attempt runs the task again. `cache_policy`, `cache_key_fn`, `cache_expiration`,
    `refresh_cache`: whether and for how long an equal call, also of another run, takes this one's result
    (`hub.cache_policies`).
    `trigger` says whether it runs when what it waits for failed: `all_success` (as usual), `all_done`
    or `one_failed` (exceptions take the place of failed results), `none_failed` (skipped ones are no obstacle);
    `asset_deps`: the assets that it is made from, see `materialize`;
    `on_running`, `on_completion`, `on_failure`, `on_cancellation`: lists of `fn(task, run, state)`;
    `on_commit`, `on_rollback`: lists of `fn(step)`, called when the transaction around the task commits or is undone;
    `viz_return_value`: what it gives while `flow.visualize()` draws its flow.
    """

    what = "task"

    def __init__(self, fn: Callable[P, R] | Wrapped, options: TaskOptions | None = None) -> None:
        self._given: TaskOptions = {**(options or {})}
        wrapped = fn if isinstance(fn, Wrapped) else Wrapped(fn, what="task", reserved=RESERVED)
        super().__init__(wrapped, task_options(dashed(wrapped.fn.__name__), wrapped.description, self._given))
        self.key = wrapped.key

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return port.runtime().call_task(self, args, kwargs)  # type: ignore[no-any-return]

    @overload
    def submit(
        self: Task[..., Iterator[T]], *args: Any, wait_for: Iterable[Any] = (), **kwargs: Any
    ) -> Future[list[T]]: ...
    @overload
    def submit(
        self: Task[..., Generator[T, Any, Any]], *args: Any, wait_for: Iterable[Any] = (), **kwargs: Any
    ) -> Future[list[T]]: ...
    @overload
    def submit(
        self: Task[..., AsyncIterator[T]], *args: Any, wait_for: Iterable[Any] = (), **kwargs: Any
    ) -> Future[list[T]]: ...
    @overload
    def submit(
        self: Task[..., AsyncGenerator[T, Any]], *args: Any, wait_for: Iterable[Any] = (), **kwargs: Any
    ) -> Future[list[T]]: ...
    @overload
    def submit(
        self: Task[..., Coroutine[Any, Any, T]], *args: Any, wait_for: Iterable[Any] = (), **kwargs: Any
    ) -> Future[T]: ...
    @overload
    def submit(self: Task[..., R], *args: Any, wait_for: Iterable[Any] = (), **kwargs: Any) -> Future[R]: ...
    def submit(self, *args: Any, wait_for: Iterable[Any] = (), **kwargs: Any) -> Future[Any]:
        """Start the task beside the caller, on a thread of the run (an async task: on its loop).

        Futures among the arguments are awaited first; with `wait_for` further ones are, also inside lists, without
        being passed on. See `allow_failure`, `quote` and the option `trigger`.
        """
        return port.runtime().submit(self, args, kwargs, wait_for)

    @overload
    def map(
        self: Task[..., Iterator[T]],
        first: Iterator[Any] | Lazy[Any],
        /,
        *args: Any,
        wait_for: Iterable[Any] = (),
        **kwargs: Any,
    ) -> FutureStream[list[T]]: ...
    @overload
    def map(
        self: Task[..., Generator[T, Any, Any]],
        first: Iterator[Any] | Lazy[Any],
        /,
        *args: Any,
        wait_for: Iterable[Any] = (),
        **kwargs: Any,
    ) -> FutureStream[list[T]]: ...
    @overload
    def map(
        self: Task[..., AsyncIterator[T]],
        first: Iterator[Any] | Lazy[Any],
        /,
        *args: Any,
        wait_for: Iterable[Any] = (),
        **kwargs: Any,
    ) -> FutureStream[list[T]]: ...
    @overload
    def map(
        self: Task[..., AsyncGenerator[T, Any]],
        first: Iterator[Any] | Lazy[Any],
        /,
        *args: Any,
        wait_for: Iterable[Any] = (),
        **kwargs: Any,
    ) -> FutureStream[list[T]]: ...
    @overload
    def map(
        self: Task[..., Coroutine[Any, Any, T]],
        first: Iterator[Any] | Lazy[Any],
        /,
        *args: Any,
        wait_for: Iterable[Any] = (),
        **kwargs: Any,
    ) -> FutureStream[T]: ...
    @overload
    def map(
        self: Task[..., R], first: Iterator[Any] | Lazy[Any], /, *args: Any, wait_for: Iterable[Any] = (), **kwargs: Any
    ) -> FutureStream[R]: ...
    @overload
    def map(
        self: Task[..., Iterator[T]], /, *args: Any, wait_for: Iterable[Any] = (), **kwargs: Any
    ) -> Futures[list[T]]: ...
    @overload
    def map(
        self: Task[..., Generator[T, Any, Any]], /, *args: Any, wait_for: Iterable[Any] = (), **kwargs: Any
    ) -> Futures[list[T]]: ...
    @overload
    def map(
        self: Task[..., AsyncIterator[T]], /, *args: Any, wait_for: Iterable[Any] = (), **kwargs: Any
    ) -> Futures[list[T]]: ...
    @overload
    def map(
        self: Task[..., AsyncGenerator[T, Any]], /, *args: Any, wait_for: Iterable[Any] = (), **kwargs: Any
    ) -> Futures[list[T]]: ...
    @overload
    def map(
        self: Task[..., Coroutine[Any, Any, T]], /, *args: Any, wait_for: Iterable[Any] = (), **kwargs: Any
    ) -> Futures[T]: ...
    @overload
    def map(self: Task[..., R], /, *args: Any, wait_for: Iterable[Any] = (), **kwargs: Any) -> Futures[R]: ...
    def map(self, /, *args: Any, wait_for: Iterable[Any] = (), **kwargs: Any) -> Futures[Any] | FutureStream[Any]:
        """Submit the task once for each element of its iterable arguments, taken side by side.

        Iterators, whatever has no length, and `lazy(items)` are consumed as the calls go: a stream of futures.
        Texts, bytes, mappings and what cannot be iterated go to every call as they are, as does `unmapped(value)`;
        `batched(items, size)` gives each call a list. Raises UsageError when lengths differ or there is nothing to map.
        """
        return port.runtime().map_over(self, args, kwargs, wait_for)

    @overload
    def __get__(self, instance: None, owner: type) -> Task[P, R]: ...
    @overload
    def __get__(self: Task[Concatenate[S, Q], R], instance: S, owner: type | None = None) -> Task[Q, R]: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self._bound(instance, owner)

    def on_commit(self, hook: T) -> T:
        """Call `hook(step)` when the transaction that the task was called in commits; a decorator."""
        return self._transacted("on_commit", hook)

    def on_rollback(self, hook: T) -> T:
        """Call `hook(step)` to undo what the task did, when its transaction does not commit; a decorator."""
        return self._transacted("on_rollback", hook)

    def _transacted(self, event: Literal["on_commit", "on_rollback"], hook: T) -> T:
        named: Any = (*self.options.transaction_hooks.get(event, ()), hook)
        known = {**self.options.transaction_hooks, **transaction_hooks({event: named})}
        given: Any = {**self._given}
        given[event] = named
        self._given = given
        self.options = replace(self.options, transaction_hooks=known)
        return hook

    def with_options(self, **options: Unpack[TaskOptions]) -> Task[P, R]:
        """A copy of the task with some options changed."""
        return Task(self._wrapped, {**self._given, **options})


if TYPE_CHECKING:

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
