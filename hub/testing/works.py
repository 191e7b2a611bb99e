"""What upkeep and workers do, done in this process and this thread: everything that is due, until nothing is."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import func, select

from hub.engine.run import Lose, MarkLate
from hub.errors import UsageError
from hub.plugins import Loop, Plugins, load_plugins
from hub.runtime import contributed, dispatch, orchestrator, presets, upkeep
from hub.runtime.attempt import CANCEL_SIGNAL, execute_attempt
from hub.runtime.commands import register_given
from hub.runtime.sequencer import Sequencer
from hub.settings import Settings
from hub.states import StateType
from hub.store import flow_states, runs, waits
from hub.store.base import Store
from hub.store.tables import Schedule, WorkQueue
from hub.store.workers import Opening
from hub.testing.clock import Clock
from hub.types import DEFAULT_WORKSPACE, Actor, Micros, Scope, new_id, now_us

_NOT_HERE = frozenset({"dispatch", "sweeper", "retention", "collector"})
"""Loops of upkeep that are done otherwise here, or not at all."""
_ROUNDS = 10_000
SCOPE = Scope(actor=Actor("local"))


class Works:
    """One store's upkeep and worker. `executes_on`: a store for the attempts alone, which may be another view of it."""

    def __init__(self, store: Store, settings: Settings, clock: Clock, *, executes_on: Store | None = None) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._executes_on = executes_on or store
        self._worker_id = new_id()
        self._sequencer = Sequencer(store)
        self._plugins: Plugins | None = None
        self._loops: list[Loop] = []

    @property
    def plugins(self) -> Plugins:
        """The plugins of this process, loaded when first needed."""
        if self._plugins is None:
            self._plugins = load_plugins(self._settings, process="web", store=self._store)
            presets.install(self._plugins.hooks)
            contributed.install(self._plugins.hooks)
            register_given(self._plugins.hooks.commands())
        return self._plugins

    def settle(self) -> None:
        """Do all that is due now, and what follows from it; waits of runs for a time are jumped over."""
        if not self._loops:
            loops = upkeep.core_loops(self.plugins.context, self._sequencer)
            # Effects first: the events that come of them are then stamped and matched in the same round.
            self._loops = sorted(
                (loop for loop in loops if loop.name not in _NOT_HERE), key=lambda loop: "effects" not in loop.name
            )
        for _ in range(_ROUNDS):
            # No short-circuit: every loop has its turn in every round.
            busy = [loop.step() is True for loop in self._loops]
            if not self.execute() and not any(busy) and not self._jump():
                return
        raise UsageError(f"there was still something to do after {_ROUNDS} rounds", hint="Do flows start each other?")

    def execute(self) -> bool:
        """Execute the runs that are due, one after the other; whether there was one."""
        with self._store.write() as tx:
            queues = tx.conn.execute(select(WorkQueue.__table__.c.name)).scalars()
            opening = Opening(self._worker_id, DEFAULT_WORKSPACE, frozenset(queues), 1)
            bells, more = dispatch.open_attempts(tx, [opening])
        with _signals_kept():
            for bell in bells:
                execute_attempt(self._executes_on, self._settings, bell.attempt_id, bell.epoch)
        return bool(bells) or more

    def work_off(self) -> None:
        """Execute runs until none waits for a time; no upkeep."""
        while self.execute() or self._jump():
            continue

    def recover(self) -> None:
        """What was executed by processes that are dead is lost: it goes back in line, as far as its flow allows."""
        table = runs.TABLE
        alive = [StateType.PENDING.value, StateType.RUNNING.value, StateType.CANCELLING.value]
        columns = (table.c.id, table.c.attempt, table.c.epoch, table.c.state_type)
        with self._store.read() as tx:
            query = select(*columns).where(table.c.state_type.in_(alive), table.c.home == "worker")
            found = tx.conn.execute(query).all()
        for run_id, attempt, epoch, state in found:
            # What nobody had begun costs nothing.
            begun = state != StateType.PENDING.value
            lost = Lose(attempt, epoch, "its process was killed") if begun else MarkLate("nobody took it")
            orchestrator.handle(self._store, SCOPE, run_id, lost)

    def next_due(self) -> Micros | None:
        """When something is next due by itself: a planned time of a schedule, or a run that waits."""
        schedules = Schedule.__table__
        with self._store.read() as tx:
            planned = tx.conn.execute(select(func.min(schedules.c.next_at)).where(schedules.c.active)).scalar()
        return min((at for at in (self._next_run(), self.next_expiry(), planned) if at is not None), default=None)

    def next_expiry(self) -> Micros | None:
        """When the next of those who wait for somebody has waited long enough."""
        with self._store.read() as tx:
            return waits.next_expiry(tx)

    def close(self) -> None:
        """Give back what it holds."""
        self._sequencer.close()

    def _next_run(self) -> Micros | None:
        table = runs.TABLE
        query = select(func.min(table.c.due_at)).where(
            table.c.state_type == StateType.SCHEDULED.value, table.c.home == "worker", table.c.due_at > now_us()
        )
        with self._store.read() as tx:
            times = [tx.conn.execute(query).scalar()]
            queues = tx.conn.execute(select(WorkQueue.__table__.c.name).distinct()).scalars().all()
            times += [flow_states.next_opening(tx, name) for name in queues]
        return min((time for time in times if time is not None), default=None)

    def _jump(self) -> bool:
        """Jump to when the next run is due; schedules are not waited for, since they never end."""
        due = self._next_run() if self._clock.skips else None
        if due is not None:
            self._clock.move_to(due)
        return due is not None


@contextmanager
def _signals_kept() -> Iterator[None]:
    """An attempt in the main thread hears cancels by a signal; afterwards the signal is its owner's again."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: Any = signal.getsignal(CANCEL_SIGNAL)
    try:
        yield
    finally:
        signal.signal(CANCEL_SIGNAL, before)
