"""A deployment with flow control on a real store, and a clock that a test moves: what properties are tried on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hub.engine.run import Cancel, Claim, Complete
from hub.errors import ConflictError
from hub.runtime import dispatch
from hub.runtime.cancelling import CancelOn
from hub.runtime.commands import Command, apply
from hub.runtime.commands.runs import CreateRun, create
from hub.runtime.orchestrator import attempt
from hub.states import StateType
from hub.store import Store, due, events, runs
from hub.store.tables import Event
from hub.store.workers import Opening
from hub.types import SECOND, Id, Micros, Scope, new_id, now_us
from sqlalchemy import select

SCOPE = Scope()
EVENTS: Any = Event.__table__
GAPS = [
    0,
    1,
    SECOND,
    3 * SECOND - 1,
    3 * SECOND,
    5 * SECOND,
    10 * SECOND - 1,
    10 * SECOND,
    10 * SECOND + 1,
    25 * SECOND,
]
"""Steps of the clock, at and around the 10 seconds that the controls of these tests are set to."""


@dataclass
class World:
    """One deployment. Times are microseconds since the beginning of the story (`at`)."""

    store: Store
    controls: dict[str, Any]
    deployment: dict[str, Any] = field(default_factory=dict)
    name: str = field(default_factory=lambda: f"d-{new_id()[-12:]}")
    began: Micros = field(default_factory=now_us)
    at: Micros = 0

    def __post_init__(self) -> None:
        args = {"name": self.name, "flow_name": "f", "entrypoint": "f.py:f", "queue": self._queue()}
        apply(
            self.store,
            Command("deployment.set", SCOPE, self.name, {**args, **self.deployment, "flow_control": self.controls}),
        )

    def _queue(self) -> str:
        """A queue of its own: what other stories left waiting is not served in this one."""
        apply(self.store, Command("queue.set", SCOPE, args={"name": self.name}))
        return self.name

    @property
    def now(self) -> Micros:
        return self.began + self.at

    def ask(self, **parameters: Any) -> dict[str, Any]:
        """Ask for a run now."""
        with self.store.write() as tx:
            tx.now = self.now
            return create(tx, Command("run.create", SCOPE, self.name), CreateRun(parameters=parameters))

    def rows(self) -> list[dict[str, Any]]:
        """All runs, in the order of their making."""
        with self.store.read() as tx:
            query = select(runs.TABLE).where(runs.TABLE.c.deployment_name == self.name).order_by(runs.TABLE.c.id)
            return [dict(row) for row in tx.conn.execute(query).mappings()]

    def row(self, run_id: Id) -> dict[str, Any]:
        with self.store.read() as tx:
            found = runs.row(tx, SCOPE, run_id)
        assert found is not None
        return found

    def dispatch(self, slots: int = 100) -> list[Id]:
        """Start all that may start now; the runs, in their order."""
        started: list[Id] = []
        while True:
            with self.store.write() as tx:
                tx.now = self.now
                opening = Opening(new_id(), SCOPE.workspace_id, frozenset((self.name,)), slots)
                bells, more = dispatch.open_attempts(tx, [opening])
            started += [bell.run_id for bell in bells]
            if not bells and not more:
                return started

    def next_due(self) -> Micros | None:
        """When the next run that waits is due, or may start."""
        with self.store.read() as tx:
            tx.now = self.now
            found = due.next_due(tx, [self.name])
        return None if found is None else found - self.began

    def end(self, run_id: Id) -> None:
        """Let a run that was dispatched complete."""
        with self.store.write() as tx:
            tx.now = self.now
            run = runs.get(tx, SCOPE, run_id)
            assert run is not None
            assert run.state.type is StateType.PENDING, run.state
            attempt(tx, SCOPE, run_id, Claim(run.attempt, run.epoch))
            attempt(tx, SCOPE, run_id, Complete(run.attempt, run.epoch))

    def cancel(self, run_id: Id) -> bool:
        """Cancel a run by hand; False when it has ended."""
        with self.store.write() as tx:
            tx.now = self.now
            try:
                return attempt(tx, SCOPE, run_id, Cancel("by hand")) is not None
            except ConflictError:
                return False

    def happen(self, type_: str, **payload: Any) -> Id:
        """An event that somebody has written now, stamped."""
        with self.store.write() as tx:
            event_id = events.append(
                tx, SCOPE, type_, source="emitted", at=self.now, resource={}, related=[], payload=payload
            )
            seq = events.last(tx) + 1
            tx.conn.execute(EVENTS.update().where(EVENTS.c.id == event_id).values(seq=seq, hash=""))
        return event_id

    def listen(self) -> None:
        """What an upkeep process that has just begun does for `cancel_on`."""
        loop = CancelOn(self.store)
        while loop.step():
            continue

    def told(self, control: str) -> list[tuple[str, Id]]:
        """The decisions of a control: what it was, about which run; in the order in which they were made."""
        query = select(EVENTS).where(EVENTS.c.type.like("hub.flow_control.%")).order_by(EVENTS.c.id)
        with self.store.read() as tx:
            found = [dict(row) for row in tx.conn.execute(query).mappings()]
        mine = [row for row in found if row["body"]["deployment_name"] == self.name]
        assert all(row["body"]["reason"] for row in mine)
        return [
            (row["type"].removeprefix("hub.flow_control."), row["run_id"])
            for row in mine
            if row["body"]["control"] == control
        ]
