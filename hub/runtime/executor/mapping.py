"""`map`: one call for each element. Inputs with a length are taken at once, iterators as their calls go."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sized
from itertools import islice
from typing import Any, TypeAlias

from hub.errors import UsageError
from hub.runtime.executor import processes, remote
from hub.runtime.executor.calls import body_elsewhere, caller, elsewhere, for_process, launch, prepare
from hub.runtime.executor.session import Session
from hub.runtime.executor.tasklife import STOPPING
from hub.sdk.annotations import AllowFailure
from hub.sdk.context import RunContext, current
from hub.sdk.futures import Future, Futures
from hub.sdk.futurestream import FutureStream
from hub.sdk.inputs import Lazy
from hub.sdk.runners import CeleryTaskRunner, ProcessPoolTaskRunner
from hub.sdk.tasks import Task, Unmapped

MAX_MAPPED = 1_000_000
_EACH = 4
"""Calls that a lazy map keeps on their way for each thread or process."""
_CHUNKS = 64
"""The same of chunks over Celery."""
_CHUNK = 100
"""Calls in a chunk when nobody knows how many there will be."""
_END = object()

Pair: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]


def map_over(
    task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Any]
) -> Futures[Any] | FutureStream[Any]:
    """Submit a task for each element of its iterable arguments; lazily when one of them has no length."""
    given: dict[int | str, Any] = dict(enumerate(args))
    given.update(kwargs)
    columns = _Columns(task, len(args), {key: _column(value) for key, value in given.items()})
    waits = list(wait_for)
    if columns.lazy:
        feed = _Feed(task, columns, waits)
        return feed.begin()
    columns.check()
    pairs = list(columns.pairs())
    there = elsewhere()
    if there is not None:
        return remote.send(*there, task, pairs, waits)
    # All are named before the first one starts.
    calls = for_process(task, [prepare(task, *pair, waits) for pair in pairs])
    return Futures([launch(call) for call in calls])


class _Column:
    """An argument: what every call gets, or what is taken apart."""

    __slots__ = ("forgiving", "items", "lazy", "value", "window")

    def __init__(self, value: Any = None, items: Iterable[Any] | None = None) -> None:
        self.value = value
        self.items = items
        self.lazy = items is not None and not isinstance(items, Sized)
        self.forgiving = False
        self.window: int | None = None


def _column(value: Any) -> _Column:
    if isinstance(value, Unmapped):
        return _Column(value.value)
    if isinstance(value, Lazy):
        found = _Column(items=value.items)
        found.lazy, found.window = True, value.window
        return found
    if isinstance(value, AllowFailure):
        inner = _Column() if isinstance(value.value, Future) else _column(value.value)
        inner.value, inner.forgiving = value, True
        return inner
    if isinstance(value, Future):
        value = value.result()
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable) or inspect.isclass(value):
        return _Column(value)
    return _Column(items=value)


class _Columns:
    """All arguments of a map, side by side."""

    def __init__(self, task: Task[..., Any], positional: int, given: dict[int | str, _Column]) -> None:
        self._task = task
        self._positional = positional
        self._given = given
        self._many = {key: column for key, column in given.items() if column.items is not None}
        if not self._many:
            raise UsageError(
                f"{task.name}.map got nothing to iterate over", hint="Give a list, or use submit for a single call."
            )
        self.lazy = any(column.lazy for column in self._many.values())
        self.window = min((column.window for column in given.values() if column.window is not None), default=None)
        self.iterators: list[Iterator[Any]] = []

    def check(self) -> None:
        """Look at the lengths, where all have one."""
        lengths = {key: len(column.items) for key, column in self._many.items()}  # type: ignore[arg-type]
        if max(lengths.values()) > MAX_MAPPED:
            hint = "Give lazy(...) to have its elements taken as the calls go, or batched(...) for many in one call."
            raise UsageError(f"{self._task.name}.map got more than {MAX_MAPPED:,} elements", hint=hint)
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{self._label(key)} has {length}" for key, length in lengths.items())
            raise UsageError(
                f"{self._task.name}.map got iterables of different lengths: {told}",
                hint="Wrap constants in unmapped(...).",
            )

    def pairs(self) -> Iterator[Pair]:
        """The arguments of each call. Raises UsageError when one ends before the others."""
        self.iterators = [iter(column.items or ()) for column in self._many.values()]
        number = 0
        while True:
            row = [next(iterator, _END) for iterator in self.iterators]
            if any(item is _END for item in row):  # not `in`: an array answers == with an array
                self._check_ends(row, number)
                return
            yield self._pair(row)
            number += 1

    def _pair(self, row: list[Any]) -> Pair:
        values = {key: column.value for key, column in self._given.items()}
        for (key, column), item in zip(self._many.items(), row, strict=True):
            values[key] = AllowFailure(item) if column.forgiving else item
        positional = tuple(values.pop(number) for number in range(self._positional))
        return positional, {str(key): value for key, value in values.items()}

    def _check_ends(self, row: list[Any], number: int) -> None:
        ended = [self._label(key) for key, item in zip(self._many, row, strict=True) if item is _END]
        longer = [self._label(key) for key, item in zip(self._many, row, strict=True) if item is not _END]
        if longer:
            raise UsageError(
                f"{self._task.name}.map got iterables of different lengths: {' and '.join(ended)} ended after {number}"
                f", {' and '.join(longer)} did not",
                hint="Wrap constants in unmapped(...).",
            )

    def _label(self, key: int | str) -> str:
        names = list(self._task._wrapped.parameters)
        return key if isinstance(key, str) else names[key] if key < len(names) else f"argument {key + 1}"


class _Feed:
    """Begins calls as a stream asks for them, in the thread that takes from the stream. See hub.sdk.Feed."""

    def __init__(self, task: Task[..., Any], columns: _Columns, waits: list[Any]) -> None:
        self._task = task
        self._waits = waits
        self._columns = columns
        self._pairs = columns.pairs()
        self._parent: RunContext = caller()
        self._there = elsewhere()
        self.session: Session = self._parent.session
        self.error: Exception | None = None
        self._body: processes.Body | None = None
        # Calls of one map are counted among themselves: when they begin does not matter to calls beside them.
        number = self.session.ordinals.take(f"map:{self._parent.step}:{task.key}")
        self._among = f"\x1fmap{number}"
        self.window = self._window()
        if self._there is not None:
            self._size = self._there[0].chunk or min(_CHUNK, self.window)

    def _window(self) -> int:
        runner = self.session.runner
        if self._columns.window is not None:
            return self._columns.window
        if isinstance(runner, CeleryTaskRunner):
            return _CHUNKS * (runner.chunk or _CHUNK)
        if isinstance(runner, ProcessPoolTaskRunner):
            return _EACH * runner.max_workers
        threads: int = self.session.root.threads
        return _EACH * threads

    def begin(self) -> FutureStream[Any]:
        """Begin the first calls. What is wrong with all of them is raised here."""
        if self._there is not None:
            remote.check(self._there[1], self._task)
        else:
            self._body = body_elsewhere(self._task, self.session)
        stream: FutureStream[Any] = FutureStream(self)
        if not stream.over:
            self.session.untaken.append(stream)
        return stream

    def take(self) -> list[Future[Any]]:
        """Begin the next call, or the next chunk of them."""
        if self.error is not None:
            return []
        token = current.set(self._parent if self._parent.run_name else current.get())
        try:
            self.session.branch.check()
            return self._next_call() if self._there is None else self._next_chunk(*self._there)
        except STOPPING:
            raise
        except Exception as error:  # noqa: BLE001 - given to whoever takes from the stream, after what has begun
            error.add_note(f"raised while {self._task.name}.map took its elements")
            self.error = error
            return []
        finally:
            current.reset(token)

    def _next_call(self) -> list[Future[Any]]:
        pair = next(self._pairs, None)
        if pair is None:
            return []
        call = prepare(self._task, *pair, self._waits, parent=self._parent, among=self._among)
        if self._body is not None:
            call.body = self._body
        return [launch(call)]

    def _next_chunk(self, runner: CeleryTaskRunner, context: RunContext) -> list[Future[Any]]:
        # One that is cut short by an error is not sent: the next attempt would not know it again.
        pairs = list(islice(self._pairs, self._size))
        if not pairs:
            return []
        return remote.send(runner, context, self._task, pairs, self._waits, size=len(pairs), among=self._among)

    def taken(self, stream: FutureStream[Any]) -> None:
        """The flow need not run the rest of it."""
        with contextlib.suppress(ValueError):
            self.session.untaken.remove(stream)

    def close(self) -> None:
        """End the caller's generators, so that what they hold is given back."""
        for iterator in self._columns.iterators:
            if inspect.isgenerator(iterator):
                iterator.close()
