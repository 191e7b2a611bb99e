"""Futures among arguments: found, and replaced by their results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hub.sdk.futures import Future, Futures

_ATOMS = frozenset({type(None), bool, int, float, str, bytes})
_CONTAINERS = frozenset({list, tuple, set, frozenset, Futures})
_DEPTH = 6
_MANY = 100_000


def futures_in(args: tuple[Any, ...], kwargs: dict[str, Any], more: Iterable[Future[Any]] = ()) -> list[Future[Any]]:
    """The futures among arguments, also inside lists, tuples, sets and dicts, each once."""
    found: dict[int, Future[Any]] = {}
    for value in args:
        if type(value) not in _ATOMS:
            _find(value, found, 0)
    for value in kwargs.values():
        if type(value) not in _ATOMS:
            _find(value, found, 0)
    for future in more:
        found[id(future)] = future
    return list(found.values())


def has_futures(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether there is one among the arguments."""
    return bool(futures_in(args, kwargs))


def _find(value: Any, found: dict[int, Future[Any]], depth: int) -> None:
    if isinstance(value, Future):
        found[id(value)] = value
        return
    kind = type(value)
    items: Iterable[Any] = ()
    if kind is dict:
        items = value.values()
    elif kind in _CONTAINERS:
        items = value
    if depth >= _DEPTH or not items or len(value) > _MANY:
        return
    for item in items:
        if type(item) not in _ATOMS:
            _find(item, found, depth + 1)


def replaced(value: Any, depth: int = 0) -> Any:
    """The same value with the results of ended futures in their place; raises what a failed one raised."""
    if isinstance(value, Future):
        return value.result()
    kind = type(value)
    if kind in _ATOMS or depth > _DEPTH:
        return value
    if kind is dict:
        return {key: replaced(item, depth + 1) for key, item in value.items()}
    if kind is Futures:
        return [replaced(item, depth + 1) for item in value]
    if kind in _CONTAINERS:
        return kind(replaced(item, depth + 1) for item in value)
    return value
