"""A YAML text as values, with the line and column of each of them.

YAML as editors check it: `yes`, `on` and `off` are texts, so are dates and `12:30`; numbers are decimal. Anchors,
aliases and merge keys (`<<`) are read; what they expand to is bounded like the rest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import yaml

from hub.runtime.definitions.faults import Fault, Path

MAX_BYTES = 1_000_000
MAX_VALUES = 100_000
MAX_DEPTH = 60
_INT = re.compile(r"[-+]?[0-9]{1,18}\Z")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]{1,3})?\Z")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}
_MERGE = "<<"
_TAGS = frozenset({"str", "int", "float", "bool", "null", "timestamp", "merge", "value", "map", "seq"})


class Place(NamedTuple):
    """Line and column, both from 1."""

    line: int
    column: int


START = Place(1, 1)
Places: TypeAlias = dict[tuple[str, ...], Place]


@dataclass(slots=True)
class Text:
    """What a text says: its value, where the key (or item) of each part of it stands, and what is wrong with it."""

    value: Any = None
    places: Places = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def place(self, path: Path) -> Place:
        """Where something stands; of what is not there itself, what would hold it."""
        words = tuple(map(str, path))
        return next((self.places[words[:end]] for end in range(len(path), -1, -1) if words[:end] in self.places), START)


def read(text: str) -> Text:
    """Read one document. Everything that is wrong is among the faults; what could be read is the value."""
    found = Text()
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        found.faults.append(Fault((), f"the file is larger than {MAX_BYTES} bytes", "Split it into several projects."))
        return found
    try:
        # Only nodes are made of it: no tag of the file can name a Python object.
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        found.places[()] = Place(mark.line + 1, mark.column + 1) if mark else START
        found.faults.append(Fault((), f"this is not YAML: {error.problem or error}", _hint_of(str(error.problem))))
        return found
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        found.faults.append(Fault((), f"this is not YAML: {' '.join(str(error).split())[:200]}"))
        return found
    found.places[()] = START
    if node is not None:
        found.value = _Reader(found).value(node, (), 0)
    return found


def plain(text: str) -> Any:
    """What a scalar without quotes means."""
    word = text.lower() if text in ("Null", "NULL", "True", "TRUE", "False", "FALSE") else text
    if word in _WORDS:
        return _WORDS[word]
    if _INT.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text


class _Reader:
    def __init__(self, found: Text) -> None:
        self._found = found
        self._left = iter(range(MAX_VALUES))
        self._over = False

    def value(self, node: yaml.Node, path: Path, depth: int) -> Any:
        if self._over:
            return None
        if depth > MAX_DEPTH or next(self._left, None) is None:
            self._over = True
            self._fault(path, "it is nested too deep, or holds too many values", f"{MAX_VALUES} are read, of one file.")
            return None
        if node.tag.removeprefix("tag:yaml.org,2002:") not in _TAGS:
            self._fault(path, f"the tag {node.tag} is not read here", "Write the value itself.")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, (*path, number), depth) for number, item in enumerate(node.value)]
        return self._mapping(node, path, depth)

    def _item(self, node: yaml.Node, path: Path, depth: int) -> Any:
        self._note(path, node)
        return self.value(node, path, depth + 1)

    def _mapping(self, node: yaml.Node, path: Path, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, item in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == _MERGE and key.style is None:
                merged = {**self._merged(item, path, depth), **merged}
                continue
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            below = (*path, name)
            if not name:
                self._note(below, key)
                self._fault(below, "a key is a text, and not empty")
            elif name in made:
                first = self._found.place(below).line
                told = f"the key {name!r} is written twice, first in line {first}"
                at = (key.start_mark.line + 1, key.start_mark.column + 1)
                self._found.faults.append(Fault(below, told, "Remove one of them.", at))
            else:
                self._note(below, key)
                made[name] = self.value(item, below, depth + 1)
        return {**merged, **made}

    def _merged(self, node: yaml.Node, path: Path, depth: int) -> dict[str, Any]:
        """What `<<` takes over; of several the first wins."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        made: dict[str, Any] = {}
        for one in nodes:
            if not isinstance(one, yaml.MappingNode):
                self._fault(path, "`<<` takes over a mapping, such as *base")
                continue
            made = {**self._mapping(one, path, depth + 1), **made} if not self._over else made
        return made

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text = str(node.value)
        if "\x00" in text:
            self._fault(path, "it holds a NUL character")
        if node.style is not None:
            return text
        found = plain(text)
        if isinstance(found, float) and not math.isfinite(found):
            self._fault(path, f"{text[:40]} is too large a number")
        return found

    def _note(self, path: Path, node: yaml.Node) -> None:
        self._found.places.setdefault(
            tuple(map(str, path)), Place(node.start_mark.line + 1, node.start_mark.column + 1)
        )

    def _fault(self, path: Path, message: str, hint: str = "") -> None:
        self._found.faults.append(Fault(path, message, hint))


def _hint_of(problem: str) -> str:
    if "\\t" in problem:
        return "Indent with spaces."
    return "A text that holds `: `, ` #` or begins with one of {[*&!%@ stands in quotes."


def sections_of(value: Any) -> Iterator[tuple[str, Any]]:
    """The parts of a document, without those that only hold anchors (`x-...`)."""
    if isinstance(value, Mapping):
        yield from ((name, part) for name, part in value.items() if not name.startswith("x-"))
