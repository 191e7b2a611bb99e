"""Stamped events as they come: one reading thread a process, one bounded queue a listener.

A listener first catches up from the database, then lives from its queue. One that cannot keep up is sent away and
comes back with the id of the last message it saw; so memory stays bounded and nothing is skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hub.errors import HubError, UnavailableError
from hub.store import Store, events, stream

log = logging.getLogger("hub.web")

ROOM = 64
BATCH = 500
MAX_LISTENERS = 256


@dataclass(frozen=True, slots=True)
class Batch:
    """Events in order, and the position they follow: a listener that is not there yet fetches what lies between."""

    since: int
    rows: list[dict[str, Any]]


BYE = None
"""What a queue ends with."""


class Subscription:
    """One listener's queue and the event loop it lives on."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Batch | None] = asyncio.Queue(ROOM + 1)
        self.full = False
        self._loop = asyncio.get_running_loop()

    def put(self, batch: Batch | None) -> None:
        """Hand over a batch from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is gone: so is the listener
            self._loop.call_soon_threadsafe(self._put, batch)

    def _put(self, batch: Batch | None) -> None:
        if self.full:
            return
        # The last place is kept for the farewell.
        self.full = batch is BYE or self.queue.qsize() >= ROOM
        self.queue.put_nowait(BYE if self.full else batch)


class Tail:
    """Reads new stamped events once for all listeners; its thread lives as long as there is one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._listeners: set[Subscription] = set()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        """Listen. Raises UnavailableError when there are too many listeners."""
        mine = Subscription()
        with self._lock:
            if len(self._listeners) >= MAX_LISTENERS:
                raise UnavailableError("too many streams are open", hint="Close some, or ask for pages of /events.")
            self._listeners.add(mine)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hub-tail", daemon=True)
                self._thread.start()
        try:
            yield mine
        finally:
            with self._lock:
                self._listeners.discard(mine)

    def close(self) -> None:
        """Say good-bye to every listener."""
        self._tell(BYE)

    def _run(self) -> None:
        with contextlib.closing(self._store.listen("events")) as listener:
            last: int | None = None
            while not self._done():
                try:
                    last, more = self._step(last)
                except HubError as error:
                    log.warning("the event stream waits for the database: %s", error.detail)
                    more = False
                listener.wait(0 if more else 1.0)

    def _step(self, last: int | None) -> tuple[int, bool]:
        """Hand out what is new; says where that ends, and whether there may be more. The first step only looks."""
        with self._store.read() as tx:
            if last is None:
                last = stream.read(tx).seq
                rows = []
            else:
                rows = events.after(tx, seq=last, limit=BATCH)
                if not rows:
                    return last, False
        self._tell(Batch(last, rows))
        return (rows[-1]["seq"] if rows else last), len(rows) == BATCH

    def _tell(self, batch: Batch | None) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener.put(batch)

    def _done(self) -> bool:
        # Under the lock: who subscribes now is either seen here or starts a new thread.
        with self._lock:
            if not self._listeners:
                self._thread = None
            return not self._listeners
