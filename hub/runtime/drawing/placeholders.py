"""What tasks give while a flow is drawn: a stand-in that knows which tasks it came from, or the author's own value."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, NoReturn

from hub.errors import UsageError

Nodes = frozenset[str]
_DEPTH = 3


class Placeholder:
    """A result that is not known. It may be passed on, taken apart and computed with, but not looked at."""

    __slots__ = ("_hub_nodes", "_hub_task")

    def __init__(self, task: str, nodes: Nodes) -> None:
        self._hub_task = task
        self._hub_nodes = nodes

    def __repr__(self) -> str:
        return f"<{self._hub_task}>"

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __getattr__(self, name: str) -> Placeholder:
        if name.startswith("_"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Placeholder:
        return _joined(self, (*args, *kwargs.values()))

    def __hash__(self) -> int:
        return id(self)


def _joined(one: Placeholder, others: Iterable[Any]) -> Placeholder:
    nodes = [other._hub_nodes for other in others if isinstance(other, Placeholder)]
    return Placeholder(one._hub_task, one._hub_nodes.union(*nodes))


def _wanted(what: str) -> Any:
    def raises(self: Placeholder, *_args: Any) -> NoReturn:
        raise UsageError(
            f"the flow {what} the result of task {self._hub_task}, which is not known while it is drawn",
            hint=f"Give the task a value for that: @task(viz_return_value=...) of {self._hub_task}.",
            code="viz-return-value",
        )

    return raises


for _names, _what in (
    (("__bool__",), "decides by"),
    (("__iter__", "__aiter__", "__next__", "__reversed__"), "iterates over"),
    (("__len__", "__contains__"), "looks into"),
    (
        ("__int__", "__float__", "__complex__", "__index__", "__bytes__", "__fspath__"),
        "needs the value of",
    ),
    (("__enter__", "__aenter__"), "opens"),
):
    for _name in _names:
        setattr(Placeholder, _name, _wanted(_what))
for _name in (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift", "rshift", "radd",
    "rsub", "rmul", "rtruediv", "rfloordiv", "rmod", "rpow", "rmatmul", "rand", "ror", "rxor", "neg", "pos", "abs",
    "invert", "lt", "le", "gt", "ge", "eq", "ne", "getitem", "round",
):  # fmt: skip
    setattr(Placeholder, f"__{_name}__", lambda self, *others: _joined(self, others))


class _Known:
    """Values that know which tasks they came from."""

    _hub_nodes: Nodes = frozenset()


class _Int(int, _Known):
    pass


class _Float(float, _Known):
    pass


class _Str(str, _Known):
    pass


class _Bytes(bytes, _Known):
    pass


_ATOMS: dict[type, type] = {int: _Int, float: _Float, str: _Str, bytes: _Bytes}


class Origins:
    """Which tasks the values that authors gave came from."""

    def __init__(self) -> None:
        # By identity; kept, so that no other object gets the same one.
        self._known: dict[int, tuple[Any, Nodes]] = {}

    def mark(self, value: Any, nodes: Nodes, depth: int = 0) -> Any:
        """The value, or an equal one, as the result of these tasks; what is in lists and the like as well."""
        if type(value) in _ATOMS:
            made = _ATOMS[type(value)](value)
            made._hub_nodes = nodes
            return made
        if value is None or isinstance(value, bool | type):
            return value
        if depth < _DEPTH and type(value) in (list, tuple):
            value = type(value)(self.mark(item, nodes, depth + 1) for item in value)
        elif depth < _DEPTH and type(value) is dict:
            value = {key: self.mark(item, nodes, depth + 1) for key, item in value.items()}
        else:
            value = _copied(value)
        self._known[id(value)] = (value, nodes)
        return value

    def of(self, value: Any) -> Nodes:
        """The tasks that a value came from."""
        if isinstance(value, Placeholder | _Known):
            return value._hub_nodes
        known = self._known.get(id(value))
        return known[1] if known is not None else frozenset()


def _copied(value: Any) -> Any:
    """An object of its own for each call, so that its origin can be told."""
    try:
        return copy.copy(value)
    except Exception:  # noqa: BLE001 - what cannot be copied is shared: its origin is that of the last call
        return value
