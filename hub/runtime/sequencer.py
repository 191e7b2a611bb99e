"""The sequencer: gives committed events their place in the stream, one process at a time.

PostgreSQL commits out of order: a position taken at the insert could become visible after a higher one was read.
So writers insert without a position, and whoever holds the lock stamps what is committed. Links, streams of
events and automations read stamped rows only.
"""

from __future__ import annotations

from hub.plugins import Loop
from hub.runtime import process
from hub.store import leaders, stream
from hub.store.base import Store

LOCK = "sequencer"
LEASE_S = 10.0
BATCH = 1000


class Sequencer:
    """One per upkeep process; those that do not hold the lock stand by."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # Names the process, so that its death gives the lock back at once.
        self._holder = process.holder()

    def step(self) -> bool:
        """Stamp one batch. True when there was something to stamp and this process may."""
        with self._store.read() as tx:
            if not stream.unstamped(tx):
                return False
        with self._store.write() as tx:
            return stream.stamp(tx, holds=leaders.ask(tx, LOCK, self._holder, lease_s=LEASE_S), limit=BATCH) > 0

    def close(self) -> None:
        """Let another process go on at once."""
        with self._store.write() as tx:
            leaders.give_back(tx, LOCK, self._holder)

    def loop(self, interval: float = 1.0) -> Loop:
        """As an upkeep loop."""
        return Loop("sequencer", self.step, topics=("stamp",), interval=interval, pace=0.05)
