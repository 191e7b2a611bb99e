"""Transactions that outlive their process: killed at every commit, undone by whoever comes next."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hub.engine.run import Cancel, Lose
from hub.errors import ConflictError
from hub.runtime import compensations
from hub.runtime.commands import Command, apply
from hub.runtime.executor.undoing import MAX_TRIES
from hub.runtime.journal import AttemptLost
from hub.runtime.loader import load_flow
from hub.runtime.orchestrator import handle
from hub.runtime.sagas import Sagas
from hub.runtime.store_journal import StoreJournal
from hub.states import TERMINAL, StateType
from hub.store import runs, transactions
from hub.store.tables import Event
from hub.types import new_id

from .conftest import SCOPE, Plane

FLOW = """
from hub.store.transactions import compensation_id

def note(*words):
    with open(Path(__file__).with_name("effects"), "a") as out: out.write(" ".join(words) + "\\n")

def undo(step):
    assert step.get("order") == 7 and step.arguments["what"] == step.result
    if Path(__file__).with_name("busy").exists(): raise OSError("busy")
    note("undo", step.idempotency_key)

@task(on_rollback=[undo], retries=2)
def book(what):
    here = runtime_context()
    note("do", compensation_id(here.task_run_id, here.task_attempt))
    return what

@task
def pay(fails):
    if fails: raise ValueError("no money")

@flow
def stay():
    with transaction():
        return book("hotel")

@flow
def trip(fails: bool):
    with transaction() as txn:
        txn.set("order", 7)
        book("flight")
        stay()
        book("car")
        pay(fails)
    return "booked"
