"""Telling plugins of the states that task runs have entered: after the commit, in order, at least once.

The rows that the history of runs is made of are the outbox; where no plugin wants to know, nobody reads them, and most
are not even written (see `hub.states.DONE`). How far they were told is kept, and moves on after the plugins were
called.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select

from hub.plugins import Context, Loop
from hub.runtime import process
from hub.store import leaders, raw, run_details
from hub.store.base import Store, Tx
from hub.store.tables import SiteValue, StateRow
from hub.store.tasks import LISTENER

log = logging.getLogger("hub.tasks")
BATCH = 500
TRIES = 8
GAP_S = 15.0
"""A row may be committed after one with a higher number: so long is waited for a number that is missing."""
_LEASE_S = 60.0
_STATES = StateRow.__table__
_VALUES = SiteValue.__table__
_TASK = ("id", "run_id", "task_name", "name", "attempt", "state_type", "state_name", "started_at", "ended_at")
_STATE = ("type", "name", "message", "attempt", "at")


@dataclass(slots=True)
class TaskStates:
    """One per upkeep process; one of them at a time tells the plugins of its process."""

    ctx: Context
    interval: float = 1.0
    holder: str = field(default_factory=process.holder)
    _missing: tuple[int, float] = (0, 0.0)
    """The last number before one that is missing, and since when that is known."""
    _tries: int = 0

    def step(self) -> bool:
        """Tell of the next ones; True when there may be more."""
        store: Store = self.ctx.store
        with store.read() as tx:
            at = _position(tx)
            rows = [] if at is None else _after(tx, at)
            if at is not None and not rows and at <= _last(tx):
                return False
        with store.write(durable=False) as tx:
            if leaders.take(tx, LISTENER, self.holder, lease_s=_LEASE_S) is None:
                return False
            if at is None or not rows:  # the first time, or all that was told is past its retention
                _move(tx, _last(tx))
                return False
        settled = list(self._settled(rows, at))
        if settled and self._tell(store, settled):
            with store.write(durable=False) as tx:
                _move(tx, settled[-1]["id"])
            return len(settled) == BATCH
        return False

    def loop(self) -> Loop:
        """As an upkeep loop."""
        return Loop(LISTENER, self.step, interval=self.interval)

    def _settled(self, rows: Sequence[Mapping[str, Any]], at: int) -> Iterator[Mapping[str, Any]]:
        """Those before which nothing can still appear."""
        for row in rows:
            if row["id"] != at + 1:
                if self._missing[0] != at:
                    self._missing = (at, time.monotonic())
                if time.monotonic() - self._missing[1] < GAP_S:
                    return
            at = row["id"]
            yield row

    def _tell(self, store: Store, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Whether it is done: a plugin of the hub's own that fails is tried again, others are told of where listed."""
        with store.read() as tx:
            changes = list(_changes(tx, rows))
        failed = [result for result in self.ctx.hooks.task_state(changes) if not result.ok] if changes else []
        own = [f"{result.plugin}: {result.error}" for result in failed if result.plugin in self.ctx.hooks.trusted]
        self._tries = self._tries + 1 if own else 0
        if own and self._tries < TRIES:
            return False
        if own:
            log.error("states of %d tasks were not told: %s", len(changes), "; ".join(own))
            self._tries = 0
        return True


def _changes(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    mine = [row for row in rows if row["task_run_id"] is not None]
    ids = {row["task_run_id"] for row in mine}
    tasks = {task["id"]: task for task in raw.select_many(tx, run_details.TASKS, _TASK, "id", ids)}
    for row in mine:
        if row["task_run_id"] in tasks:  # else past its retention
            yield {"task": dict(tasks[row["task_run_id"]]), "state": {name: row[name] for name in _STATE}}


def _after(tx: Tx, at: int) -> list[dict[str, Any]]:
    names = ("id", "task_run_id", *_STATE)
    return raw.select_rows(tx, _STATES, names, {}, guard="id > ?", also=(at,), tail=f"ORDER BY id LIMIT {BATCH}")


def _last(tx: Tx) -> int:
    return int(tx.conn.execute(select(func.max(_STATES.c.id))).scalar() or 0)


def _position(tx: Tx) -> int | None:
    found = tx.conn.execute(select(_VALUES.c.value).where(_VALUES.c.name == LISTENER)).scalar()
    return None if found is None else int(found["id"])


def _move(tx: Tx, at: int) -> None:
    tx.upsert(_VALUES, {"name": LISTENER, "value": {"id": at}}, keys=["name"])
