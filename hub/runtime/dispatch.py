"""The dispatcher: due runs whose queue has a free slot somewhere get an attempt, then its doorbell is rung.

Published is only what live free slots can take, so a message waits milliseconds and never behind another run.
Which run is next is decided here, in the database; the broker orders nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from hub.engine.run import Dispatch, MarkLate, Run
from hub.errors import ConflictError, HubError, NotFoundError, UnavailableError
from hub.plugins import Loop
from hub.runtime import orchestrator, throttling
from hub.runtime.publish import Publisher
from hub.store import attempts, due, lanes, workers
from hub.store.base import Store, Tx
from hub.store.lanes import Waiting
from hub.store.workers import Opening
from hub.types import SECOND, Actor, Id, Scope

log = logging.getLogger("hub.dispatch")
BATCH = 8
"""Runs of one transaction: about a millisecond each, so that writers wait little."""
SOON_S = 0.01
"""Seconds until a look at what the last batch left over, where it had room for more: what was started goes first."""
ACTOR = Actor("system", "dispatcher")


@dataclass(frozen=True, slots=True)
class Doorbell:
    """A message to ring, once its attempt is committed."""

    scope: Scope
    run_id: Id
    worker_id: Id
    attempt_id: Id
    epoch: int


@dataclass(slots=True)
class Dispatcher:
    """One per upkeep process; any number of processes may run one."""

    store: Store
    publisher: Publisher
    poll: float = 1.0
    _names: set[str] = field(default_factory=set, init=False)
    """The queues that free slots served at the last look: asked for together with what they serve now."""

    def step(self) -> bool | float:
        """Dispatch one batch. True: there may be more; a number: seconds until the next run is due.

        Where the batch has taken every free slot there is nothing to look at: whatever frees one wakes this loop.
        """
        with self.store.read() as tx:
            asked, openings = due.ask_anything(tx, self._names), workers.ask_openings(tx)
            free, is_due = openings(), asked()
            names = {name for opening in free for name in opening.queues}
            if not names <= self._names:
                is_due = due.ask_anything(tx, names)()
            self._names = names
            if not free or not is_due:
                return self._until_due(tx, free)
        # Not one attempt is opened for a broker that is away: its runs stay in line.
        self.publisher.ping_if_idle()
        with self.store.write() as tx:
            taking, lines = workers.ask_openings(tx, lock=True), due.ask_lines(tx, _pairs(free))
            free = taking()
            bells, more = open_attempts(tx, free, lines())
        ring(self.store, self.publisher, bells)
        if more:
            return True
        return SOON_S if 0 < len(bells) < sum(opening.free for opening in free) else False

    def _until_due(self, tx: Tx, free: list[Opening]) -> float:
        when = due.next_due(tx, {name for opening in free for name in opening.queues})
        return self.poll if when is None else min(self.poll, max(0.0, (when - tx.now) / SECOND))

    def loop(self) -> Loop:
        """As an upkeep loop."""
        return Loop("dispatch", self.step, topics=("runs",), interval=self.poll, pace=0.001)


def _pairs(free: Iterable[Opening]) -> set[tuple[Id, str]]:
    return {(opening.workspace_id, name) for opening in free for name in opening.queues}


def _next_lines(tx: Tx, lines: list[due.Line]) -> list[tuple[due.Line, list[Waiting]]]:
    """What waits in the queues, first served first."""
    found = []
    busy = attempts.taken_in_queues(tx) if any(line.slots is not None for line in lines) else {}
    for line in lines:
        left = BATCH if line.slots is None else line.slots - busy.get((line.workspace_id, line.name), 0)
        if line.paused or left <= 0:
            continue
        waits = due.waiting(tx, line, limit=min(left, BATCH))
        if waits:
            found.append((line, waits))
    return found


def open_attempts(tx: Tx, free: list[Opening], among: list[due.Line] | None = None) -> tuple[list[Doorbell], bool]:
    """Open attempts for what is due, at most a batch, in the order of queue priority and then of time: in the queues
    that a free slot serves, or in those of them that are given.

    Also says whether others may be first now: the batch was full, a lane has a next run, or a run was held back by
    its throttle and is not found any more.
    """
    if not free:
        return [], False
    lines = _next_lines(tx, due.lines(tx, _pairs(free)) if among is None else among)
    order = sorted(
        (line.priority, one.at, one.run.id, line.name, one.lane, one) for line, waits in lines for one in waits
    )
    bells: list[Doorbell] = []
    held_back = False
    opened: set[str | None] = set()
    slots = {opening.worker_id: opening for opening in free}
    for *_, queue, lane, one in order[:BATCH]:
        run = one.run
        opening = choose(slots.values(), run.workspace_id, queue)
        # A lane may wait in two queues (its deployment was moved): its next run is left to the next batch, that counts.
        if opening is None or lane in opened:
            continue
        if one.throttle is not None and not throttling.passes(tx, run, one.throttle):
            held_back = True
            continue
        bell = _open(tx, run, opening.worker_id)
        if bell is not None:
            bells.append(bell)
            opened.update({lane} if lane else ())
            lanes.served(tx, run.workspace_id, lane)
            slots[opening.worker_id] = replace(opening, free=opening.free - 1)
    return bells, held_back or bool(opened) or len(bells) == BATCH


def choose(free: Iterable[Opening], workspace_id: Id, queue: str, *, avoid: Id | None = None) -> Opening | None:
    """The worker with most free slots among those that serve the queue; None when there is none."""
    fit = [o for o in free if o.free > 0 and o.workspace_id == workspace_id and queue in o.queues]
    return max(fit, key=lambda o: (o.worker_id != avoid, o.free), default=None)


def _open(tx: Tx, run: Run, worker_id: Id) -> Doorbell | None:
    scope = Scope(run.workspace_id, ACTOR)
    try:
        done = orchestrator.attempt(tx, scope, run.id, Dispatch(worker_id), seen=run)
    except (ConflictError, NotFoundError):
        return None  # cancelled or paused since it was read
    if done is None:
        return None
    return Doorbell(scope, run.id, worker_id, attempts.attempt_id(run.id, done.attempt), done.epoch)


def ring(store: Store, publisher: Publisher, bells: list[Doorbell]) -> None:
    """Ring committed doorbells. Where the broker cannot be reached, put the rest of the runs back in line and say so.

    Raises UnavailableError then, so that the loop backs off.
    """
    for place, bell in enumerate(bells):
        try:
            publisher.ring(bell.worker_id, bell.attempt_id, bell.epoch)
        except UnavailableError as error:
            _put_back(store, bells[place:], error.detail)
            raise


def _put_back(store: Store, bells: list[Doorbell], reason: str) -> None:
    for bell in bells:
        try:
            orchestrator.handle(store, bell.scope, bell.run_id, MarkLate(f"not published: {reason}"))
        except HubError as error:
            # Claimed after all, or cancelled; what is left over the sweeper finds.
            log.info("run %s was not put back in line: %s", bell.run_id, error.detail)