"""


class Killed(BaseException):
    """Stands for kill -9: from here on this process writes nothing."""


class Reaper:
    """Kills the process before or after the n-th commit of its store."""

    def __init__(self, plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.points, self.dead = 0, set[int](), False
        kind = type(plane.store)
        write, commit = kind.write, StoreJournal._commit

        @contextmanager
        def reaped(store: Any, *, durable: bool = True) -> Iterator[Any]:
            self.here()
            with write(store, durable=durable) as tx:
                yield tx
            self.here()

        def reaped_commit(journal: Any, batch: Any) -> None:
            self.here()
            commit(journal, batch)
            self.here()

        monkeypatch.setattr(kind, "write", reaped)
        monkeypatch.setattr(StoreJournal, "_commit", reaped_commit)

    def here(self) -> None:
        """A moment at which a process may die."""
        self.count += self.armed and not self.dead
        if self.armed and self.count in self.points:
            self.dead = True
        if self.dead:
            # A thread beside ends in good order; it writes as little as the others.
            raise Killed if threading.current_thread() is threading.main_thread() else ConflictError("killed")

    armed = False

    @contextmanager
    def at(self, *points: int) -> Iterator[None]:
        """In the block the process dies at these moments."""
        self.points, self.dead, self.armed = set(points), False, True
        try:
            yield
        except Killed:
            pass
        finally:
            self.dead = self.armed = False


class Saga:
    """One run on one plane, executed until nothing is left to do."""

    def __init__(self, plane: Plane, reaper: Reaper, *, fails: bool, crash_retries: int) -> None:
        self.plane, self.reaper = plane, reaper
        self.file = plane.file(FLOW)
        self.run_id = plane.run(f"{self.file}:trip", {"fails": fails}, crash_retries=crash_retries)
        self.file.with_name("effects").write_text("")

    def live(self, *points: int) -> None:
        """Execute attempts of the run and of what undoes it, dying at some moments, until all has ended."""
        self.reaper.count = 0
        for _ in range(60):
            wanted = self._next()
            if wanted is None:
                return
            with self.reaper.at(*points):
                self.plane.attempt(wanted)
        raise AssertionError("it does not come to an end")

    def _next(self) -> str | None:
        for row in self.plane.rows():
            if row["state_type"] in ("PENDING", "RUNNING") and row["home"] == "worker":  # its process is dead
                handle(self.plane.store, SCOPE, row["id"], Lose(row["attempt"], row["epoch"], "killed"))
        Sagas(self.plane.store).step()
        rows = [row for row in self.plane.rows() if row["home"] == "worker"]
        waiting = [row["id"] for row in rows if StateType(row["state_type"]) not in TERMINAL]
        return waiting[0] if waiting else None

    def rows(self) -> list[dict[str, Any]]:
        with self.plane.store.read() as tx:
            query = transactions.TABLE.select().order_by(transactions.TABLE.c.ordinal)
            return [dict(row) for row in tx.conn.execute(query).mappings()]

    def effects(self) -> list[tuple[str, str]]:
        lines = self.file.with_name("effects").read_text().split("\n")
        return [(line.split()[0], line.split()[1]) for line in lines if line]

    def check(self) -> None:
        """Every staged step of what did not commit was undone, last first; nothing of what did."""
        rows = {row["id"]: row["state"] for row in self.rows() if row["hooks"]}
        assert set(rows.values()) <= {"done", "committed"}, rows
        stack, last = list[str](), ""
        for verb, key in self.effects():
            if key not in rows:
                assert verb == "do", "only what was staged is undone"
            elif verb == "do":
                # Killed before even its start was written, it is made again under the same key.
                stack += [key] if stack[-1:] != [key] else []
            elif key != last:  # else it was undone once more, as it may be after a kill
                assert stack.pop() == key, "last first"
                last = key
        assert stack == [key for key, state in rows.items() if state == "committed"]
        booked = self.plane.row(self.run_id)["state_name"] == "Completed"
        assert len(stack) == (3 if booked else len(stack))
        assert not stack or len(stack) == 3, "all of it or nothing"


@pytest.fixture
def reaper(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> Reaper:
    return Reaper(plane, monkeypatch)


@pytest.mark.long("postgresql-True", "postgresql-9", "sqlite-False", "sqlite-0")
@pytest.mark.parametrize("crash_retries", [0, 9])
@pytest.mark.parametrize("fails", [True, False])
def test_whenever_it_is_killed_it_commits_or_is_undone(
    plane: Plane, reaper: Reaper, fails: bool, crash_retries: int
) -> None:
    whole = Saga(plane, reaper, fails=fails, crash_retries=crash_retries)
    whole.live()
    whole.check()
    moments = whole.reaper.count
    assert moments > 15
    for moment in range(1, moments + 1):
        saga = Saga(plane, reaper, fails=fails, crash_retries=crash_retries)
        _empty(plane)
        saga = Saga(plane, reaper, fails=fails, crash_retries=crash_retries)
        saga.live(moment)
        saga.check()
        if crash_retries and not fails:
            assert plane.row(saga.run_id)["state_name"] == "Completed"
        assert plane.row(saga.run_id)["state_type"] in TERMINAL


@pytest.mark.parametrize("seed", range(12))
def test_however_often_it_is_killed_it_commits_or_is_undone(plane: Plane, reaper: Reaper, seed: int) -> None:
    chance = random.Random(seed)
    saga = Saga(plane, reaper, fails=bool(seed % 2), crash_retries=chance.choice([0, 1, 9]))
    saga.live(*chance.sample(range(1, 80), 6))
    saga.check()


def test_a_rollback_that_fails_is_tried_again_by_a_run_of_its_own(plane: Plane, reaper: Reaper) -> None:
    saga = Saga(plane, reaper, fails=True, crash_retries=0)
    busy = saga.file.with_name("busy")
    busy.touch()
    plane.attempt(saga.run_id)
    assert plane.row(saga.run_id)["state_name"] == "Failed"
    assert [row["state"] for row in saga.rows() if row["hooks"]] == ["rolling_back"] * 3
    with pytest.raises(ConflictError, match="being rolled back") as refused:
        apply(plane.store, Command("run.restart", SCOPE, saga.run_id, {}))
    assert refused.value.code == "rolling_back"
    assert _summary(plane, saga.run_id) == "not rolled back yet: 3 of 3 steps wait for a worker"
    Sagas(plane.store).step()
    undoing = _undoing(plane)
    assert (undoing["origin"], undoing["parent_run_id"], undoing["name"]) == (
        "rollback", saga.run_id, "rollback-of-a-run",
    )  # fmt: skip
    plane.attempt(undoing["id"])
    row = plane.row(undoing["id"])
    assert (row["state_name"], row["state_message"]) == (
        "AwaitingRetry", "book-1 is not undone yet (try 4 of 8): OSError: busy",
    )  # fmt: skip
    assert row["due_at"] - row["updated_at"] >= 7_000_000, "each try waits longer"
    assert "3 of 3 steps are left" in _summary(plane, saga.run_id)
    busy.unlink()
    saga.live()
    saga.check()
    assert _summary(plane, saga.run_id) == "rolled back: 3 of 3 steps"
    assert plane.row(undoing["id"])["result"] == b'{"undone":3}'


def test_what_cannot_be_undone_is_told(plane: Plane, reaper: Reaper) -> None:
    saga = Saga(plane, reaper, fails=True, crash_retries=0)
    saga.file.with_name("busy").touch()
    saga.live()
    assert [(row["state"], row["tries"]) for row in saga.rows() if row["hooks"]] == [("failed", MAX_TRIES)] * 3
    assert _summary(plane, saga.run_id) == "rollback failed: 3 of 3 steps: book-1: OSError: busy"
    undoing = _undoing(plane)
    assert (undoing["state_name"], undoing["error_type"]) == ("Failed", "RollbackFailed")
    assert undoing["error_message"].startswith("3 steps could not be undone: book-1: OSError: busy")
    events = _events(plane, "hub.rollback.failed")
    assert [event["body"]["step"] for event in events] == ["book-1", "book-0", "book-0"]
    assert {event["subject"] for event in events} == {saga.run_id}
    assert events[0]["private"] == {"errors": {"error": "OSError: busy"}}
    Sagas(plane.store).step()
    assert _undoing(plane)["id"] == undoing["id"], "nothing more is tried"


def test_a_file_that_is_gone_ends_the_rollback_at_once(plane: Plane, reaper: Reaper) -> None:
    saga = Saga(plane, reaper, fails=False, crash_retries=0)
    _killed_when_staged(plane, reaper, saga)
    saga.file.unlink()
    saga.live()
    found = saga.rows()
    assert {row["state"] for row in found if row["hooks"]} == {"failed"}
    assert "cannot be read: No such file" in found[0]["error"]
    assert found[0]["tries"] == 1
    assert _events(plane, "hub.rollback.failed")


def test_a_cancelled_run_is_undone_by_a_worker(plane: Plane, reaper: Reaper) -> None:
    saga = Saga(plane, reaper, fails=False, crash_retries=9)
    _killed_when_staged(plane, reaper, saga)
    row = plane.row(saga.run_id)
    handle(plane.store, SCOPE, saga.run_id, Lose(row["attempt"], row["epoch"], "killed"))
    handle(plane.store, SCOPE, saga.run_id, Cancel("not wanted"))
    saga.live()
    saga.check()
    assert plane.row(saga.run_id)["state_name"] == "Cancelled"


def test_a_rollback_that_a_person_cancels_is_over(plane: Plane, reaper: Reaper) -> None:
    saga = Saga(plane, reaper, fails=True, crash_retries=0)
    saga.file.with_name("busy").touch()
    plane.attempt(saga.run_id)
    Sagas(plane.store).step()
    undoing = _undoing(plane)["id"]
    handle(plane.store, SCOPE, undoing, Cancel("by hand"))
    Sagas(plane.store).step()
    assert _undoing(plane)["id"] == undoing
    assert {row["state"] for row in saga.rows() if row["hooks"]} == {"failed"}
    assert f"its rollback {undoing} is Cancelled. by hand" in saga.rows()[0]["error"]


def test_a_plain_call_that_was_given_up_cannot_commit(plane: Plane) -> None:
    file = plane.file("""
