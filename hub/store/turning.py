"""A transaction in the thread of an event loop that does not hold the loop up while the server thinks.

What a thread of its own costs: two threads that both want the interpreter wait for each other at every statement, and
a batch of webhooks that takes 2 ms to commit takes 4. A greenlet takes no lock: it runs until it would wait for the
server, the loop goes on, and wakes it when the server's answer is there. The store and what it calls stay the same.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Callable
from typing import Any

import psycopg
from greenlet import getcurrent, greenlet
from psycopg.abc import RV, PQGen
from psycopg.waiting import Ready, Wait

_HERE_S = 0.01
"""For so many seconds in all a turn waits by itself. A loop that goes on at once gets the next requests in twos and
threes, and a commit of two costs half as much as one of thirty."""
_EVENTS = {Wait.R: select.POLLIN, Wait.W: select.POLLOUT, Wait.RW: select.POLLIN | select.POLLOUT}


class Turn(greenlet):
    """Some work in a loop's thread. The loop goes on whenever a `TurningConnection` waits in it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
        super().__init__(work)
        self._loop = loop
        self._left = _HERE_S

    def wait(self, steps: PQGen[RV], descriptor: int) -> RV:
        """Go through the steps of a question to the server; gives its answer."""
        try:
            state = next(steps)
            while True:
                state = steps.send(self._until(descriptor, state))
        except StopIteration as end:
            answer: RV = end.value
            return answer

    def _until(self, descriptor: int, state: Wait) -> Ready:
        """Wait until the socket is ready: here, while this turn has time left, else in the loop, which goes on."""
        if self._left > 0:
            began = time.monotonic()
            poll = select.poll()
            poll.register(descriptor, _EVENTS[state])
            found = poll.poll(self._left * 1000)
            self._left -= time.monotonic() - began
            if found:
                return Ready.R if found[0][1] & ~select.POLLOUT else Ready.W
        return self._in_loop(descriptor, state)

    def _in_loop(self, descriptor: int, state: Wait) -> Ready:
        if state & Wait.R:
            self._loop.add_reader(descriptor, self.switch, Ready.R)
        if state & Wait.W:
            self._loop.add_writer(descriptor, self.switch, Ready.W)
        try:
            assert self.parent is not None
            ready: Ready = self.parent.switch()
        finally:
            if state & Wait.R:
                self._loop.remove_reader(descriptor)
            if state & Wait.W:
                self._loop.remove_writer(descriptor)
        return ready


class TurningConnection(psycopg.Connection[Any]):
    """A connection like any other, but within a `Turn`, where it does not hold up the loop."""

    def wait(self, gen: PQGen[RV], *args: Any, **more: Any) -> RV:
        """See psycopg."""
        turn = getcurrent()
        if isinstance(turn, Turn):
            return turn.wait(gen, self.pgconn.socket)
        return super().wait(gen, *args, **more)
