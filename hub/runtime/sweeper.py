"""The sweeper: makes good what was lost. Doorbells that nobody answered, leases that ran out, processes that died."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from typing import Any

from hub.engine.run import Lose, MarkLate, Redispatch, Release, Signal
from hub.errors import ConflictError, HubError, NotFoundError, UnavailableError
from hub.plugins import Loop
from hub.runtime import orchestrator, process
from hub.runtime.dispatch import Doorbell, choose, ring
from hub.runtime.publish import Publisher
from hub.store import attempts, effects, leaders, workers
from hub.store.base import Store, Tx
from hub.types import SECOND, Actor, Id, Micros, Scope

log = logging.getLogger("hub.sweeper")
ACTOR = Actor("system", "sweeper")
EFFECTS_S = 5.0
"""How often it looks for work that died with its holder."""
MAX_EPOCHS = 3
"""So often one attempt's doorbell is rung before its run goes back in line."""


class Sweeper:
    """One per upkeep process; several do no harm, every change is guarded."""

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        *,
        claim_timeout: float = 5.0,
        lease_renew: float = 10.0,
        interval: float = 1.0,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._claim_timeout = claim_timeout
        self._grace = int((lease_renew + 5) * SECOND)
        self._interval = interval
        self._effects_at = 0.0
        self._looked_at: Micros | None = None
        self._trust_leases_after: Micros = 0

    def step(self) -> bool:
        """Look once at everything that lives by a lease. Never says True: what it mends needs no second look."""
        with self._store.read() as tx:
            trusted = self._leases_mean_something(tx.now)
            gone = [row for row in workers.alive(tx) if worker_gone(row, tx.now, leases=trusted)]
            claimed = [row["id"] for row in attempts.claimed(tx) if lost_because(row, tx.now, leases=trusted)]
            unclaimed = attempts.unclaimed(tx, older_than_s=self._claim_timeout)
            locks = leaders.held(tx)
        for row in gone:
            self._worker_left(row)
        for key in claimed:
            self._lose(key, trusted)
        self._free_dead(locks)
        self._free_effects()
        if unclaimed:
            self._ring_again(unclaimed)
        return False

    def _leases_mean_something(self, now: Micros) -> bool:
        """Not right after a pause of the machine or of the database: those who renew need a moment as well."""
        before, self._looked_at = self._looked_at, now
        if before is not None and not 0 <= now - before < self._grace:
            log.warning("no look at leases for %.0f s: they are given time to be renewed", (now - before) / SECOND)
            self._trust_leases_after = now + self._grace
        return now >= self._trust_leases_after

    def _lose(self, key: Id, leases: bool) -> None:
        """End an attempt as lost, unless it was renewed or has ended since it was looked at."""
        with self._store.write() as tx:
            row = attempts.get(tx, key)
            why = lost_because(row, tx.now, leases=leases) if row is not None and row["state"] == "CLAIMED" else ""
            if row is None or not why:
                return
            with contextlib.suppress(ConflictError, NotFoundError):
                scope = Scope(row["workspace_id"], ACTOR)
                orchestrator.attempt(tx, scope, row["run_id"], Lose(row["number"], row["epoch"], why))

    def _worker_left(self, worker: Mapping[str, Any]) -> None:
        """A worker is gone: what was sent to it goes back in line at once, its queue is removed."""
        with self._store.write() as tx:
            if not workers.leave(tx, worker["id"], lost=True):
                return
            live = attempts.of_worker(tx, worker["id"])
        log.warning("worker %s (%s) is lost", worker["name"], worker["id"])
        for row in live:
            if row["state"] == "PUBLISHED":
                message = f"worker {worker['name']} was lost before it took the run"
                signal(self._store, row, Release(row["number"], row["epoch"], message))
        remove_queue(self._publisher, worker["id"])

    def _ring_again(self, rows: list[dict[str, Any]]) -> None:
        bells: list[Doorbell] = []
        for row in rows:
            with self._store.read() as tx:
                worker_id = _another(tx, row)
            if worker_id is None or row["epoch"] >= MAX_EPOCHS:
                signal(self._store, row, MarkLate(_late(row, worker_id)))
                continue
            if signal(self._store, row, Redispatch(worker_id)):
                scope = Scope(row["workspace_id"], ACTOR)
                bells.append(Doorbell(scope, row["run_id"], worker_id, row["id"], row["epoch"] + 1))
        ring(self._store, self._publisher, bells)

    def _free_dead(self, locks: list[tuple[str, str, Micros]]) -> None:
        """Give back locks that a dead process of this machine holds: its successor need not wait for the lease."""
        for name, holder, _ in locks:
            if process.is_dead(holder):
                with self._store.write() as tx:
                    leaders.give_back(tx, name, holder)

    def _free_effects(self) -> None:
        """Give back work that a dead process of this machine has claimed. At the start and now and then."""
        if time.monotonic() < self._effects_at:
            return
        self._effects_at = time.monotonic() + EFFECTS_S
        with self._store.read() as tx:
            holders = effects.holders(tx)
        for holder in holders:
            if process.is_dead(holder):
                with self._store.write() as tx:
                    effects.give_back(tx, holder)

    def loop(self) -> Loop:
        """As an upkeep loop."""
        return Loop("sweeper", self.step, interval=self._interval)