@task(on_rollback=[lambda step: Path(__file__).with_name(f"undone-{step.result}").touch()])
def book(n): return n

@flow
def trip(fails: bool):
    with transaction():
        book(1 if fails else 2)
        from hub.engine.run import Lose
        from hub.runtime import inline, orchestrator
        from hub.types import Scope
        orchestrator.handle(inline.home().store, Scope(), runtime_context().run_id, Lose(1, 0, "asleep"))
        if fails: raise KeyError("x")
""")
    trip = load_flow(f"{file}:trip")
    for fails in (False, True):
        with pytest.raises(AttemptLost):
            trip(fails=fails)
    assert not list(plane.folder.glob("undone-*"))
    Sagas(plane.store).step()
    for row in plane.rows():
        if row["origin"] == "rollback":
            plane.attempt(row["id"])
    assert sorted(path.name for path in plane.folder.glob("undone-*")) == ["undone-1", "undone-2"]


def test_a_restarted_run_does_again_what_was_undone_and_nothing_else(plane: Plane) -> None:
    file = plane.file("""
def note(name):
    with open(Path(__file__).with_name("effects"), "a") as out: out.write(name + " ")
@task(on_rollback=[lambda step: note("undo-" + step.result)])
def book(what): note(what); return what
@task
def label(ticket): note("label"); return ticket
@task
def pay():
    if not Path(__file__).with_name("mended").exists(): raise ValueError("no money")
