"""How much a plane takes at once. A herd of sites that come back together is let in one after the other.

Everything is of one process: a plane of several web processes takes as much in each of them.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from hub.errors import UnavailableError

AT_ONCE = 16
"""Messages of sites that are read and carried out at once; each may have the size of a batch."""
PLACE_S = 10.0
"""Seconds that a message waits for its place; what is not read meanwhile stays with its sender."""
LONGEST_S = 3600


class Busy(UnavailableError):
    """The plane has as much to do as it takes; `retry_after` in seconds."""

    code = "plane-busy"


class Gate:
    """Lets so many sessions begin in a second, and those that are too many know when it is their turn."""

    def __init__(self, rate: float, *, at_once: int = AT_ONCE, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = max(1.0, rate)
        self._clock = clock
        self._lock = threading.Lock()
        self._at = clock()
        self._free, self._line = self._burst, 0.0
        self._places = asyncio.Semaphore(at_once)

    def begin(self) -> None:
        """A session begins. Raises Busy with the seconds until those before it in the line have had their turn."""
        with self._lock:
            now = self._clock()
            passed, self._at = (now - self._at) * self._rate, now
            self._free = min(self._burst, self._free + passed)
            self._line = max(0.0, self._line - passed)
            if self._free >= 1:
                self._free -= 1
                return
            self._line += 1
            wait = min(LONGEST_S, 1 + math.ceil(self._line / self._rate))
        raise Busy("many sites come back at once", hint=f"It is your turn in {wait} s.", retry_after=wait)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Room for one message, waited for. Raises Busy when there is none in time."""
        try:
            async with asyncio.timeout(PLACE_S):
                await self._places.acquire()
        except TimeoutError:
            raise Busy("the plane has too much to do", hint="Send it again.", retry_after=int(PLACE_S)) from None
        try:
            yield
        finally:
            self._places.release()
