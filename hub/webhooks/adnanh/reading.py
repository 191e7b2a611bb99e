"""Reading a hooks file with the line of every value. JSON is read as the YAML that it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import yaml

from hub.errors import UsageError

MAX_CHARS = 1_048_576
MAX_HOOKS = 200
MAX_NODES = 50_000
MAX_DEPTH = 60


@dataclass(frozen=True, slots=True)
class Node:
    """A value and the line (from 1) it begins in: a text, a list or an object of further nodes."""

    value: Value
    line: int

    def get(self, key: str) -> Node | None:
        """The value of a key; None where there is none, or where this is no object."""
        return self.value.get(key) if isinstance(self.value, dict) else None

    def text(self, key: str) -> str:
        """The text of a key; empty where there is none."""
        found = self.get(key)
        return found.value if found is not None and isinstance(found.value, str) else ""

    def items(self) -> list[Node]:
        """The items of a list; none where this is no list."""
        return self.value if isinstance(self.value, list) else []


Value: TypeAlias = "str | list[Node] | dict[str, Node]"


def read(text: str, origin: str) -> list[Node]:
    """The hooks of a file. Raises UsageError that says what is wrong and where."""
    if len(text) > MAX_CHARS:
        raise UsageError(f"{origin} has more than {MAX_CHARS} characters")
    try:
        composed = yaml.compose(_spaced(text), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        hint = "A file with Go templates is to be rendered first: webhook -template."
        raise UsageError(f"{origin} is neither JSON nor YAML: {_first_lines(error)}", hint=hint) from None
    left = iter(range(MAX_NODES))
    found = _node(composed, origin, left, 0) if composed is not None else Node([], 1)
    if not isinstance(found.value, list) or not all(isinstance(hook.value, dict) for hook in found.value):
        raise UsageError(f"{origin} must be a list of hooks", hint="docs/webhooks.md shows one.")
    if len(found.value) > MAX_HOOKS:
        raise UsageError(f"{origin} has {len(found.value)} hooks, at most {MAX_HOOKS} are taken over at once")
    return found.value


def _spaced(text: str) -> str:
    """JSON may be indented by tabs, which YAML refuses; inside of its texts there are none."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text.replace("\t", " ")


def _node(given: yaml.Node, origin: str, left: Iterator[int], depth: int) -> Node:
    line = given.start_mark.line + 1
    if depth > MAX_DEPTH or next(left, None) is None:
        raise UsageError(f"{origin}, line {line}: it is nested too deep, or holds too many values")
    if isinstance(given, yaml.ScalarNode):
        return Node(str(given.value), line)
    if isinstance(given, yaml.SequenceNode):
        return Node([_node(item, origin, left, depth + 1) for item in given.value], line)
    found: dict[str, Node] = {}
    for key, item in given.value:
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
        if not name or name in found:
            raise UsageError(f"{origin}, line {key.start_mark.line + 1}: a key is written twice, or is no text")
        # Where the key stands is where a reader looks.
        found[name] = Node(_node(item, origin, left, depth + 1).value, key.start_mark.line + 1)
    return Node(found, line)


def _first_lines(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
