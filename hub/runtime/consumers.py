"""The consumers of an upkeep process: one for each source, wherever it runs, by a lock with a lease."""

from __future__ import annotations

import time

from hub.plugins import Loop
from hub.runtime import process
from hub.runtime.consuming import SourceConsumer
from hub.store import consumers, leaders
from hub.store.base import Store, Tx
from hub.types import Id, Micros

INTERVAL_S = 2.0
LEASE_S = 20.0
RENEW_S = 5.0
MOST = 200
"""Consumers of one process, each a thread and a connection."""


class Consumers:
    """One per upkeep process. A source whose consumer another process has is left to it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # Names the process, so that its death gives the locks back at once.
        self._holder = process.holder()
        self._running: dict[Id, SourceConsumer] = {}
        self._renewed = 0.0

    def step(self) -> bool:
        """Start, renew and end what is to be; never True."""
        with self._store.read() as tx:
            wanted = {row["id"] for row in consumers.wanted(tx)}
            others = {name for name, holder, _ in leaders.held(tx) if holder != self._holder}
        for source_id in self._running.keys() - wanted:
            self._end(source_id, timeout=0.0)
        free = sorted(source_id for source_id in wanted if consumers.LOCK + source_id not in others)
        due = time.monotonic() - self._renewed >= RENEW_S
        asked = [source_id for source_id in free if due or source_id not in self._running]
        held = self._take(asked) if asked else set()
        for source_id in self._running.keys() & (set(asked) - held | wanted - set(free)):
            self._running.pop(source_id).abandon()  # this process slept too long, and another has it
        for source_id in held:
            self._run(source_id)
        return False

    def _take(self, source_ids: list[Id]) -> set[Id]:
        room = MOST - len(self._running)
        fresh = [source_id for source_id in source_ids if source_id not in self._running][: max(0, room)]
        mine = [source_id for source_id in source_ids if source_id in self._running]
        with self._store.write(durable=False) as tx:
            held = {one for one in mine + fresh if leaders.take(tx, _lock(one), self._holder, lease_s=LEASE_S)}
        if mine:
            self._renewed = time.monotonic()
        return held

    def _run(self, source_id: Id) -> None:
        mine = self._running.get(source_id)
        if mine is None or not mine.alive():
            self._running[source_id] = SourceConsumer(self._store, source_id)
            self._running[source_id].start()

    def _end(self, source_id: Id, *, timeout: float) -> None:
        """Stop one; its lock is given back once its thread has ended."""
        consumer = self._running[source_id]
        consumer.stop()
        if consumer.join(timeout):
            del self._running[source_id]
            with self._store.write(durable=False) as tx:
                leaders.give_back(tx, _lock(source_id), self._holder)

    def alive(self) -> set[Id]:
        """The sources that this process consumes for."""
        return {source_id for source_id, consumer in self._running.items() if consumer.alive()}

    def close(self, timeout: float = 8.0) -> None:
        """Stop all, and let other processes go on at once."""
        for consumer in self._running.values():
            consumer.stop()
        deadline = time.monotonic() + timeout
        for source_id in list(self._running):
            self._end(source_id, timeout=deadline - time.monotonic())

    def loop(self) -> Loop:
        """As an upkeep loop."""
        return Loop("consumers", self.step, topics=("sources",), interval=INTERVAL_S)


def _lock(source_id: Id) -> str:
    return consumers.LOCK + source_id


def clear_old(tx: Tx, *, before: Micros) -> int:
    """Forget the locks of sources that have not consumed since."""
    return leaders.forget_old(tx, consumers.LOCK, before=before)
