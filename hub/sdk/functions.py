"""What flows and tasks share: the function behind them, its signature, and how methods are bound."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

from hub.errors import UsageError

_KINDS = {classmethod: "class", staticmethod: "static"}


class Wrapped:
    """A function as the hub calls it. `bound` is the object (or class) of a method, None for a plain function."""

    __slots__ = ("bound", "doc", "fn", "generates", "is_async", "kind", "made_of", "module", "qualname", "signature")

    def __init__(self, given: Any, *, what: str, reserved: frozenset[str] = frozenset()) -> None:
        self.kind = _KINDS.get(type(given), "plain")
        fn = given.__func__ if self.kind != "plain" else given
        _refuse_odd(fn, what)
        self.fn: Callable[..., Any] = fn
        self.bound: Any = None
        self.made_of: Any = None
        """What a task does that is no Python function (`hub.sdk.outside.making.Made`)."""
        streams = inspect.isasyncgenfunction(fn)
        self.is_async = inspect.iscoroutinefunction(fn) or streams
        self.generates = inspect.isgeneratorfunction(fn) or streams
        self.module: str = getattr(fn, "__module__", "") or ""
        self.qualname: str = getattr(fn, "__qualname__", fn.__name__)
        self.doc = fn.__doc__
        self.signature = inspect.signature(fn)
        taken = reserved.intersection(self.signature.parameters)
        if taken:
            raise UsageError(
                f"{what} {self.qualname} has a parameter {sorted(taken)[0]!r}, which the hub uses itself",
                hint="Rename the parameter.",
            )

    @property
    def code(self) -> CodeType:
        """The function's code object."""
        return self.fn.__code__

    @property
    def key(self) -> str:
        """Names the function across processes; the file's stem, as its module is called otherwise in each of them."""
        if self.made_of is not None:
            return f"{_stem(self.made_of.file)}.{self.made_of.name}"
        return f"{_stem(self.code.co_filename)}.{self.qualname}"

    @property
    def description(self) -> str:
        """The first paragraph of the docstring."""
        return inspect.cleandoc(self.doc or "").split("\n\n")[0]

    def bind_to(self, instance: Any, owner: type | None) -> Wrapped | None:
        """The method of `instance`, as attribute access finds it; None when there is nothing to bind."""
        target = owner if self.kind == "class" else None if self.kind == "static" else instance
        if target is None:
            return None
        copy = object.__new__(Wrapped)
        for name in Wrapped.__slots__:
            setattr(copy, name, getattr(self, name))
        copy.bound = target
        return copy

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the function itself."""
        return self.fn(*args, **kwargs) if self.bound is None else self.fn(self.bound, *args, **kwargs)

    def arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by parameter name, defaults filled in, without the object of a method.

        Raises TypeError in Python's own words when they do not fit.
        """
        method = self.bound is not None
        bound = self.signature.bind(*((self.bound, *args) if method else args), **kwargs)
        bound.apply_defaults()
        if method:
            bound.arguments.pop(next(iter(self.signature.parameters)))
        return bound.arguments

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The parameters a caller gives: without the object of a method."""
        items = list(self.signature.parameters.items())
        return dict(items[1:] if self.bound is not None else items)


def _stem(file: str) -> str:
    return file.replace("\\", "/").rpartition("/")[2].removesuffix(".py")


def dashed(name: str) -> str:
    """A function's name as a flow's or task's name."""
    return name.replace("_", "-") if name != "<lambda>" else "lambda"


def _refuse_odd(fn: Any, what: str) -> None:
    if not inspect.isfunction(fn):
        raise UsageError(f"@{what} decorates functions, not {type(fn).__name__}", hint=f"Write @{what} above a def.")
