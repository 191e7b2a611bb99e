"""The loop that looks for what is wrong with the hub and with runs that wait, and raises or ends alerts of it.

One process at a time does it. What is wrong is found anew each time; what fires already is what was told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from hub.plugins import Loop
from hub.runtime import process
from hub.store import leaders
from hub.store.base import Store, Tx
from hub.types import Actor, Id, Scope

from hub_notifications import conditions, facts, firing, sla_ops, slas
from hub_notifications.conditions import Condition
from hub_notifications.rules import AlertEvent

ACTOR = Actor("system", "watching")
LEASE_S = 60.0


@dataclass(slots=True)
class Watching:
    """One per upkeep process; those that do not hold the lock stand by.

    `find` gives all conditions of these `kinds` that hold.
    """

    store: Store
    name: str
    kinds: Collection[str]
    find: Callable[[Tx, Collection[tuple[Id, str]]], Iterable[Condition]]
    interval: float
    holder: str = field(default_factory=process.holder)

    def step(self) -> bool:
        """Look once. Never says that there is more."""
        with self.store.write(durable=False) as tx:
            if leaders.take(tx, self.name, self.holder, lease_s=LEASE_S) is None:
                return False
        with self.store.read() as tx:
            fires = facts.firing(tx, self.kinds)
            new, over = conditions.compare(self.find(tx, fires), fires)
        for key in over:
            self._end(key)
        for one in new:
            self._begin(one)
        return False

    def loop(self) -> Loop:
        """As an upkeep loop."""
        return Loop(self.name, self.step, interval=self.interval)

    def _begin(self, one: Condition) -> None:
        with self.store.write() as tx:
            if leaders.take(tx, self.name, self.holder, lease_s=LEASE_S) is None:
                return
            context = {"run": one.run} if one.run is not None else {}
            told = AlertEvent(
                "firing", one.about, one.occurrence or str(tx.now), one.kind, one.severity, one.title, one.text,
                one.run["id"] if one.run is not None else "", one.labels,
                {**context, **({"to": list(one.to)} if one.to else {})},
            )  # fmt: skip
            firing.fire(tx, Scope(one.workspace_id, ACTOR), told)

    def _end(self, key: tuple[Id, str]) -> None:
        with self.store.write() as tx:
            if leaders.take(tx, self.name, self.holder, lease_s=LEASE_S) is not None:
                firing.resolve_key(tx, Scope(key[0], ACTOR), key[1])


def of_the_hub(store: Store) -> Watching:
    """What looks at the hub itself, and at runs that wait."""
    return Watching(store, "alert-conditions", conditions.KINDS, _found, 15.0)


def of_slas(store: Store) -> Watching:
    """What looks whether SLAs are kept."""
    return Watching(store, "slas", slas.KINDS, lambda tx, _fires: sla_ops.broken(tx), 30.0)


def _found(tx: Tx, fires: Collection[tuple[Id, str]]) -> Iterator[Condition]:
    """All that is wrong now."""
    now = tx.now
    rows = facts.waiting(tx)
    unheld = [row for row in rows if row["lane"] is None and row["throttle"] is None]
    yield from conditions.signatures(facts.refused(tx), set(fires))
    yield from conditions.queues(unheld, facts.served(tx), now)
    yield from conditions.late(rows, now)
    yield from _stuck(tx)
    yield from conditions.lost_workers(facts.lost(tx), facts.last_starts(tx), now)
    yield from conditions.silent_sites(facts.sites(tx), now)
    yield from conditions.dead_deliveries(facts.dead_deliveries(tx), now, facts.enabled_channels(tx))
    yield from conditions.dead_webhooks(facts.dead_webhooks(tx))
    yield from conditions.failing_plugins(facts.plugin_reports(tx), Scope().workspace_id)


def _stuck(tx: Tx) -> Iterator[Condition]:
    for run in facts.watched_runs(tx, tx.now - conditions.STUCK_AT_LEAST):
        idle = tx.now - facts.last_sign(tx, run)
        if conditions.is_stuck(tx.now - run["started_at"], idle, facts.durations(tx, run, last=20)):
            yield conditions.stuck(run, idle, tx.now)
