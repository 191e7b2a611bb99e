"""Futures among arguments: found, and replaced by their results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hub.errors import UsageError
from hub.sdk.annotations import AllowFailure, Quote
from hub.sdk.futures import Future, Futures
from hub.sdk.futurestream import FutureStream

_ATOMS = frozenset({type(None), bool, int, float, str, bytes})
_CONTAINERS = frozenset({list, tuple, set, frozenset, Futures})
_DEPTH = 6
_MANY = 100_000


class Needs:
    """What arguments ask for before a call: futures to wait for, and values to be put in place of others."""

    __slots__ = ("found", "marked", "strict")

    def __init__(self) -> None:
        self.found: dict[int, Future[Any]] = {}
        self.strict: set[int] = set()
        """Those whose failure matters: not all of their mentions are in `allow_failure`."""
        self.marked = False
        """Whether the arguments (and not only `wait_for`) hold something to be replaced."""

    @property
    def futures(self) -> list[Future[Any]]:
        """All of them, each once, in the order of their mention."""
        return list(self.found.values())

    def forgiven(self, future: Future[Any]) -> bool:
        """Whether the call is to be made although this one failed."""
        return id(future) not in self.strict


NOTHING = Needs()
"""Of a call with plain arguments."""


def needs(args: tuple[Any, ...], kwargs: dict[str, Any], more: Iterable[Any] = ()) -> Needs:
    """What the arguments hold, also inside lists, tuples, sets and dicts; `more` is only waited for."""
    if not (more or kwargs) and _ATOMS.issuperset(map(type, args)):
        return NOTHING
    made = Needs()
    for value in (*args, *kwargs.values()):
        if type(value) not in _ATOMS:
            _find(value, made, 0, strict=True)
    made.marked = made.marked or bool(made.found)
    for value in more:
        _find(value, made, 0, strict=True)
    return made if made.marked or made.found else NOTHING


def futures_in(args: tuple[Any, ...], kwargs: dict[str, Any], more: Iterable[Any] = ()) -> list[Future[Any]]:
    """The futures among arguments, each once."""
    return needs(args, kwargs, more).futures


def _find(value: Any, made: Needs, depth: int, *, strict: bool) -> None:
    if isinstance(value, Future):
        made.found[id(value)] = value
        if strict:
            made.strict.add(id(value))
        return
    kind = type(value)
    items: Iterable[Any] = ()
    if kind is FutureStream:
        raise UsageError(
            "what map over an iterator gives was passed to a task as it is",
            hint="Its futures are given once, as they are taken: pass list(...) of it, or its .result().",
        )
    if kind is dict:
        items = value.values()
    elif kind in _CONTAINERS:
        items = value
    elif kind is Quote or kind is AllowFailure:
        made.marked = True
        if kind is AllowFailure:
            _find(value.value, made, depth, strict=False)
        return
    if depth >= _DEPTH or not items or len(value) > _MANY:
        return
    for item in items:
        if type(item) not in _ATOMS:
            _find(item, made, depth + 1, strict=strict)


def replaced(value: Any, depth: int = 0, *, forgiving: bool = False) -> Any:
    """The same value with the results of ended futures in their place.

    Raises what a failed one raised; where that is forgiven, the exception itself takes its place.
    """
    if isinstance(value, Future):
        return value.result(raise_on_failure=not forgiving)
    kind = type(value)
    if kind in _ATOMS or depth > _DEPTH:
        return value
    if kind is Quote:
        return value.value
    if kind is AllowFailure:
        return replaced(value.value, depth, forgiving=True)
    if kind is dict:
        return {key: replaced(item, depth + 1, forgiving=forgiving) for key, item in value.items()}
    if kind is Futures:
        return [replaced(item, depth + 1, forgiving=forgiving) for item in value]
    if kind in _CONTAINERS:
        return kind(replaced(item, depth + 1, forgiving=forgiving) for item in value)
    return value
