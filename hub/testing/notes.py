"""What code under test writes down of its effects: a list in a file, whole lines only, that no kill takes away."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from hub.types import Json


class Notes:
    """JSON values, in the order in which they were added, by this process and by those that were killed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, value: Json) -> None:
        """Write a value down; it is there when this returns."""
        line = json.dumps(value).encode() + b"\n"
        # One write to a file that only grows: threads and processes do not mix their lines.
        place = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(place, line)
        finally:
            os.close(place)

    def clear(self) -> None:
        """Forget them all."""
        self._path.unlink(missing_ok=True)

    def __iter__(self) -> Iterator[Json]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __contains__(self, value: object) -> bool:
        return value in self._all()

    def count(self, value: Json) -> int:
        """How often it was added."""
        return self._all().count(value)

    def __eq__(self, other: object) -> bool:
        return self._all() == (other._all() if isinstance(other, Notes) else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Notes({self._all()})"

    def _all(self) -> list[Json]:
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        return [json.loads(line) for line in text.splitlines()]
