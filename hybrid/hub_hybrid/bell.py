"""Waiting for commands without a thread for every site: one thread hears the wake-ups and rings for all who wait."""

from __future__ import annotations

import asyncio
import threading
import time

from hub.store.base import Store

_POLL_S = 1.0
_SURELY_S = 10.0
"""How often it rings in case a wake-up was lost; each site that waits then asks the database."""


class Bell:
    """Rings when a command may have been written. Its thread lives only while somebody waits."""

    def __init__(self, store: Store, topic: str = "commands") -> None:
        self._store = store
        self._topic = topic
        self._lock = threading.Lock()
        self._waiting: dict[object, tuple[asyncio.AbstractEventLoop, asyncio.Event]] = {}
        self._thread: threading.Thread | None = None
        self.rings = 0
        """How often it has rung. Who looks for commands remembers this first, and misses none that come meanwhile."""

    async def wait(self, timeout: float, heard: int) -> None:
        """Until it has rung since `heard`, or for `timeout` seconds. It also rings every ten seconds, to be sure."""
        key, rung = object(), asyncio.Event()
        self._join(key, rung)
        try:
            if self.rings == heard:
                async with asyncio.timeout(timeout):
                    await rung.wait()
        except TimeoutError:
            pass
        finally:
            with self._lock:
                self._waiting.pop(key, None)

    def _join(self, key: object, rung: asyncio.Event) -> None:
        with self._lock:
            self._waiting[key] = (asyncio.get_running_loop(), rung)
            if self._thread is None:
                self._thread = threading.Thread(target=self._listen, name="hub-bell", daemon=True)
                self._thread.start()

    def _listen(self) -> None:
        listener = self._store.listen(self._topic)
        self._ring()  # what came before it listened
        rang = time.monotonic()
        try:
            while self._anybody():
                if listener.wait(_POLL_S) or time.monotonic() - rang >= _SURELY_S:
                    self._ring()
                    rang = time.monotonic()
        finally:
            listener.close()

    def _anybody(self) -> bool:
        with self._lock:
            if not self._waiting:
                self._thread = None  # under the lock: the next one who waits starts a new thread
            return bool(self._waiting)

    def _ring(self) -> None:
        with self._lock:
            self.rings += 1
            waiting = list(self._waiting.values())
        for loop, rung in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(rung.set)
