"""What tests of automations share: deployments, events, and a process that dies at a commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hub.runtime.automations import Automations
from hub.runtime.commands import Command, apply
from hub.store import Store, automations, events, runs
from hub.store.base import Tx
from hub.store.tables import Deployment, Event
from hub.types import SECOND, Scope, new_id, now_us

SCOPE = Scope()
EVENTS: Any = Event.__table__


def make_deployment(store: Store, name: str = "ci", **more: Any) -> str:
    with store.write() as tx:
        row = {
            "id": new_id(), "workspace_id": SCOPE.workspace_id, "name": name, "flow_name": name, "entrypoint": "f.py:f",
            "parameters": {}, "parameter_schema": {}, "tags": [], "retry_policy": {}, "created_at": tx.now,
            "updated_at": tx.now, **more,
        }  # fmt: skip
        tx.insert(Deployment.__table__, row)  # type: ignore[attr-defined]
    return str(row["id"])


def automate(store: Store, name: str = "rule", *, do: list[dict[str, Any]] | None = None, **trigger: Any) -> str:
    """An automation; without `do` it runs the deployment `ci`."""
    args = {"name": name, "trigger": trigger, "actions": do or [{"run_deployment": "ci"}]}
    return str(apply(store, Command("automation.set", SCOPE, args=args)).result["id"])


def happen(store: Store, type_: str = "hub.worker.lost", *, ago: float = 0, **more: Any) -> str:
    """An event so many seconds ago, stamped."""
    more.setdefault("name", "w1") if type_.startswith("hub.worker") else None
    with store.write() as tx:
        return events.append(tx, SCOPE, type_, at=now_us() - int(ago * SECOND), **more)


def stamp(store: Store) -> None:
    """Give every event its place, as the sequencer does."""
    with store.write() as tx:
        last = events.last(tx)
        query = EVENTS.select().where(EVENTS.c.seq.is_(None)).order_by(EVENTS.c.id)
        for number, row in enumerate(tx.conn.execute(query).mappings().all(), last + 1):
            tx.conn.execute(EVENTS.update().where(EVENTS.c.id == row["id"]).values(seq=number, hash=""))


def work(store: Store, *, once: bool = False) -> None:
    """What an upkeep process does that has just begun, until there is nothing left to do."""
    process = Automations(store)
    for _ in range(100):
        stamp(store)
        if not process.step() and not _is_unstamped(store):
            return
        if once:
            return
    raise AssertionError("it goes on and on")


def _is_unstamped(store: Store) -> bool:
    with store.read() as tx:
        return tx.conn.execute(EVENTS.select().where(EVENTS.c.seq.is_(None))).first() is not None


def evaluations(store: Store, automation_id: str) -> list[dict[str, Any]]:
    """Oldest first."""
    with store.read() as tx:
        return automations.evaluations(tx, SCOPE, automation_id, limit=200).items[::-1]


def outcomes(store: Store, automation_id: str) -> list[str]:
    return [row["outcome"] for row in evaluations(store, automation_id)]


def made_runs(store: Store) -> list[dict[str, Any]]:
    with store.read() as tx:
        return [dict(row) for row in runs.listing(tx, SCOPE, limit=200).items]


class Killed(BaseException):
    """The process is gone."""


class Mortal:
    """A store whose process dies at its `at`th commit: before it, or right after."""

    def __init__(self, store: Store, at: int, *, after: bool) -> None:
        self._store, self._left, self._after = store, at, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Tx]:
        self._left -= 1
        dies = self._left == 0
        with self._store.write(durable=durable) as tx:
            yield tx
            if dies and not self._after:
                raise Killed
        if dies:
            raise Killed


def killed(store: Store, at: int, *, after: bool) -> bool:
    """Work until the process dies; False when it had less to do."""
    try:
        work(Mortal(store, at, after=after))  # type: ignore[arg-type]
    except Killed:
        return True
    return False
