"""Flows that sleep: in place when it is short, without a process when it is long; nothing is waited for twice."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import hub
import pytest
from hub import flow, task
from hub.engine.run import Dispatch, Lose
from hub.errors import UsageError
from hub.runtime.attempt import execute_attempt
from hub.runtime.orchestrator import handle
from hub.runtime.why import why
from hub.store import attempts
from hub.types import SECOND, Scope, new_id, now_us

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

SCOPE = Scope()
MARK = """
import hub

def mark(name):
    with open(Path(__file__).with_name(name), "a") as out: out.write("x")

@task
def step(name):
    mark(name)
    return name
"""


def marks(plane: Plane, name: str) -> int:
    path = plane.folder / name
    return len(path.read_text()) if path.exists() else 0


def wake(plane: Plane, run_id: str) -> None:
    """As if the time had come: what is journaled of it is set back."""
    with plane.store.write() as tx:
        tx.conn.exec_driver_sql("UPDATE runs SET due_at = 0")
        past = str(now_us() - SECOND).encode()
        mark = "?" if tx.dialect == "sqlite" else "%s"
        tx.conn.exec_driver_sql(f"UPDATE task_runs SET result = {mark} WHERE task_name = 'sleep'", (past,))


def test_a_long_sleep_gives_the_slot_back_and_the_next_attempt_goes_on(plane: Plane) -> None:
    file = plane.file(
        MARK
        + """
@flow
def whole():
    step("before")
    try:
        hub.sleep(3600)
    finally:
        mark("finally")
    return step("after")
"""
    )
    begun = now_us()
    row = plane.execute(f"{file}:whole")
    assert (row["state_type"], row["state_name"], row["attempt"]) == ("SCHEDULED", "Sleeping", 1)
    assert (row["retries_used"], row["crashes"], row["ended_at"]) == (0, 0, None)
    assert 3590 * SECOND < row["due_at"] - begun < 3700 * SECOND
    assert (marks(plane, "before"), marks(plane, "finally"), marks(plane, "after")) == (1, 1, 0)
    with plane.store.read() as tx:
        assert attempts.claimed(tx) == []
        ended = attempts.get(tx, attempts.attempt_id(row["id"], 1))
    assert ended is not None
    assert ended["state"] == "ENDED"
    # Woken too early it sleeps on, until the same time.
    plane.attempt(row["id"])
    again = plane.row(row["id"])
    assert (again["state_name"], again["due_at"], again["attempt"]) == ("Sleeping", row["due_at"], 2)
    wake(plane, row["id"])
    plane.attempt(row["id"])
    assert plane.row(row["id"])["state_name"] == "Completed"
    assert (marks(plane, "before"), marks(plane, "after")) == (1, 1)
    names = ["Scheduled", "Pending", "Running", "Sleeping", "Pending", "Running", "Sleeping", "Pending", "Running"]
    assert plane.history(row["id"]) == [*names, "Completed"]


def test_a_sleep_shows_how_long_it_was(plane: Plane) -> None:
    @flow
    def whole() -> None:
        hub.sleep(0.05)
        hub.sleep(0.2)

    whole()
    steps = plane.tasks()
    assert [row["ended_at"] for row in steps] == [int(row["result"]) for row in steps]
    assert all(row["ended_at"] > row["started_at"] for row in steps)


def test_an_async_flow_sleeps_likewise(plane: Plane) -> None:
    file = plane.file(
        MARK
        + """
@flow
async def whole():
    step("before")
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0))
        await hub.sleep(hub.sdk.waiting.timedelta(hours=1))
    return step("after")
"""
    )
    row = plane.execute(f"{file}:whole")
    assert row["state_name"] == "Sleeping"
    wake(plane, row["id"])
    plane.attempt(row["id"])
    assert plane.row(row["id"])["result"] == b'"after"'
    assert (marks(plane, "before"), marks(plane, "after")) == (1, 1)


def test_what_was_submitted_ends_first_and_nothing_new_is_called_while_it_leaves(plane: Plane) -> None:
    file = plane.file(
        MARK
        + """
@task
def slow(name):
    time.sleep(0.3)
    return step(name)

