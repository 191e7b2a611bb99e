"""Proposing a schema from payloads that came: what all of them had is required, what some had is known."""

from __future__ import annotations

from collections.abc import Iterable

from hub.types import Json, JsonObject
from hub.webhooks.catalog import DRAFT, type_of
from hub.webhooks.redaction import REDACTED

MAX_SHAPES = 2_000
MAX_NAMES = 64
"""An object with more names than these is a map from names to values: its names are data."""


def learn(values: Iterable[Json]) -> JsonObject:
    """A schema that all these values fit. Beyond 2,000 places nothing more is described."""
    budget = [MAX_SHAPES]
    shape = _Shape()
    for value in values:
        shape.add(value, budget)
    return {"$schema": DRAFT, **shape.schema()}


class _Shape:
    """What was seen at one place."""

    def __init__(self) -> None:
        self.types: set[str] = set()
        self.is_hidden = False
        self.objects = 0
        self.names: dict[str, _Shape] = {}
        self.counts: dict[str, int] = {}
        self.others: _Shape | None = None
        """Of a map: its values."""
        self.items: _Shape | None = None
        self.is_partial = False
        """Not every name that was seen is among those."""

    def add(self, value: Json, budget: list[int]) -> None:
        """Take a value in."""
        if value == REDACTED:
            self.is_hidden = True  # who knows what stood there
            return
        self.types.add(type_of(value))
        if isinstance(value, list):
            for item in value:
                self.items = self.items or _made(budget)
                if self.items is not None:
                    self.items.add(item, budget)
        elif isinstance(value, dict):
            self.objects += 1
            for name, item in value.items():
                self._add_name(name, item, budget)

    def _add_name(self, name: str, item: Json, budget: list[int]) -> None:
        if self.others is None and name not in self.names and len(self.names) >= MAX_NAMES:
            self._become_map(budget)
        if self.others is not None:
            self.others.add(item, budget)
            return
        shape = self.names.get(name) or _made(budget)
        if shape is None:
            self.is_partial = True
        else:
            self.names[name] = shape
            self.counts[name] = self.counts.get(name, 0) + 1
            shape.add(item, budget)

    def _become_map(self, budget: list[int]) -> None:
        self.others = _Shape()
        for shape in self.names.values():
            self.others.merge(shape)
        budget[0] += len(self.names)
        self.names, self.counts = {}, {}

    def merge(self, other: _Shape) -> None:
        """Take in what was seen at another place."""
        self.types |= other.types
        self.is_hidden = self.is_hidden or other.is_hidden
        self.is_partial = self.is_partial or other.is_partial
        self.objects += other.objects
        for name, shape in other.names.items():
            self.names.setdefault(name, _Shape()).merge(shape)
            self.counts[name] = self.counts.get(name, 0) + other.counts[name]
        if other.items is not None:
            self.items = self.items or _Shape()
            self.items.merge(other.items)
        if other.others is not None:
            self.others = self.others or _Shape()
            self.others.merge(other.others)

    def schema(self) -> JsonObject:
        """As JSON Schema; `{}` takes everything."""
        if self.is_hidden or not self.types:
            return {}
        types = self.types - {"integer"} if "number" in self.types else self.types
        names: list[Json] = [*sorted(types)]
        made: JsonObject = {"type": names[0] if len(names) == 1 else names}
        if self.others is not None:
            made["additionalProperties"] = self.others.schema()
        elif "object" in types:
            made["properties"] = {name: shape.schema() for name, shape in sorted(self.names.items())}
            made["required"] = [name for name in sorted(self.names) if self.counts[name] == self.objects]
            if self.is_partial:
                made["additionalProperties"] = True
        if self.items is not None:
            made["items"] = self.items.schema()
        return made


def _made(budget: list[int]) -> _Shape | None:
    """Another place, as long as there may be more."""
    if budget[0] <= 0:
        return None
    budget[0] -= 1
    return _Shape()
