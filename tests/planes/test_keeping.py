"""What keeps going by itself, on every store: effects, retention, what a keeper does about its attempts."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hub.engine.run import Cancel, Claim, Complete, Dispatch
from hub.errors import UnavailableError
from hub.plugins import Context, Plugins, load_plugins
from hub.runtime import effects as carrying
from hub.runtime import process
from hub.runtime.effects import Effects
from hub.runtime.held import Held
from hub.runtime.orchestrator import handle
from hub.runtime.retention import DAY, Retention
from hub.settings import Settings
from hub.store import Store, attempts, effects, runs, trimming, workers
from hub.store.tables import Attempt, Effect, Event, Log, RunRow, StateRow, Tick
from hub.types import SECOND, Id, Scope, new_id, now_us

SCOPE = Scope()


def make_run(store: Store, **more: Any) -> Id:
    run_id = new_id()
    with store.write() as tx:
        assert runs.create(tx, SCOPE, {"id": run_id, "name": "a-run", "flow_name": "a", **more})
    return run_id


def row(store: Store, run_id: Id) -> dict[str, Any]:
    with store.read() as tx:
        found = runs.row(tx, SCOPE, run_id)
    assert found is not None
    return found


def count(store: Store, model: Any) -> int:
    with store.read() as tx:
        return len(tx.conn.execute(model.__table__.select()).all())


# --- effects -------------------------------------------------------------------------------------------------------


@pytest.fixture
def plugins(store: Store, tmp_path: Path) -> Plugins:
    return load_plugins(Settings(home=tmp_path), process="upkeep", store=store, found=[])


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Effects of the kind `note` are carried out by being written down here."""
    found: list[str] = []

    def note(effect: Mapping[str, Any]) -> None:
        found.append(effect["key"])
        if effect["payload"].get("fails"):
            raise UnavailableError("the receiver is away")

    def notes(_ctx: Context, rows: Sequence[Mapping[str, Any]]) -> list[carrying.Deed]:
        return [partial(note, row) for row in rows]

    monkeypatch.setitem(carrying.HOMES, "note", "nowhere:note")
    monkeypatch.setattr(carrying, "handler", lambda _kind: notes)
    return found


def test_an_effect_is_carried_out_once(store: Store, plugins: Plugins, told: list[str]) -> None:
    with store.write() as tx:
        assert effects.add(tx, SCOPE, "note", "one")
        assert not effects.add(tx, SCOPE, "note", "one")
    loop = Effects(plugins.context, ("note",))
    loop.step()
    loop.step()
    assert told == ["one"]


def test_an_effect_that_fails_waits_and_is_tried_again(store: Store, plugins: Plugins, told: list[str]) -> None:
    with store.write() as tx:
        effects.add(tx, SCOPE, "note", "one", {"fails": True})
    loop = Effects(plugins.context, ("note",))
    loop.step()
    loop.step()
    assert told == ["one"], "not again at once"
    with store.read() as tx:
        waiting = tx.conn.execute(Effect.__table__.select()).mappings().one()  # type: ignore[attr-defined]
    assert (waiting["error"], waiting["done_at"], waiting["tries"]) == ("the receiver is away", None, 1)
    assert waiting["due_at"] > now_us()


def test_an_effect_is_given_up_after_its_last_try(store: Store, plugins: Plugins, told: list[str]) -> None:
    table = Effect.__table__  # type: ignore[attr-defined]
    with store.write() as tx:
        effects.add(tx, SCOPE, "note", "one", {"fails": True})
    loop = Effects(plugins.context, ("note",))
    for _ in range(effects.MAX_TRIES + 2):
        with store.write() as tx:
            tx.conn.execute(table.update().values(due_at=0))
        loop.step()
    assert len(told) == effects.MAX_TRIES
    with store.read() as tx:
        assert tx.conn.execute(table.select()).mappings().one()["dead_at"] is not None


def test_the_effect_of_a_process_that_died_is_taken_up_when_its_lease_ends(
    store: Store, plugins: Plugins, told: list[str]
) -> None:
    with store.write() as tx:
        effects.add(tx, SCOPE, "note", "one")
    with store.write() as tx:
        assert effects.claim(tx, ["note"], "dead", lease_s=30)
    loop = Effects(plugins.context, ("note",))
    loop.step()
    assert told == []
    with store.write() as tx:
        tx.conn.execute(Effect.__table__.update().values(claimed_until=1))  # type: ignore[attr-defined]
    loop.step()
    assert told == ["one"]


