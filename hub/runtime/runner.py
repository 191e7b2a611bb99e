"""Upkeep loops, all of one shape: a step that is called when woken, after work, and at an interval.

A step that fails is logged and called again after a pause that grows; it never ends the loop, and one loop never
holds up another. What the loops of this process did last is written to the database, for `/readyz`.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from hub.errors import UnavailableError
from hub.plugins import Loop
from hub.runtime import process
from hub.store import leaders
from hub.store.base import Store, Tx
from hub.types import Micros, new_id

log = logging.getLogger("hub.upkeep")
LONGEST_PAUSE_S = 30.0
BEAT_S = 10.0
"""How often a process notes that its loops go round."""
STUCK_S = 120.0
"""A step that takes longer than that is not counted as going round."""
_BEAT = "upkeep/"


@dataclass(slots=True)
class _Driven:
    """A loop and what is known of it in this process."""

    loop: Loop
    event: threading.Event = field(default_factory=threading.Event)
    failures: int = 0
    last_round: float = field(default_factory=time.monotonic)
    problem: str = ""


class Runner:
    """Runs loops, each in a thread of its own, until it is stopped."""

    def __init__(self, store: Store, loops: Iterable[Loop]) -> None:
        self._store = store
        self._driven = [_Driven(loop) for loop in loops]
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._name = f"{_BEAT}{new_id()}"

    def start(self) -> None:
        """Start all loops, the thread that hears wake-ups, and the one that notes the heartbeat."""
        named = [(f"loop {driven.loop.name}", self._drive, driven) for driven in self._driven]
        for name, target, driven in named:
            self._threads.append(threading.Thread(target=target, args=(driven,), name=name, daemon=True))
        self._threads.append(threading.Thread(target=self._listen, name="wake-ups", daemon=True))
        self._threads.append(threading.Thread(target=self._beat, name="heartbeat", daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 10.0) -> list[str]:
        """Let every loop end its step; gives the names of threads that did not within `timeout` seconds."""
        self._stop.set()
        for driven in self._driven:
            driven.event.set()
        with contextlib.suppress(Exception):  # the listener hears it now, or notices in a few seconds
            self._store.wake({topic for driven in self._driven for topic in driven.loop.topics})
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._note(gone=True)
        return [thread.name for thread in self._threads if thread.is_alive()]

    def problems(self) -> dict[str, str]:
        """What is wrong with which loop now."""
        late = {
            driven.loop.name: f"its step takes over {STUCK_S:.0f} s"
            for driven in self._driven
            if time.monotonic() - driven.last_round > STUCK_S + driven.loop.interval
        }
        return {**{d.loop.name: d.problem for d in self._driven if d.problem}, **late}

    # --- threads ---------------------------------------------------------------------------------------------------

    def _drive(self, driven: _Driven) -> None:
        while not self._stop.is_set():
            driven.event.clear()
            began = time.monotonic()
            wait = self._round(driven)
            driven.last_round = time.monotonic()
            woken = wait > 0 and driven.event.wait(wait)
            rest = max(began + driven.loop.pace - time.monotonic(), driven.loop.linger if woken else 0.0)
            if rest > 0:
                self._stop.wait(rest)

    def _round(self, driven: _Driven) -> float:
        """One step; gives the seconds until the next."""
        try:
            worked = driven.loop.step()
        except Exception as error:  # noqa: BLE001 - whatever a step raises, its loop goes on
            driven.failures += 1
            driven.problem = _complain(driven, error)
            pause = min(0.1 * 2**driven.failures, LONGEST_PAUSE_S)
            # A wake-up must not shorten the pause: the event is set again and again by what cannot be done now.
            self._stop.wait(pause * random.uniform(0.8, 1.2))  # noqa: S311 - spreads retries, hides nothing
            return 0.0
        driven.failures, driven.problem = 0, ""
        if worked is True:
            return 0.0
        return driven.loop.interval if worked is False else min(float(worked), driven.loop.interval)

    def _listen(self) -> None:
        """One listener for all loops of the process."""
        topics = {topic for driven in self._driven for topic in driven.loop.topics}
        if not topics:
            return
        while not self._stop.is_set():
            try:
                self._hear(topics)
            except Exception as error:  # noqa: BLE001 - polling goes on without it
                log.warning("wake-ups are not heard, loops poll: %s", error)
                self._stop.wait(1.0)

    def _hear(self, topics: set[str]) -> None:
        listener = self._store.listen(*topics, own=self._wake)
        try:
            while not self._stop.is_set():
                self._wake(listener.wait(5.0))
        finally:
            listener.close()

    def _wake(self, heard: frozenset[str]) -> None:
        for driven in self._driven if heard else ():
            if heard.intersection(driven.loop.topics):
                driven.event.set()

    def _beat(self) -> None:
        while not self._stop.is_set():
            self._note()
            self._stop.wait(BEAT_S)

    def _note(self, *, gone: bool = False) -> None:
        try:
            with self._store.write() as tx:
                if gone:
                    leaders.forget(tx, self._name)
                elif not self.problems():
                    leaders.take(tx, self._name, process.holder(self._name), lease_s=3 * BEAT_S)
        except Exception as error:  # noqa: BLE001 - the next beat comes
            log.warning("the heartbeat was not noted: %s", error)


def _complain(driven: _Driven, error: Exception) -> str:
    """Log a failed step: in full at first, then at every doubling, so that an outage does not fill the disk."""
    if driven.failures & (driven.failures - 1) == 0:
        if isinstance(error, UnavailableError):
            log.warning("loop %s waits: %s", driven.loop.name, error.detail)
        else:
            log.error("loop %s failed %d times", driven.loop.name, driven.failures, exc_info=error)
    return getattr(error, "detail", None) or f"{type(error).__name__}: {error}"


def heartbeats(tx: Tx) -> list[Micros]:
    """Until when each upkeep process that goes round is taken to be alive; empty: nothing does upkeep."""
    return [until for name, _, until in leaders.held(tx) if name.startswith(_BEAT)]


def clear_old(tx: Tx, *, before: Micros) -> int:
    """Forget heartbeats of processes that were killed."""
    return leaders.forget_old(tx, _BEAT, before=before)
