"""Wait points from outside: answered by people and programs, expired by upkeep; either lets the waiting run go on.

The other half, code that comes to a point and waits, is `executor/waiting.py`. See docs/decisions/014-wait-points.md.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import Any

from hub.engine.run import Resume, Suspend, Transition
from hub.errors import ConflictError, ContentionError
from hub.plugins import Loop
from hub.runtime import orchestrator
from hub.store import events, messages, runs, waits
from hub.store.base import Store, Tx
from hub.store.waits import Point
from hub.types import SECOND, Actor, Id, Scope

log = logging.getLogger("hub.waits")
ACTOR = Actor("system", "waits")
BATCH = 100
_TRIES = 3
_COME = ("event", "message")


def answer(tx: Tx, scope: Scope, point: Point, value: Any, message: str = "") -> bool:
    """Answer an open point with `value` (JSON) and let its run go on. False when it is not open any more."""
    waits.hold_run(tx, point.wakes_run_id)
    late = point.expires_at is not None and point.expires_at <= tx.now and point.kind != "event"
    if late or not waits.settle(tx, scope, point.id, "answered", answer=value, by=str(scope.actor)):
        return False
    _go_on(tx, scope, point, message)
    return True


def give_message(tx: Tx, scope: Scope, point: Point) -> bool:
    """Answer an open point with the oldest message for it, if there is one. The caller holds the point's run."""
    if point.expires_at is not None and point.expires_at <= tx.now:
        return False
    found = messages.take(tx, scope, point.run_id, point.key)
    if found is None:
        return False
    done = waits.settle(tx, scope, point.id, "answered", answer=found["value"], by=found["sent_by"])
    assert done, "a point of a held run was settled by somebody else"
    _go_on(tx, scope, point, f"message {point.key} came")
    return True


def expire(tx: Tx, scope: Scope, point: Point) -> bool:
    """End an open point whose time is over and let its run go on: its code decides what that means."""
    waits.hold_run(tx, point.wakes_run_id)
    if point.expires_at is None or point.expires_at > tx.now or not waits.settle(tx, scope, point.id, "expired"):
        return False
    if point.kind == "input":
        events.append(
            tx, scope, "hub.input.expired", subject=point.run_id, run_id=point.run_id, key=point.key,
            point_id=point.id, expires_at=point.expires_at,
        )  # fmt: skip
    come = f"{point.key} did not come in time"
    _go_on(tx, scope, point, come if point.kind in _COME else f"nobody answered {point.key} in time")
    return True


def _go_on(tx: Tx, scope: Scope, point: Point, message: str) -> None:
    """Wake who waits: a process that does, or the run that left; a run that a person holds stays held."""
    for run_id in dict.fromkeys((point.wakes_run_id, point.run_id)):
        run = runs.get(tx, scope, run_id)
        if run is not None and run.state.name == "Suspended":
            with contextlib.suppress(ConflictError):
                orchestrator.attempt(tx, scope, run_id, Resume(message), seen=run)
    tx.wake("waits")


def leave(
    store: Store, scope: Scope, run_id: Id, signal: Suspend, point_id: Id | None, *, lease_s: float, here: bool = False
) -> Transition:
    """Report that an attempt leaves; at once due again when what it waits for has come meanwhile.

    `here` as in `orchestrator.attempt`, should it have been cancelled. Raises NotFoundError, ConflictError (the rules
    refuse) or ContentionError.
    """
    for _ in range(_TRIES):
        with store.write() as tx:
            waits.hold_run(tx, run_id)
            told = signal if point_id is None or _open(tx, scope, point_id) else _at_once(signal, tx)
            done = orchestrator.attempt(tx, scope, run_id, told, lease_s=lease_s, here=here)
        if done is not None:
            return done
    raise ContentionError(f"run {run_id} was changed by others three times in a row", hint="Try again.")


def _open(tx: Tx, scope: Scope, point_id: Id) -> bool:
    found = waits.get(tx, scope, point_id)
    return found is not None and found.state == "open"


def _at_once(signal: Suspend, tx: Tx) -> Suspend:
    return Suspend(signal.attempt, signal.epoch, "wait", tx.now, "what it waited for came while it left")


@dataclass(frozen=True, slots=True)
class Waits:
    """One per upkeep process; any number may run, a point expires once."""

    store: Store
    interval: float = 1.0

    def step(self) -> bool | float:
        """Expire what has run out. True: there may be more; a number: seconds until the next one does."""
        with self.store.read() as tx:
            found, following, now = waits.run_out(tx, limit=BATCH), waits.next_expiry(tx), tx.now
        for point in found:
            with self.store.write() as tx:
                expire(tx, Scope(point.workspace_id, ACTOR), point)
        if found:
            return len(found) == BATCH
        return self.interval if following is None else min(self.interval, max(0.0, (following - now) / SECOND))

    def loop(self) -> Loop:
        """As an upkeep loop."""
        return Loop("waits", self.step, topics=("waits",), interval=self.interval)
