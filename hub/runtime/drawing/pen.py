"""Notes calls of tasks and flows instead of making them."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterable, Mapping, Sized
from contextvars import ContextVar
from itertools import islice
from typing import Any

from hub.errors import HubError, UsageError
from hub.graphs.model import Cluster, Edge, Graph, Node
from hub.runtime import parameters
from hub.runtime.drawing.placeholders import Nodes, Origins, Placeholder
from hub.sdk.annotations import AllowFailure, Quote
from hub.sdk.flows import Flow
from hub.sdk.functions import Wrapped
from hub.sdk.futures import Future, Futures
from hub.sdk.futurestream import FutureStream
from hub.sdk.inputs import Lazy
from hub.sdk.options import UNKNOWN
from hub.sdk.tasks import Task, Unmapped
from hub.states import State, StateType
from hub.types import new_id

drawing: ContextVar[Pen | None] = ContextVar("hub_drawing", default=None)
"""What notes the calls of the code that asks; None: they are made."""
_cluster: ContextVar[str] = ContextVar("hub_drawing_cluster", default="")
_DEPTH = 6
_MANY = 10_000
MAX_NODES = 100_000


class Pen:
    """Draws one flow."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._nodes: list[Node] = []
        self._edges: dict[tuple[str, str], bool] = {}
        self._clusters: list[Cluster] = []
        self._origins = Origins()
        self._futures: dict[int, tuple[Future[Any], Nodes]] = {}

    @property
    def graph(self) -> Graph:
        """What it has drawn so far."""
        edges = tuple(Edge(source, target, waits) for (source, target), waits in self._edges.items())
        return Graph(self._title, tuple(self._nodes), edges, tuple(self._clusters))

    @property
    def empty(self) -> bool:
        """Whether no task was called."""
        return not self._nodes

    # --- calls -------------------------------------------------------------------------------------------------------

    def call(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A task that is called where its caller stands."""
        value = self._value(task, self._note(task, args, kwargs))
        return _as_called(task._wrapped, value)

    def submit(
        self, task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Any]
    ) -> Future[Any]:
        """A task that is submitted."""
        return self._future(task, self._note(task, args, kwargs, wait_for))

    def map_over(
        self, task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Any]
    ) -> Futures[Any] | FutureStream[Any]:
        """A task for each element: one node."""
        lazy = any(_is_lazy(value) for value in (*args, *kwargs.values()))
        args, kwargs = tuple(map(_taken, args)), {key: _taken(value) for key, value in kwargs.items()}
        lengths = {_length(value) for value in (*args, *kwargs.values())} - {None}
        if len(lengths - {0}) > 1:
            raise UsageError(f"{task.name}.map got iterables of different lengths")
        count = max((length for length in lengths if length is not None), default=-1)
        node = self._note(task, args, kwargs, wait_for, count=count)
        futures = Futures([self._future(task, node) for _ in range(max(1, min(count, _MANY)))])
        return FutureStream(_Drawn(futures)) if lazy else futures

    def call_flow(self, flow: Flow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A flow inside the flow: a cluster."""
        cluster = Cluster(f"c{len(self._clusters)}", flow.name, _cluster.get())
        self._clusters.append(cluster)
        args, kwargs = self._settled(args), self._settled(kwargs)
        if not self._origins_of((args, kwargs)):
            args, kwargs = parameters.call_arguments(flow, parameters.from_call(flow, args, kwargs))
        wrapped = flow._wrapped
        if wrapped.is_async:
            called = _inside_on_loop(cluster.id, wrapped, args, kwargs)
            return _items_of(called) if wrapped.generates else called
        token = _cluster.set(cluster.id)
        try:
            made = wrapped.call(args, kwargs)
            return list(made) if wrapped.generates else made
        finally:
            _cluster.reset(token)

    # --- notes -------------------------------------------------------------------------------------------------------

    def _note(
        self, task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], waits: Iterable[Any] = (), *,
        count: int = 1,
    ) -> Nodes:  # fmt: skip
        if len(self._nodes) >= MAX_NODES:
            raise UsageError(f"the flow calls more than {MAX_NODES} tasks, too many to draw")
        plain = tuple(_opened(value) for value in args), {key: _opened(value) for key, value in kwargs.items()}
        try:
            named = task._wrapped.arguments(*plain)
        except TypeError as error:
            raise UsageError(f"task {task.name}: {error}") from None
        name = f"n{len(self._nodes)}"
        label = _label(task, named) if count == 1 else task.name
        self._nodes.append(Node(name, label, cluster=_cluster.get(), group=task.name, count=count))
        for source in sorted(self._origins_of((args, kwargs))):
            self._edges[source, name] = False
        for source in sorted(self._origins_of(list(waits))):
            self._edges.setdefault((source, name), True)
        return frozenset((name,))

    def _value(self, task: Task[..., Any], nodes: Nodes) -> Any:
        given = task.options.viz_return_value
        return Placeholder(task.name, nodes) if given is UNKNOWN else self._origins.mark(given, nodes)

    def _future(self, task: Task[..., Any], nodes: Nodes) -> Future[Any]:
        future: Future[Any] = Future(new_id(), task.name)
        future.settle(State(StateType.COMPLETED, "Completed"), self._value(task, nodes))
        self._futures[id(future)] = (future, nodes)
        return future

    def _origins_of(self, value: Any, depth: int = 0) -> set[str]:
        """The nodes that a value, or something in it, came from."""
        if isinstance(value, Future):
            return set(self._futures.get(id(value), (None, frozenset()))[1])
        found = set(self._origins.of(value))
        if found or depth > _DEPTH:
            return found
        if isinstance(value, Unmapped | AllowFailure | Quote):
            return self._origins_of(value.value, depth)
        items: Iterable[Any] = ()
        if isinstance(value, Mapping):
            items = value.values()
        elif isinstance(value, list | tuple | set | frozenset):
            items = value
        return found.union(*(self._origins_of(item, depth + 1) for item in items))

    def _settled(self, value: Any) -> Any:
        """Arguments of a flow with the values of futures in their places, as the flow would get them."""
        if isinstance(value, Future):
            return value.result()
        if type(value) in (list, tuple, Futures):
            made = [self._settled(item) for item in value]
            return tuple(made) if type(value) is tuple else made
        return {key: self._settled(item) for key, item in value.items()} if type(value) is dict else value


