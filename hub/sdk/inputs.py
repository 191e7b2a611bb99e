"""What `map` takes: elements in batches, and inputs that are consumed as their calls go."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any, Generic, TypeVar, overload

from hub.errors import UsageError

T = TypeVar("T")


class Lazy(Generic[T]):
    """An input of `map` that is consumed as its calls go, whatever its length."""

    __slots__ = ("items", "window")

    def __init__(self, items: Iterable[T], window: int | None) -> None:
        self.items = items
        self.window = window


def lazy(items: Iterable[T], window: int | None = None) -> Lazy[T]:
    """Have `map` consume `items` as its calls go, as it does with iterators: so many of them begun at a time.

    `window`: that number of calls (None: four for each thread or process, 64 chunks over Celery).
    """
    if not isinstance(items, Iterable):
        raise UsageError(f"lazy() takes something to iterate over, not a {type(items).__name__}")
    if window is not None:
        _whole("window", window)
    return Lazy(items, window)


class Batches(Generic[T]):
    """The elements of a collection in lists of `size`, the last one shorter."""

    def __init__(self, items: Collection[T], size: int) -> None:
        self._items = items
        self._size = size

    def __len__(self) -> int:
        return -(-len(self._items) // self._size)

    def __iter__(self) -> Iterator[list[T]]:
        return _lists(self._items, self._size)


@overload
def batched(items: Collection[T], size: int) -> Batches[T]: ...  # type: ignore[overload-overlap]
@overload
def batched(items: Iterable[T], size: int) -> Iterator[list[T]]: ...
def batched(items: Iterable[T], size: int) -> Any:
    """Take `items` in lists of `size`, the last one shorter: `task.map(batched(rows, 500))` gives each call a list.

    A collection stays one, with a length; an iterator stays one and is consumed as its batches are.
    """
    _whole("size", size)
    if isinstance(items, Collection):
        return Batches(items, size)
    if not isinstance(items, Iterable):
        raise UsageError(
            f"batched() takes something to iterate over, not a {type(items).__name__}",
            hint="Write lazy(batched(items, size)) for both." if isinstance(items, Lazy) else "",
        )
    return _lists(items, size)


def _lists(items: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch


def _whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{name}={value!r} is not a whole number from 1")
