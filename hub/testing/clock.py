"""The hub's clock in a test: it goes on as ever, and jumps over what flows and tasks would wait for."""

from __future__ import annotations

import asyncio
import heapq
import math
import threading
from datetime import UTC, datetime, timedelta
from itertools import count

from hub.errors import UsageError
from hub.runtime.executor.passing import Passing, RealTime, let_pass
from hub.types import SECOND, Micros, move_clock, now_us

_SETTLE_S = 0.002
"""Who waits lets so much real time pass before a jump, so that others who are about to wait can say until when."""
_LOOK_S = 0.05
_ANSWER_S = 0.2
Ticket = tuple[Micros, int]


class Clock:
    """`skips`: whether waits of code that the hub executes pass at once. What your own code does takes its time."""

    def __init__(self, *, skips: bool = True) -> None:
        self.skips = skips
        self._moved: Micros = 0
        self._waiting: list[Ticket] = []
        self._numbers = count()
        self._changed = threading.Condition()
        self._before: Passing | None = None
        self._real = RealTime()

    def __repr__(self) -> str:
        return f"<hub.testing.Clock {self.now():%Y-%m-%d %H:%M:%S} UTC, {self.skipped} ahead>"

    def now(self) -> datetime:
        """What time it is for the hub, in UTC."""
        return datetime.fromtimestamp(now_us() / SECOND, UTC)

    @property
    def skipped(self) -> timedelta:
        """How far it is ahead of the wall clock."""
        return timedelta(microseconds=self._moved)

    def move(self, by: timedelta | float) -> None:
        """Move it ahead, by seconds or a timedelta; runs nothing (`hub.advance` does). It never goes back."""
        delta = by if isinstance(by, timedelta) else timedelta(seconds=by)
        if delta < timedelta(0):
            raise UsageError("the hub's clock does not go back", hint="Give a time that lies ahead.")
        self._jump(now_us() + delta // timedelta(microseconds=1))

    def move_to(self, at: Micros) -> None:
        """Move it ahead to a time in microseconds, if that lies ahead."""
        self._jump(at)

    def _jump(self, at: Micros) -> None:
        with self._changed:
            by = at - now_us()
            if by > 0:
                self._moved += by
                move_clock(by)
            self._changed.notify_all()

    # --- what the executor asks -------------------------------------------------------------------------------------

    @property
    def longest(self) -> float:
        """See Passing.longest."""
        return math.inf if self.skips else self._real.longest

    @property
    def look(self) -> float:
        """See Passing.look. So long others have to answer before who waits for them has waited in vain."""
        return _ANSWER_S if self.skips else self._real.look

    def reach(self, at: Micros) -> None:
        """See Passing.reach."""
        if self.skips:
            self._jump(at)

    def here(self, seconds: float, stop: threading.Event) -> None:
        """See Passing.here. Of all who wait, the one with the earliest time moves the clock."""
        if not self.skips:
            return self._real.here(seconds, stop)
        mine = self._join(seconds)
        try:
            while not stop.is_set() and now_us() < mine[0]:
                with self._changed:
                    self._changed.wait(_SETTLE_S if self._first(mine) else _LOOK_S)
                if self._first(mine):
                    self._jump(mine[0])
        finally:
            self._leave(mine)

    async def on_loop(self, seconds: float, stop: threading.Event) -> None:
        """See Passing.on_loop."""
        if not self.skips:
            return await self._real.on_loop(seconds, stop)
        mine = self._join(seconds)
        try:
            while not stop.is_set() and now_us() < mine[0]:
                await asyncio.sleep(_SETTLE_S)
                if self._first(mine):
                    self._jump(mine[0])
        finally:
            self._leave(mine)

    def _join(self, seconds: float) -> Ticket:
        mine = (now_us() + int(seconds * SECOND), next(self._numbers))
        with self._changed:
            heapq.heappush(self._waiting, mine)
        return mine

    def _first(self, mine: Ticket) -> bool:
        return self._waiting[0] == mine

    def _leave(self, mine: Ticket) -> None:
        with self._changed:
            self._waiting.remove(mine)
            heapq.heapify(self._waiting)
            self._changed.notify_all()

    # --- for a while ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Be this process's clock."""
        self._before = let_pass(self)

    def stop(self) -> None:
        """Give the wall clock back."""
        if self._before is not None:
            let_pass(self._before)
            self._before = None
        move_clock(-self._moved)
        self._moved = 0

    def forked(self) -> None:
        """In a forked child: nobody waits here, whatever its parent's threads did."""
        self._waiting, self._changed = [], threading.Condition()
