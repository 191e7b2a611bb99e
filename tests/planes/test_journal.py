"""The journal: what it writes, when it cannot, and who may write."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hub import flow, get_run_logger, runtime_context, task
from hub.engine.run import Begin, Cancel
from hub.errors import HubError, UnavailableError
from hub.runtime import inline, journal_sql, orchestrator
from hub.runtime.journal import AttemptLost, Fact
from hub.runtime.journal_sql import Fence
from hub.runtime.store_journal import StoreJournal
from hub.store import runs, sqlite
from hub.store.tables import Log, StateRow, TaskRunRow
from hub.types import DEFAULT_WORKSPACE, Scope, new_id, now_us

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

SCOPE = Scope()


def test_its_statements_name_every_column_of_their_tables() -> None:
    for model, names in (
        (TaskRunRow, journal_sql.TASK_COLUMNS), (StateRow, ("id", *journal_sql.STATE_COLUMNS)),
        (Log, ("id", *journal_sql.LOG_COLUMNS)),
    ):  # fmt: skip
        assert set(model.__table__.c.keys()) == set(names)  # type: ignore[attr-defined]


def begun(plane: Plane) -> str:
    run_id = new_id()
    with plane.store.write() as tx:
        runs.create(tx, SCOPE, {"id": run_id, "name": "r", "flow_name": "f", "home": "inline"})
    orchestrator.handle(plane.store, SCOPE, run_id, Begin())
    return run_id


def line(run_id: str, text: str) -> Fact:
    return Fact(log=(DEFAULT_WORKSPACE, run_id, None, 1, now_us(), 20, "test", text))


def test_what_is_settled_is_there_and_brings_along_what_was_put(plane: Plane) -> None:
    run_id = begun(plane)
    journal = StoreJournal(plane.store, SCOPE, Fence(run_id, 1, 0))
    try:
        journal.put(line(run_id, "put"))
        journal.settle(line(run_id, "settled"))
        assert [text for _, text in plane.logs()] == ["put", "settled"]
        told = threading.Event()
        journal.settle_then(line(run_id, "later"), lambda error: told.set() if error is None else None)
        assert told.wait(10)
        threads = [threading.Thread(target=journal.settle, args=(line(run_id, f"{number}"),)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(plane.logs()) == 23
    finally:
        journal.close()


def test_those_who_watch_are_woken(plane: Plane) -> None:
    run_id = begun(plane)
    journal = StoreJournal(plane.store, SCOPE, Fence(run_id, 1, 0))
    listener = plane.store.listen("logs")
    try:
        listener.wait(0)
        journal.put(line(run_id, "put"))
        assert "logs" in listener.wait(10)
        assert plane.logs() == [("test", "put")]
    finally:
        listener.close()
        journal.close()


def test_only_the_attempt_that_holds_the_run_may_write(plane: Plane) -> None:
    run_id = begun(plane)
    stale = StoreJournal(plane.store, SCOPE, Fence(run_id, 0, 0))
    forgiving = StoreJournal(plane.store, SCOPE, Fence(run_id, 2, 0), forgiving=True)
    try:
        with pytest.raises(AttemptLost):
            stale.settle(line(run_id, "stale"))
        forgiving.settle(line(run_id, "stale as well"))
        assert plane.logs() == []
    finally:
        forgiving.close()
        with pytest.raises(AttemptLost):
            stale.close()


def completed(run_id: str, task_id: str, key: str, **more: Any) -> Fact:
    row = dict.fromkeys(journal_sql.TASK_COLUMNS) | {
        "id": task_id, "workspace_id": DEFAULT_WORKSPACE, "run_id": run_id, "journal_key": key, "task_name": "t",
        "name": "t-0", "upstream": "[]", "state_type": "COMPLETED", "state_name": "Completed", "state_message": "",
        "version": 1, "run_attempt": 1, "attempt": 1, "retries_used": 0, "created_at": now_us(), **more,
    }  # fmt: skip
    return Fact(task_id, lambda: tuple(row.values()))


def test_a_task_run_has_one_row_however_often_it_is_written(plane: Plane) -> None:
    run_id, task_id = begun(plane), new_id()
    journal = StoreJournal(plane.store, SCOPE, Fence(run_id, 1, 0))
    try:
        journal.settle(completed(run_id, task_id, "k", name="first", created_at=1))
        journal.settle(completed(run_id, task_id, "k", name="second", created_at=2))
        assert [(row["name"], row["created_at"]) for row in plane.tasks()] == [("second", 1)]
    finally:
        journal.close()


def test_the_one_statement_that_a_task_costs_notices_a_cancel_and_another_attempt(plane: Plane) -> None:
    run_id = begun(plane)
    journal = StoreJournal(plane.store, SCOPE, Fence(run_id, 1, 0))
    journal.settle(completed(run_id, new_id(), "first"))
    assert not journal.cancelling
    orchestrator.handle(plane.store, SCOPE, run_id, Cancel())
    journal.settle(completed(run_id, new_id(), "second"))
    assert journal.cancelling
    assert len(plane.tasks()) == 2, "what it had done is kept"
    journal.follow(Fence(run_id, 2, 0))
    with pytest.raises(AttemptLost):
        journal.settle(completed(run_id, new_id(), "third"))
    assert len(plane.tasks()) == 2
    with pytest.raises(AttemptLost):
        journal.close()


def test_of_two_rows_of_one_step_the_newer_one_counts(plane: Plane) -> None:
    run_id, older, newer = begun(plane), new_id(), new_id()
    journal = StoreJournal(plane.store, SCOPE, Fence(run_id, 1, 0))
    try:
        journal.settle(completed(run_id, newer, "k"))
        journal.settle(completed(run_id, older, "k"))  # a thread that was given up writes late
        assert journal.known(run_id)["k"].id == newer
    finally:
        journal.close()


def test_a_step_keeps_its_row_in_every_attempt(plane: Plane) -> None:
    @task
    def step(n: int) -> int:
        return n

    @flow(retries=2)
    def tried() -> int:
        found = sum(step(n) for n in (1, 1, 2))
        found += step.submit(3).result()
        context = runtime_context()
        if context is not None and context.attempt < 3:
            raise RuntimeError("again")
        return found

    assert tried() == 7
    rows = plane.tasks(plane.only("tried")["id"])
    assert len(rows) == 4


def test_it_notices_that_the_run_is_to_be_cancelled(plane: Plane) -> None:
    run_id = begun(plane)
    journal = StoreJournal(plane.store, SCOPE, Fence(run_id, 1, 0))
    try:
        journal.settle(line(run_id, "a"))
        assert not journal.cancelling
        orchestrator.handle(plane.store, SCOPE, run_id, Cancel("enough"))
        journal.settle(line(run_id, "b"))
        assert journal.cancelling
    finally:
        journal.close()


def test_a_call_whose_run_is_cancelled_from_elsewhere_stops_at_its_next_task(plane: Plane) -> None:
    seen: list[int] = []

    @task
    def step(n: int) -> None:
        seen.append(n)

    @flow
    def whole() -> None:
        step(1)
        orchestrator.handle(plane.store, SCOPE, plane.only()["id"], Cancel("enough"))
        step(2)
        step(3)

    with pytest.raises(Exception, match="the run was cancelled"):
        whole()
    assert seen == [1, 2]
    assert plane.only()["state_name"] == "Cancelled"


# --- when it cannot be written (SQLite) ---------------------------------------------------------------------------

FULL = """
import resource, signal, sys
from pathlib import Path
from hub import flow, task
from hub.errors import UnavailableError
from hub.runtime import inline
inline.home()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