@flow
def whole():
    book("kept")
    with transaction(): book("first")
    with transaction():
        label.submit(book.submit("second")).result()
        pay()
""")
    apply(plane.store, Command("deployment.set", SCOPE, "whole", {
        "name": "whole", "flow_name": "whole", "entrypoint": f"{file}:whole"}))  # fmt: skip
    first = new_id()
    apply(plane.store, Command("run.create", SCOPE, "whole", {"run_id": first}))
    plane.attempt(first)
    effects = file.with_name("effects")
    assert effects.read_text().split() == ["kept", "first", "second", "label", "undo-second"]
    effects.write_text("")
    file.with_name("mended").touch()
    made = apply(plane.store, Command("run.restart", SCOPE, first, {})).result
    plane.attempt(made["id"])
    assert plane.row(made["id"])["state_name"] == "Completed"
    assert effects.read_text().split() == ["second", "label"], "what used an undone result is done again as well"


def _killed_when_staged(plane: Plane, reaper: Reaper, saga: Saga) -> None:
    """Execute the run until something is staged, and no further."""
    for moment in range(1, 60):
        with reaper.at(reaper.count + 1 if moment == 0 else moment):
            reaper.count = 0
            plane.attempt(saga.run_id)
        if any(row["hooks"] for row in saga.rows()):
            return
        row = plane.row(saga.run_id)
        if row["state_type"] in ("PENDING", "RUNNING"):
            with plane.store.write() as tx:
                tx.conn.execute(runs.TABLE.update().values(crash_retries=50))
            handle(plane.store, SCOPE, saga.run_id, Lose(row["attempt"], row["epoch"], "killed"))
    raise AssertionError("nothing was staged")


def _undoing(plane: Plane) -> dict[str, Any]:
    """The run that undoes."""
    (found,) = (row for row in plane.rows() if row["origin"] == "rollback")
    return found


def _empty(plane: Plane) -> None:
    with plane.store.write() as tx:
        for table in (transactions.TABLE, transactions.VALUES, transactions.KEYS, runs.TABLE):
            tx.conn.execute(table.delete())


def _summary(plane: Plane, run_id: str) -> str:
    with plane.store.read() as tx:
        return compensations.of_run(tx, SCOPE, run_id).summary


def _events(plane: Plane, kind: str) -> list[dict[str, Any]]:
    table = Event.__table__  # type: ignore[attr-defined]
    with plane.store.read() as tx:
        rows = tx.conn.execute(table.select().where(table.c.type == kind).order_by(table.c.id)).mappings()
        return [dict(row) for row in rows]