def test_run_states_reach_the_hooks(store: Store, plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[str, str]] = []
    monkeypatch.setattr(plugins.hooks, "run_state", lambda event, run: heard.append((event["type"], run["id"])) or [])
    run_id = make_run(store)
    handle(store, SCOPE, run_id, Cancel())
    Effects(plugins.context, ("run_state",)).step()
    assert heard == [("hub.run.cancelled", run_id)]


# --- retention -----------------------------------------------------------------------------------------------------


def age(store: Store, run_id: Id) -> None:
    """Make a run look as if it had ended a hundred days ago."""
    table = RunRow.__table__  # type: ignore[attr-defined]
    with store.write() as tx:
        long_ago = tx.now - int(100 * DAY) * SECOND
        tx.conn.execute(table.update().where(table.c.id == run_id).values(ended_at=long_ago))


def test_old_runs_go_with_all_that_belongs_to_them_and_young_ones_stay(store: Store, tmp_path: Path) -> None:
    old, young, waiting = make_run(store), make_run(store), make_run(store)
    for run_id in (old, young):
        handle(store, SCOPE, run_id, Dispatch(new_id()))
        handle(store, SCOPE, run_id, Claim(1, 1))
        handle(store, SCOPE, run_id, Complete(1, 1))
    line = {"workspace_id": SCOPE.workspace_id, "attempt": 1, "at": 1, "level": 20, "logger": "", "message": "x"}
    with store.write() as tx:
        tx.insert(Log.__table__, [{**line, "run_id": old} for _ in range(3)])  # type: ignore[attr-defined]
    age(store, old)
    loop = Retention(store, Settings(home=tmp_path))
    while loop.step():
        pass
    loop.step()
    with store.read() as tx:
        assert runs.row(tx, SCOPE, old) is None
        assert runs.row(tx, SCOPE, young) is not None
        assert runs.row(tx, SCOPE, waiting) is not None
    assert (count(store, Attempt), count(store, Log)) == (1, 0)
    with store.read() as tx:
        states = tx.conn.execute(StateRow.__table__.select()).mappings().all()  # type: ignore[attr-defined]
    assert {state["run_id"] for state in states} == {young, waiting}


def test_a_batch_is_bounded(store: Store) -> None:
    run_id = make_run(store)
    age(store, run_id)
    line = {"workspace_id": SCOPE.workspace_id, "attempt": 1, "at": 1, "level": 20, "logger": "", "message": "x"}
    with store.write() as tx:
        tx.insert(Log.__table__, [{**line, "run_id": run_id} for _ in range(25)])  # type: ignore[attr-defined]
    with store.write() as tx:
        assert trimming.runs(tx, before=tx.now, limit=10) <= 20
    assert count(store, Log) == 15


def test_ticks_and_effects_that_are_done_go(store: Store, tmp_path: Path) -> None:
    with store.write() as tx:
        for planned in range(3):
            tick = {"schedule_id": new_id(), "planned_at": planned, "workspace_id": SCOPE.workspace_id, "at": 1}
            tx.insert(Tick.__table__, tick)  # type: ignore[attr-defined]
        effects.add(tx, SCOPE, "note", "done")
        effects.add(tx, SCOPE, "note", "waits")
        table = Effect.__table__  # type: ignore[attr-defined]
        tx.conn.execute(table.update().where(table.c.key == "done").values(done_at=1))
    Retention(store, Settings(home=tmp_path)).step()
    assert (count(store, Tick), count(store, Effect)) == (0, 1)


def test_a_retention_of_zero_keeps_for_ever(store: Store, tmp_path: Path) -> None:
    run_id = make_run(store)
    age(store, run_id)
    Retention(store, Settings(home=tmp_path, retention_runs=0)).step()
    assert row(store, run_id)["id"] == run_id


def test_workers_that_left_long_ago_go_and_their_coming_and_going_are_events(store: Store, tmp_path: Path) -> None:
    worker = {"id": new_id(), "workspace_id": SCOPE.workspace_id, "name": "w", "version": "0", "queues": ["default"],
              "slots": 1, **process.identity().columns()}  # fmt: skip
    with store.write() as tx:
        workers.register(tx, worker, lease_s=30)
        workers.ready(tx, worker["id"])
        workers.leave(tx, worker["id"], lost=False)
        assert not workers.leave(tx, worker["id"], lost=True), "it is gone once"
        tx.conn.execute(workers.TABLE.update().values(ended_at=1))
    Retention(store, Settings(home=tmp_path)).step()
    with store.read() as tx:
        assert workers.get(tx, worker["id"]) is None
        types = {event["type"] for event in tx.conn.execute(Event.__table__.select()).mappings()}  # type: ignore[attr-defined]
    assert types == {"hub.worker.started", "hub.worker.stopped"}


