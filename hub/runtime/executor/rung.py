"""Waiting to be woken from another process, in a thread or on the user's own loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

_SLICE_S = 0.25
"""An interruption of the thread is met within this time."""


class Rung:
    """Set when somebody who waits should look again; `stop` ends the wait, too."""

    def __init__(self, stop: threading.Event) -> None:
        self.stop = stop
        self._event = threading.Event()
        self._then: Callable[[], object] | None = None

    def ring(self) -> None:
        """Called by the bell's thread."""
        self._event.set()
        then = self._then
        if then is not None:
            then()

    @property
    def rang(self) -> bool:
        """Whether it rang since it was cleared."""
        return self._event.is_set()

    def clear(self) -> None:
        """Before one looks."""
        self._event.clear()

    def wait(self, seconds: float) -> None:
        """In this thread."""
        end = time.monotonic() + seconds
        while not self.stop.is_set() and (left := end - time.monotonic()) > 0:
            if self._event.wait(min(left, _SLICE_S)):
                return

    async def wait_on_loop(self, seconds: float) -> None:
        """On the running loop."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(woken.set)

        self._then = wake
        try:
            if not self._event.is_set():
                async with asyncio.timeout(seconds):
                    await woken.wait()
        except TimeoutError:
            pass
        finally:
            self._then = None


class Heard:
    """The effect of waiting for the bell."""

    __slots__ = ("rung", "seconds")

    def __init__(self, rung: Rung, seconds: float) -> None:
        self.rung = rung
        self.seconds = seconds

    def here(self) -> None:
        """See Effect.here."""
        self.rung.wait(self.seconds)

    async def on_loop(self) -> None:
        """See Effect.on_loop."""
        await self.rung.wait_on_loop(self.seconds)
