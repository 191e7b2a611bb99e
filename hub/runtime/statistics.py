"""The upkeep loop that keeps PostgreSQL's statistics of young tables up to date."""

from __future__ import annotations

from hub.plugins import Loop
from hub.store import statistics
from hub.store.base import Store

INTERVAL_S = 5.0


class Statistics:
    """For PostgreSQL only. Any number may run: one at a time does it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def step(self) -> bool:
        """Look once; there is never more to do at once."""
        with self._store.write() as tx:
            statistics.refresh(tx)
        return False

    def loop(self) -> Loop:
        """As an upkeep loop."""
        return Loop("statistics", self.step, interval=INTERVAL_S)
