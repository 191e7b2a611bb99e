"""A result store that is gone with its process: for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from hub.resultstores import Kept, ResultMissing, ResultStore
from hub.types import Micros, now_us


class MemoryResults:
    """See ResultStore."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[bytes, Micros]] = {}
        self._lock = threading.Lock()

    def put(self, key: str, data: bytes) -> bool:
        """See ResultStore.put."""
        with self._lock:
            if key in self._kept:
                return False
            self._kept[key] = (bytes(data), now_us())
            return True

    def get(self, key: str) -> bytes:
        """See ResultStore.get."""
        try:
            return self._kept[key][0]
        except KeyError:
            raise ResultMissing(key) from None

    def delete(self, keys: Iterable[str]) -> None:
        """See ResultStore.delete."""
        with self._lock:
            for key in keys:
                self._kept.pop(key, None)

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> Sequence[Kept]:
        """See ResultStore.list."""
        with self._lock:
            keys = sorted(key for key in self._kept if key.startswith(prefix) and key > after)[:limit]
            return [Kept(key, len(self._kept[key][0]), self._kept[key][1]) for key in keys]


if TYPE_CHECKING:
    _fits: type[ResultStore] = MemoryResults
