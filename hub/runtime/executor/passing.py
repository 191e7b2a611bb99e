"""How time passes for code of a run that waits for a time: really, unless `hub.testing` lets it pass at once."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Protocol

from hub.types import Micros


class Passing(Protocol):
    """Waits until `seconds` have passed on the hub's clock, or `stop` is set."""

    @property
    def longest(self) -> float:
        """Seconds of a long wait after which the clock is looked at again: it may have been set."""

    @property
    def look(self) -> float:
        """Seconds after which who waits for somebody looks by itself whether something has come."""

    def reach(self, at: Micros) -> None:
        """Nothing has come so far for somebody who waits until `at`."""

    def here(self, seconds: float, stop: threading.Event) -> None:
        """In this thread."""

    async def on_loop(self, seconds: float, stop: threading.Event) -> None:
        """On the running loop."""


class RealTime:
    """Seconds take as long as they do."""

    longest = 30.0
    look = 1.0

    def reach(self, at: Micros) -> None:
        """See Passing.reach."""

    def here(self, seconds: float, stop: threading.Event) -> None:
        """See Passing.here."""
        stop.wait(seconds)

    async def on_loop(self, seconds: float, stop: threading.Event) -> None:
        """See Passing.on_loop."""
        until = time.monotonic() + seconds
        while not stop.is_set() and (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 1.0))


passes: Passing = RealTime()


def let_pass(how: Passing) -> Passing:
    """Have time pass in this process as `how` says; gives how it did before."""
    global passes
    before, passes = passes, how
    return before