def worker_gone(row: Mapping[str, Any], now: Micros, *, leases: bool = True) -> bool:
    """Whether a worker's lease ran out or, on this machine, its process has ended."""
    who = process.Identity(row["host"], row["boot_id"], row["pid"], row["pid_started"])
    return (leases and bool(row["lease_until"] < now)) or process.known_dead(who)


def lost_because(row: Mapping[str, Any], now: Micros, *, leases: bool = True) -> str:
    """Why a claimed attempt is lost, as a sentence; empty while it is not."""
    if row["pid"] is not None:
        who = process.Identity(row["host"], row["boot_id"], row["pid"], row["pid_started"])
        if process.known_dead(who):
            return f"its process {row['pid']} on {row['host']} has ended"
    if leases and row["lease_until"] is not None and row["lease_until"] < now:
        return "its lease ran out: nothing was heard from what executed it"
    return ""


def signal(store: Store, row: Mapping[str, Any], what: Signal) -> bool:
    """Give the run of an attempt a signal; False when it had moved on."""
    scope = Scope(row["workspace_id"], ACTOR)
    try:
        orchestrator.handle(store, scope, row["run_id"], what)
    except UnavailableError:
        raise
    except HubError as error:
        log.debug("%s of run %s: %s", type(what).__name__, row["run_id"], error.detail)
        return False
    return True


def remove_queue(publisher: Publisher, worker_id: Id) -> None:
    """Remove what a worker leaves at the broker; what cannot be removed now is empty and harmless."""
    try:
        publisher.remove_queue(worker_id)
    except UnavailableError as error:
        log.info("the queue of worker %s was not removed: %s", worker_id, error.detail)


def _another(tx: Tx, row: Mapping[str, Any]) -> Id | None:
    """Who else can take it; the same worker when it is alive and alone; None when nobody can."""
    free = workers.openings(tx)
    found = choose(free, row["workspace_id"], row["queue"], avoid=row["worker_id"])
    if found is not None:
        return found.worker_id
    same = workers.get(tx, row["worker_id"]) if row["worker_id"] else None
    # Its own slot is the one that this attempt holds.
    return same["id"] if same is not None and same["status"] == "ready" and same["lease_until"] > tx.now else None


def _late(row: Mapping[str, Any], worker_id: Id | None) -> str:
    if worker_id is None:
        return f"no worker with a free slot serves queue {row['queue']!r}"
    return f"its message was sent {row['epoch']} times and nobody took it"