@flow
def whole():
    futures = slow.map(["a", "b"])
    try:
        hub.sleep(3600)
    finally:
        step("cleaned")
    return [future.result() for future in futures]
"""
    )
    row = plane.execute(f"{file}:whole")
    assert row["state_name"] == "Sleeping"
    assert (marks(plane, "a"), marks(plane, "b"), marks(plane, "cleaned")) == (1, 1, 0)
    assert {task["state_name"] for task in plane.tasks()} == {"Completed"}
    wake(plane, row["id"])
    plane.attempt(row["id"])
    assert plane.row(row["id"])["result"] == b'["a","b"]'
    assert (marks(plane, "a"), marks(plane, "b"), marks(plane, "cleaned")) == (1, 1, 1)


def test_code_that_swallows_the_departure_leaves_all_the_same(plane: Plane) -> None:
    file = plane.file(
        MARK
        + """
@flow
def whole():
    try:
        hub.sleep(3600)
    except BaseException as error:
        raise ValueError("mine") from error
"""
    )
    row = plane.execute(f"{file}:whole")
    assert row["state_name"] == "Sleeping"
    assert any("ValueError: mine" in line for _, line in plane.logs())


def test_a_cancel_that_comes_while_it_leaves_holds(plane: Plane) -> None:
    file = plane.file("""
import hub
from hub.engine.run import Cancel
from hub.runtime import inline
from hub.runtime.orchestrator import handle
from hub.types import Scope

@flow
def whole():
    try:
        hub.sleep(3600)
    finally:
        handle(inline.home().store, Scope(), runtime_context().run_id, Cancel("enough"))
""")
    row = plane.execute(f"{file}:whole")
    assert (row["state_name"], row["state_message"]) == ("Cancelled", "it left after the cancel was accepted")


def test_why_says_until_when_it_sleeps(plane: Plane) -> None:
    file = plane.file("import hub\n@flow\ndef whole(): hub.sleep(3600)")
    row = plane.execute(f"{file}:whole")
    reason = why(plane.store, plane.settings, SCOPE, row["id"])
    assert (reason.rule, reason.expected_at) == ("sleeping", row["due_at"])
    until = datetime.fromtimestamp(row["due_at"] // SECOND, UTC)
    assert reason.sentence == f"It sleeps until {until:%Y-%m-%d %H:%M:%S} UTC, without a process."


@pytest.mark.parametrize("where", ["task", "thread", "coroutine"])
def test_elsewhere_than_in_the_body_of_the_flow_it_waits_in_place(
    plane: Plane, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_SDK_WAIT_IN_PLACE", "0")
    from hub.settings import load_settings

    plane.settings = load_settings()
    bodies = {
        "task": "@task\ndef nap(): hub.sleep(0.2); return 1\n@flow\ndef whole(): return nap()",
        "thread": "import contextvars, threading\n@flow\ndef whole():\n"
        "    t = threading.Thread(target=contextvars.copy_context().run, args=(hub.sleep, 0.2))\n"
        "    t.start(); t.join(); return 1",
        "coroutine": "@flow\nasync def whole():\n    await asyncio.gather(hub.sleep(0.2)); return 1",
    }
    row = plane.execute(f"{plane.file('import hub' + chr(10) + bodies[where])}:whole")
    assert (row["state_name"], row["attempt"], row["result"]) == ("Completed", 1, b"1")


KILLED = """
import os, signal, sys
from hub.runtime.attempt import execute_attempt
from hub.settings import load_settings
from hub.store import open_hub
settings = load_settings()
execute_attempt(open_hub(settings), settings, sys.argv[1], 1)
"""


@pytest.mark.parametrize("where", ["before", "unwinding", "reporting"])
def test_a_kill_before_and_while_it_leaves_loses_nothing(plane: Plane, where: str) -> None:
    file = plane.file(
        MARK
        + f"""
import signal
from hub.runtime.executor import flowrecord
killed = Path(__file__).with_name("killed")

def die():
    if not killed.exists():
        killed.touch()
        os.kill(os.getpid(), signal.SIGKILL)

if {where == "reporting"}:
    flowrecord.ClaimedRun.leave = lambda *given, real=flowrecord.ClaimedRun.leave: (die(), real(*given))[1]