@task
def large(n): return "x" * 60_000

@flow
def whole():
    for n in range(200):
        large(n)
    print("not reached")

@flow
def touched(): Path(sys.argv[1]).touch()

resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
for called in (whole, touched):
    if called is touched:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    try:
        called()
    except UnavailableError as error:
        print(error.code, "|", error.detail, "|", error.hint)
"""


def test_a_full_disk_is_a_clear_error_and_no_user_code_runs_without_a_record(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(ran)], capture_output=True, text=True, timeout=60, check=False
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done.stdout + done.stderr
    assert all(line.split(" | ")[0] in ("database-unwritable", "disk-full") for line in lines)
    assert not ran.exists()


def test_a_limit_on_the_databases_pages_is_a_full_disk(plane: Plane) -> None:
    if plane.store.dialect != "sqlite":
        pytest.skip("a limit on pages is SQLite's")

    @task
    def large(n: int) -> str:
        if n == 2:
            # Only the journal's connection is limited, as if the disk had filled up behind its back.
            context = runtime_context()
            assert context is not None
            conn = context.session.journal._pinned._conn
            conn.connection.dbapi_connection.execute("PRAGMA max_page_count = 1")
        return "x" * 60_000

    @flow
    def whole() -> None:
        for number in range(100):
            large(number)

    with pytest.raises(UnavailableError) as caught:
        whole()
    assert caught.value.code == "disk-full"
    assert caught.value.hint == "Free some space."


def test_a_locked_database_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_BUSY_MS", 200)
    home = inline.home()
    try:
        blocker = sqlite3.connect(tmp_path / "home" / "hub.db", isolation_level=None)
        seen: list[str] = []

        @task
        def step() -> None:
            seen.append("step")
            blocker.execute("BEGIN IMMEDIATE")

        @flow
        def whole() -> None:
            seen.append("flow")
            get_run_logger().info("hello")
            step()

        with pytest.raises(UnavailableError, match="locked") as caught:
            whole()
        assert caught.value.code == "database-locked"
        with pytest.raises(UnavailableError, match="locked"):
            whole()
        assert seen == ["flow", "step"]
        blocker.execute("ROLLBACK")
        blocker.close()
        assert home.store is not None
    finally:
        inline.forget()


def test_a_home_that_cannot_be_written_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_HOME", "/proc/nowhere/hub")  # not even root can make a folder there
    ran: list[int] = []

    @flow
    def whole() -> None:
        ran.append(1)

    with pytest.raises(HubError) as caught:
        whole()
    assert "/proc/nowhere/hub" in caught.value.detail
    assert caught.value.hint
    assert ran == []
