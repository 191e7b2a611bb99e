"""What a keeper does about the attempts its children hold: looks whether they live, and ends those that must end."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, select

from hub.engine.run import Fail, Lose, Release, Signal, Stopped
from hub.errors import HubError
from hub.runtime import orchestrator, process
from hub.settings import Settings
from hub.states import StateType
from hub.store import attempts, runs
from hub.store.base import Store, Tx
from hub.types import SECOND, Actor, Id, Micros, Scope

log = logging.getLogger("hub.keeper")
_TAKEN = ("LOST", "RELEASED")
_MARGIN = 5 * SECOND
"""So long before the last look a run may have ended that this look is the first to see ended: others' clocks."""
_DEADLINE_GRACE = 5.0
"""Seconds that an executor has to end a run over its time by itself."""


@dataclass(slots=True)
class Held:
    """The attempts of one worker. `rows` are those that live, as they were last seen."""

    store: Store
    settings: Settings
    worker_id: Id
    clock: Callable[[], float] = time.monotonic
    rows: list[dict[str, Any]] = field(default_factory=list)
    _asked: dict[Id, float] = field(default_factory=dict)
    _looked: Micros = 0
    _taken: set[Id] = field(default_factory=set)
    """Attempts of runs that ended lately, and were dealt with: they may have begun and ended between two looks."""

    def look(self) -> None:
        """Read the live attempts; end what is dead, cancelled or over its time."""
        with self.store.read() as tx:
            before, self.rows = self.rows, _live(tx, self.worker_id)
            now = tx.now
            lately = _taken_lately(tx, self.worker_id, self._looked or now)
            self._end_taken(tx, {row["id"] for row in before} | (lately - self._taken))
        self._looked, self._taken = now, lately
        for row in self.rows:
            if row["state"] == "CLAIMED" and row["pid"] is not None:
                self._tend(row, now)
        nested = self._nested()
        for row in nested:
            self._cancel_nested(row)
        known = {row["id"] for row in (*self.rows, *nested)}
        self._asked = {key: at for key, at in self._asked.items() if key in known}

    def _end_taken(self, tx: Tx, known: set[Id]) -> None:
        """End the children of those attempts that somebody has taken away since the last look."""
        live, busy = {row["id"] for row in self.rows}, {row["pid"] for row in self.rows}
        for key in known - live:
            row = attempts.get(tx, key)
            if row is None or row["state"] not in _TAKEN or row["pid"] is None or row["pid"] in busy:
                continue
            if process.alive(row["pid"], row["pid_started"]):
                log.warning("run %s was taken away; its process here is ended", row["run_id"])
                end_group(row["pid"])

    def _tend(self, row: Mapping[str, Any], now: Micros) -> None:
        if not process.alive(row["pid"], row["pid_started"]):
            # Its group holds what the flow had started.
            end_group(row["pid"])
            self._report(row, Lose(row["number"], row["epoch"], f"its process {row['pid']} has ended"))
        elif row["run_state"] == StateType.CANCELLING:
            self._cancel(row)
        elif _over_time(row, now):
            end_group(row["pid"])
            message = f"over its timeout of {row['timeout_s']:g} s; its process had to be ended"
            self._report(row, Fail(row["number"], row["epoch"], message, timed_out=True))

    def _cancel(self, row: Mapping[str, Any]) -> None:
        """First ask, then, after the grace, end the child with all it has started."""
        if not self._asked_in_vain(row):
            return
        end_group(row["pid"])
        message = f"it did not end within {self.settings.worker_cancel_grace:g} s; its process was ended"
        self._cancel_below(row)
        self._report(row, Stopped(row["number"], row["epoch"], message))

    def _cancel_nested(self, row: Mapping[str, Any]) -> None:
        """The same of a run that is nested in one of ours, which loses its process, but not its place."""
        outer = next((outer for outer in self.rows if outer["pid"] == row["pid"]), None)
        if outer is None or outer["run_state"] == StateType.CANCELLING or not self._asked_in_vain(row):
            return
        end_group(row["pid"])
        grace = f"{self.settings.worker_cancel_grace:g} s"
        self._cancel_below(row)
        self._report(row, Lose(row["number"], row["epoch"]))
        message = f"{row['run_name']}, nested in it, did not end within {grace} of its cancel; the process was ended"
        self._report(outer, Release(outer["number"], outer["epoch"], message))

    def _asked_in_vain(self, row: Mapping[str, Any]) -> bool:
        """Ask it to end, once; then whether its grace is over."""
        asked = self._asked.get(row["id"])
        if asked is None:
            self._asked[row["id"]] = self.clock()
            process.send(row["pid"], signal.SIGUSR2)
            return False
        return self.clock() - asked >= self.settings.worker_cancel_grace

    def _nested(self) -> list[dict[str, Any]]:
        """Runs that are to be cancelled and execute in our children, nested in runs of ours."""
        here = process.identity()
        pids = [row["pid"] for row in self.rows if row["state"] == "CLAIMED" and row["pid"] is not None]
        if not pids:
            return []
        with self.store.read() as tx:
            given = {"host": here.host, "boot_id": here.boot_id, "pids": pids}
            return [dict(row) for row in tx.conn.execute(_NESTED, given).mappings()]

    def _cancel_below(self, row: Mapping[str, Any]) -> None:
        """What it has begun since its cancel was asked for ends as well."""
        scope = Scope(row["workspace_id"], Actor("system", self.worker_id))
        with self.store.write() as tx:
            orchestrator.cancel_below(tx, scope, row["run_id"], "the run that started it was cancelled")

    def next_deadline(self) -> float | None:
        """When (on the clock) the next cancelled attempt has used up its grace."""
        return min(self._asked.values(), default=None) if self._asked else None

    def renew(self, tx: Tx) -> None:
        """Renew the leases of attempts whose process lives; end the children of those that are no longer ours."""
        alive = [row for row in self.rows if _executes(row)]
        kept = set(attempts.renew(tx, [row["id"] for row in alive], lease_s=self.settings.lease))
        for row in alive:
            if row["id"] not in kept and _taken_away(tx, row["id"]):
                log.warning("run %s was given to somebody else; its process here is ended", row["run_id"])
                end_group(row["pid"])

    def give_back(self, message: str) -> None:
        """Hand every live attempt back unharmed."""
        self._all(lambda row: Release(row["number"], row["epoch"], message))

    def lose(self, message: str) -> None:
        """End every attempt that executed as lost; what nobody had taken goes back unharmed."""
        self._all(lambda row: (Lose if row["state"] == "CLAIMED" else Release)(row["number"], row["epoch"], message))

    def release_unclaimed(self, message: str) -> None:
        """Hand back what was sent here and not taken."""
        with self.store.read() as tx:
            rows = [row for row in _live(tx, self.worker_id) if row["state"] == "PUBLISHED"]
        for row in rows:
            self._report(row, Release(row["number"], row["epoch"], message))

    def _all(self, what: Callable[[Mapping[str, Any]], Signal]) -> None:
        with self.store.read() as tx:
            rows = _live(tx, self.worker_id)
        for row in rows:
            self._report(row, what(row))
        self.rows = []

    def _report(self, row: Mapping[str, Any], what: Signal) -> None:
        scope = Scope(row["workspace_id"], Actor("system", self.worker_id))
        try:
            orchestrator.handle(self.store, scope, row["run_id"], what)
        except HubError as error:
            # It ended, or somebody else said it first; a database that is away hears it at the next look.
            log.debug("%s of run %s: %s", type(what).__name__, row["run_id"], error.detail)