@flow
def whole():
    step("before")
    if {where == "before"}: hub.now(); die()
    try:
        hub.sleep(3600)
    finally:
        if {where == "unwinding"}: die()
    return step("after")
"""
    )
    run_id = plane.run(f"{file}:whole")
    handle(plane.store, SCOPE, run_id, Dispatch(new_id()))
    begun = subprocess.run([sys.executable, "-c", KILLED, attempts.attempt_id(run_id, 1)], env=os.environ, timeout=60)
    assert begun.returncode == -9
    assert plane.row(run_id)["state_name"] == "Running"
    times = [task["result"] for task in plane.tasks() if task["task_name"] == "sleep"]
    handle(plane.store, SCOPE, run_id, Lose(1, 1, "killed"))
    assert plane.row(run_id)["state_name"] == "Recovering"
    plane.attempt(run_id)
    row = plane.row(run_id)
    assert (row["state_name"], row["crashes"]) == ("Sleeping", 1)
    if where != "before":
        assert [str(row["due_at"]).encode()] == times, "it sleeps until the time that the first attempt has noted"
    wake(plane, run_id)
    plane.attempt(run_id)
    assert plane.row(run_id)["state_name"] == "Completed"
    assert (marks(plane, "before"), marks(plane, "after")) == (1, 1)


def test_a_zombie_that_leaves_late_changes_nothing(plane: Plane) -> None:
    file = plane.file("""
import hub
from hub.engine.run import Lose
from hub.runtime import inline
from hub.runtime.orchestrator import handle
from hub.types import Scope

@flow
def whole():
    try:
        hub.sleep(3600)
    finally:
        handle(inline.home().store, Scope(), runtime_context().run_id, Lose(1, 1, "no beat"))
""")
    run_id = plane.run(f"{file}:whole")
    number = handle(plane.store, SCOPE, run_id, Dispatch(new_id())).attempt
    execute_attempt(plane.store, plane.settings, attempts.attempt_id(run_id, number), 1)
    assert plane.row(run_id)["state_name"] == "Recovering"


def test_a_plain_call_sleeps_in_its_process_and_a_retry_waits_only_for_what_is_left(plane: Plane) -> None:
    seen = []

    @flow(retries=1)
    def whole() -> int:
        seen.append(time.monotonic())
        hub.sleep(0.4)
        if len(seen) == 1:
            raise ValueError("again")
        seen.append(time.monotonic())
        return 1

    assert whole() == 1
    assert seen[2] - seen[0] >= 0.4
    assert [task["task_name"] for task in plane.tasks()] == ["sleep"]
    assert plane.only()["state_name"] == "Completed"


def test_a_cancel_ends_a_sleep_in_place(plane: Plane) -> None:
    file = plane.file("""
import hub, signal
from hub.runtime import inline
from hub.runtime.commands import Command, apply
from hub.types import Scope

@task
def cancel(run_id):
    apply(inline.home().store, Command("run.cancel", Scope(), run_id))
    os.kill(os.getpid(), signal.SIGUSR2)  # as a worker's keeper does

@flow
def whole():
    cancel.submit(runtime_context().run_id)
    hub.sleep(50)
    step()
""")
    begun = time.monotonic()
    row = plane.execute(f"{file}:whole")
    assert row["state_name"] == "Cancelled"
    assert time.monotonic() - begun < 45


def test_outside_a_run_it_is_a_plain_sleep() -> None:
    begun = time.monotonic()
    hub.sleep(0.05)
    hub.sleep_until(datetime.now(UTC) - timedelta(hours=1))
    assert time.monotonic() - begun >= 0.05

    async def both() -> float:
        await hub.sleep(0.05)
        return time.monotonic()

    assert asyncio.run(both()) - begun >= 0.1


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), "1", True, None, 1e12])
def test_wrong_times_are_refused(wrong: Any) -> None:
    with pytest.raises(UsageError, match="not a number of seconds"):
        hub.sleep(wrong)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(UsageError, match="time zone"):
        hub.sleep_until(datetime(2026, 1, 1))


def test_a_task_outside_a_flow_may_sleep() -> None:
    @task
    def nap() -> int:
        hub.sleep(0.01)
        return 1

    assert nap() == 1