# --- what a keeper does about its attempts -------------------------------------------------------------------------


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for a worker's child, in a group of its own."""
    code = (
        "import signal, time; signal.signal(signal.SIGUSR2, lambda *_: None); print('up', flush=True); time.sleep(60)"
    )
    started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert started.stdout is not None
    started.stdout.readline()
    yield started
    started.kill()
    started.communicate(timeout=10)


def executing(store: Store, worker_id: Id, pid: int, *, lease_s: float = 30, **run: Any) -> Id:
    """A run that a process of this machine executes."""
    run_id = make_run(store, **run)
    handle(store, SCOPE, run_id, Dispatch(worker_id))
    handle(store, SCOPE, run_id, Claim(1, 1), lease_s=lease_s, process=process.identity(pid).columns())
    return run_id


def lease(store: Store, run_id: Id) -> int:
    with store.read() as tx:
        attempt = attempts.get(tx, attempts.attempt_id(run_id, 1))
    assert attempt is not None
    return int(attempt["lease_until"] or 0)


def keeper_of(store: Store, tmp_path: Path, **settings: Any) -> tuple[Held, Id]:
    worker_id = new_id()
    return Held(store, Settings(home=tmp_path, **settings), worker_id), worker_id


def test_only_leases_of_living_processes_are_renewed(
    store: Store, tmp_path: Path, child: subprocess.Popen[bytes]
) -> None:
    held, worker_id = keeper_of(store, tmp_path)
    alive = executing(store, worker_id, child.pid, lease_s=1)
    before = lease(store, alive)
    held.look()
    with store.write() as tx:
        held.renew(tx)
    assert lease(store, alive) > before + 10 * SECOND
    child.kill()
    child.wait(10)
    held.look()
    assert row(store, alive)["state_name"] == "Recovering"


def test_a_reused_pid_does_not_keep_an_attempt_alive(store: Store, tmp_path: Path) -> None:
    held, worker_id = keeper_of(store, tmp_path)
    run_id = executing(store, worker_id, 2**22 + 7)
    held.look()
    assert row(store, run_id)["state_name"] == "Recovering"


def test_a_cancelled_child_is_asked_and_then_ended(
    store: Store, tmp_path: Path, child: subprocess.Popen[bytes]
) -> None:
    held, worker_id = keeper_of(store, tmp_path, worker_cancel_grace=0.2)
    run_id = executing(store, worker_id, child.pid)
    handle(store, SCOPE, run_id, Cancel())
    held.look()
    assert child.poll() is None, "asked first"
    assert held.next_deadline() is not None
    time.sleep(0.25)
    held.look()
    assert child.wait(10) == -signal.SIGKILL
    assert row(store, run_id)["state_name"] == "Cancelled"
    assert "did not end within 0.2 s" in row(store, run_id)["state_message"]


def test_a_child_over_its_time_is_ended(store: Store, tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    held, worker_id = keeper_of(store, tmp_path)
    run_id = executing(store, worker_id, child.pid, timeout_s=1.0)
    held.look()
    assert child.poll() is None
    with store.write() as tx:
        tx.conn.execute(attempts.TABLE.update().values(claimed_at=tx.now - 10 * SECOND))
    held.look()
    assert child.wait(10) == -signal.SIGKILL
    assert row(store, run_id)["state_name"] == "TimedOut"


def test_a_child_whose_attempt_was_given_to_others_is_ended(
    store: Store, tmp_path: Path, child: subprocess.Popen[bytes]
) -> None:
    held, worker_id = keeper_of(store, tmp_path)
    executing(store, worker_id, child.pid)
    held.look()
    with store.write() as tx:
        tx.conn.execute(attempts.TABLE.update().values(state="LOST", lease_until=None))
        held.renew(tx)
    assert child.wait(10) == -signal.SIGKILL


def test_a_worker_that_ends_hands_back_unharmed_and_one_that_died_counts_a_crash(
    store: Store, tmp_path: Path, child: subprocess.Popen[bytes]
) -> None:
    held, worker_id = keeper_of(store, tmp_path)
    first = executing(store, worker_id, child.pid)
    held.give_back("it stops")
    assert (row(store, first)["state_name"], row(store, first)["crashes"]) == ("Recovering", 0)
    second, waiting = executing(store, worker_id, child.pid), make_run(store)
    handle(store, SCOPE, waiting, Dispatch(worker_id))
    held.lose("it died")
    assert (row(store, second)["state_name"], row(store, second)["crashes"]) == ("Recovering", 1)
    assert (row(store, waiting)["state_name"], row(store, waiting)["crashes"]) == ("Recovering", 0)