def end_group(pid: int) -> None:
    """Kill a child and the processes that its flow has started."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


_COLUMNS = (*attempts.TABLE.c, runs.TABLE.c.state_type.label("run_state"), runs.TABLE.c.timeout_s)
_LIVE = (
    select(*_COLUMNS)
    .select_from(attempts.TABLE.join(runs.TABLE, runs.TABLE.c.id == attempts.TABLE.c.run_id))
    .where(attempts.TABLE.c.worker_id == bindparam("worker"), attempts.IS_LIVE)
)

_LATELY = (
    select(attempts.TABLE.c.id)
    .select_from(runs.TABLE.join(attempts.TABLE, attempts.TABLE.c.run_id == runs.TABLE.c.id))
    .where(
        runs.TABLE.c.ended_at >= bindparam("since"),
        attempts.TABLE.c.worker_id == bindparam("worker"),
        attempts.TABLE.c.state.in_(_TAKEN),
    )
)

_NESTED = (
    select(*attempts.TABLE.c, runs.TABLE.c.name.label("run_name"))
    .select_from(attempts.TABLE.join(runs.TABLE, runs.TABLE.c.id == attempts.TABLE.c.run_id))
    .where(
        attempts.IS_LIVE,
        attempts.TABLE.c.worker_id.is_(None),
        attempts.TABLE.c.host == bindparam("host"),
        attempts.TABLE.c.boot_id == bindparam("boot_id"),
        attempts.TABLE.c.pid.in_(bindparam("pids", expanding=True)),
        runs.TABLE.c.state_type == StateType.CANCELLING.value,
    )
)


def _live(tx: Tx, worker_id: Id) -> list[dict[str, Any]]:
    return [dict(row) for row in tx.conn.execute(_LIVE, {"worker": worker_id}).mappings()]


def _taken_lately(tx: Tx, worker_id: Id, since: Micros) -> set[Id]:
    return set(tx.conn.execute(_LATELY, {"worker": worker_id, "since": since - _MARGIN}).scalars())


def _executes(row: Mapping[str, Any]) -> bool:
    return row["state"] == "CLAIMED" and row["pid"] is not None and process.alive(row["pid"], row["pid_started"])


def _over_time(row: Mapping[str, Any], now: Micros) -> bool:
    if row["timeout_s"] is None or row["claimed_at"] is None:
        return False
    return bool(now > row["claimed_at"] + int((row["timeout_s"] + _DEADLINE_GRACE) * SECOND))


def _taken_away(tx: Tx, key: Id) -> bool:
    row = attempts.get(tx, key)
    return row is not None and row["state"] in _TAKEN