class _Drawn:
    """Where the futures of a lazy map come from: all are there at once."""

    window = 1
    error: Exception | None = None

    def __init__(self, futures: list[Future[Any]]) -> None:
        self._futures = futures

    def take(self) -> list[Future[Any]]:
        """See hub.sdk.futurestream.Feed."""
        futures, self._futures = self._futures, []
        return futures

    def taken(self, _stream: FutureStream[Any]) -> None:
        """See hub.sdk.futurestream.Feed."""

    def close(self) -> None:
        """See hub.sdk.futurestream.Feed."""


def _is_lazy(value: Any) -> bool:
    return isinstance(value, Lazy) or (
        isinstance(value, Iterable) and not isinstance(value, Sized | Future | Placeholder)
    )


def _taken(value: Any) -> Any:
    """An argument of `map` with the first elements of what has no length."""
    items = value.items if isinstance(value, Lazy) else value
    return list(islice(items, _MANY)) if _is_lazy(value) else value


def _opened(value: Any) -> Any:
    return value.value if isinstance(value, Unmapped | AllowFailure | Quote) else value


def _length(value: Any) -> int | None:
    """How many elements `map` takes from an argument; None: it is the same for all calls, or not known."""
    if isinstance(value, AllowFailure):
        value = value.value
    if isinstance(value, Future) and not isinstance(value, Placeholder):
        value = value.result()
    if isinstance(value, Placeholder | Unmapped | str | bytes | Mapping) or not isinstance(value, Iterable):
        return None
    return len(value) if isinstance(value, Sized) else None


def _label(task: Task[..., Any], named: Mapping[str, Any]) -> str:
    template = task.options.run_name
    if template is None:
        return task.name
    try:
        return str(template.format(**named) if isinstance(template, str) else template(named)) or task.name
    except HubError:
        return task.name  # the name needs a result
    except Exception as error:
        raise UsageError(f"the run name {template!r} of task {task.name} cannot be made: {error}") from error


def _as_called(wrapped: Wrapped, value: Any) -> Any:
    """A value as a call of that function gives it."""
    if wrapped.generates and not isinstance(value, Placeholder):
        return _items(value) if wrapped.is_async else iter(value)
    return _awaited(value) if wrapped.is_async and not wrapped.generates else value


async def _awaited(value: Any) -> Any:
    return value


async def _items(values: Iterable[Any]) -> AsyncIterator[Any]:
    for value in values:
        yield value


async def _items_of(called: Any) -> AsyncIterator[Any]:
    for value in await called:
        yield value


async def _inside_on_loop(cluster: str, wrapped: Wrapped, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    token = _cluster.set(cluster)
    try:
        made = wrapped.call(args, kwargs)
        return [item async for item in made] if inspect.isasyncgen(made) else await made
    finally:
        _cluster.reset(token)


async def whole(wrapped: Wrapped, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call an async flow to its end."""
    return await _inside_on_loop("", wrapped, args, kwargs)
