"""State hooks that the process of their run could not call: a worker does, on every store."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
from hub import flow, task
from hub.engine.run import Cancel, Dispatch, Lose
from hub.errors import UsageError
from hub.plugins import load_plugins
from hub.runtime import hookruns
from hub.runtime.commands import Command, apply
from hub.runtime.deploying import document
from hub.runtime.effects import Effects
from hub.runtime.loader import load_flow
from hub.runtime.orchestrator import handle
from hub.store import effects, hooks, run_details
from hub.types import new_id
from sqlalchemy import select

from .conftest import SCOPE
from .test_attempt import child, dispatched, until

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

FLOW = """
HERE = Path(__file__).parent

def note(of, run, state):
    with open(HERE / "told", "a") as out:
        out.write(f"{of.name} {run.name} {run.parameters} {state.name} {os.getpid()} {flow_run.id == run.id}\\n")
    get_run_logger().info("noted")

async def note_later(of, run, state):
    note(of, run, state)

from hub.runtime import flow_run

@flow(on_completion=[note], on_failure=[note], on_cancellation=[note], on_crashed=[note, note_later])
def whole(n: int = 0):
    (HERE / "begun").touch()
    if n == 1: raise ValueError("no")
    if n == 2: time.sleep(60)
    return n

@flow
def plain(): ...

@flow(on_cancellation=[note])
def broken(): ...
@broken.on_cancellation
def breaks(of, run, state): raise KeyError("oh")
"""

DIES_AFTER_ITS_REPORT = """
import os, signal
from hub.runtime.executor import flowrecord
report = flowrecord.Stored._handle
def dies(self, *given, **columns):
    report(self, *given, **columns)
    os.kill(os.getpid(), signal.SIGKILL)
flowrecord.Stored._handle = dies
"""


def owed(plane: Plane) -> list[dict[str, Any]]:
    with plane.store.read() as tx:
        query = select(effects.TABLE).where(effects.TABLE.c.kind == hooks.KIND)
        return [dict(row) for row in tx.conn.execute(query).mappings()]


def send(plane: Plane) -> list[dict[str, Any]]:
    """What upkeep does about calls that are owed, whenever they are due; gives the runs that make them."""
    with plane.store.write() as tx:
        tx.conn.execute(effects.TABLE.update().values(due_at=0))
    loaded = load_plugins(plane.settings, process="upkeep", store=plane.store, found=[])
    Effects(loaded.context, (hooks.KIND,)).step()
    return [row for row in plane.rows() if row["origin"] == hooks.ORIGIN]


def told(plane: Plane) -> list[str]:
    path = plane.folder / "told"
    return path.read_text().splitlines() if path.exists() else []


def crash(plane: Plane, run_id: str) -> None:
    for attempt in (1, 2, 3):
        if attempt > 1:
            handle(plane.store, SCOPE, run_id, Dispatch(new_id()))
        handle(plane.store, SCOPE, run_id, Lose(attempt, 1, "its process has ended"))
    assert plane.row(run_id)["state_name"] == "Crashed"


def lines_of(plane: Plane, run_id: str) -> list[str]:
    with plane.store.read() as tx:
        query = select(run_details.LOGS).where(run_details.LOGS.c.run_id == run_id).order_by(run_details.LOGS.c.id)
        return [row["message"] for row in tx.conn.execute(query).mappings()]


@pytest.mark.long("sqlite")
def test_hooks_of_a_run_whose_processes_were_killed_are_called_by_a_worker(plane: Plane) -> None:
    file = plane.file(FLOW)
    run_id, key = dispatched(plane, f"{file}:whole", parameters={"n": 2})
    with child(key) as worker:
        until(lambda: (plane.folder / "begun").exists())
        worker.send_signal(signal.SIGKILL)
        worker.wait(20)
    crash(plane, run_id)
    (run,) = send(plane)
    assert (run["parent_run_id"], run["flow_name"], run["name"]) == (run_id, "f", "on_crashed of a-run")
    plane.attempt(run["id"])
    assert plane.row(run["id"])["state_name"] == "Completed"
    assert [line.rpartition(" ")[0].rpartition(" ")[0] for line in told(plane)] == ["whole a-run {'n': 2} Crashed"] * 2
    assert all(line.endswith("True") for line in told(plane))
    assert lines_of(plane, run_id) == [f"on_crashed: 2 hooks called by a worker, in run {run['id']}"]
    assert lines_of(plane, run["id"]) == ["noted", "noted"]
    assert send(plane) == [plane.row(run["id"])], "once"


@pytest.mark.parametrize(("n", "event"), [(0, "on_completion"), (1, "on_failure")])
@pytest.mark.long("sqlite-1", "postgresql-0")
def test_hooks_are_called_though_the_process_dies_between_the_end_and_its_hooks(
    plane: Plane, n: int, event: str
) -> None:
    file = plane.file(FLOW)
    run_id, key = dispatched(plane, f"{file}:whole", parameters={"n": n})
    with child(key, before=DIES_AFTER_ITS_REPORT) as worker:
        assert worker.wait(30) == -signal.SIGKILL
    assert plane.row(run_id)["ended_at"] is not None
    assert (told(plane), [row["done_at"] for row in owed(plane)]) == ([], [None])
    (run,) = send(plane)
    plane.attempt(run["id"])
    (line,) = told(plane)
    assert ("Failed" if n else "Completed") in line
    assert lines_of(plane, run_id)[-1].startswith(f"{event}: 1 hook called by a worker")


def test_what_the_process_of_the_run_has_called_is_not_called_again(plane: Plane) -> None:
    file = plane.file(FLOW)
    assert plane.execute(f"{file}:whole")["state_hooks"] == [
        "on_cancellation", "on_completion", "on_crashed", "on_failure",
    ]  # fmt: skip
    assert [row["done_at"] is not None for row in owed(plane)] == [True]
    assert (send(plane), len(told(plane))) == ([], 1)


def test_a_process_that_may_still_call_them_is_given_time(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    file = plane.file(FLOW)
    monkeypatch.setattr("hub.runtime.executor.flowrecord.Stored.told", lambda _: None)
    run_id = plane.run(f"{file}:whole")
    plane.attempt(run_id)
    assert send(plane) == []
    monkeypatch.setattr(hookruns, "_PATIENCE_S", -1)
    with plane.store.write() as tx:
        tx.conn.execute(effects.TABLE.update().values(claimed_until=None))
    (run,) = send(plane)
    assert run["parent_run_id"] == run_id


def test_hooks_of_a_run_that_never_began(plane: Plane) -> None:
    file = plane.file(FLOW)
    made = document(load_flow(f"{file}:whole"), {})
    apply(plane.store, Command("deployment.set", SCOPE, "whole", {"name": "whole", **made}))
    run_id = apply(plane.store, Command("run.create", SCOPE, "whole", {"parameters": {"n": 5}})).result["id"]
    apply(plane.store, Command("run.cancel", SCOPE, run_id))
    (run,) = send(plane)
    plane.attempt(run["id"])
    (line,) = told(plane)
    assert "{'n': 5} Cancelled" in line


def test_a_flow_without_hooks_owes_nothing(plane: Plane) -> None:
    file = plane.file(FLOW)
    row = plane.execute(f"{file}:plain")
    assert (row["state_hooks"], owed(plane)) == ([], [])


def test_a_file_that_no_longer_imports_is_told_in_the_log_of_the_run(plane: Plane) -> None:
    file = plane.file(FLOW)
    run_id, _ = dispatched(plane, f"{file}:whole", state_hooks=["on_crashed"])
    crash(plane, run_id)
    file.write_text("import nowhere_at_all\n")
    (run,) = send(plane)
    plane.attempt(run["id"])
    assert plane.row(run["id"])["state_name"] == "Failed"
    (line,) = lines_of(plane, run_id)
    assert line.startswith("on_crashed could not be called: ")
    assert "No module named 'nowhere_at_all'" in line


def test_a_hook_that_raises_there_is_told_in_the_log_of_the_run(plane: Plane) -> None:
    file = plane.file(FLOW)
    run_id, _ = dispatched(plane, f"{file}:broken", state_hooks=["on_cancellation"])
    handle(plane.store, SCOPE, run_id, Cancel("not wanted"))
    (run,) = send(plane)
    plane.attempt(run["id"])
    assert plane.row(run["id"])["state_name"] == "Completed"
    assert lines_of(plane, run_id) == [
        f"on_cancellation: 2 hooks called by a worker, in run {run['id']}",
        "the hook breaks for Cancelled raised KeyError: 'oh'",
    ]
    assert len(told(plane)) == 1


def test_hooks_of_a_plain_call_are_found_in_its_file(plane: Plane) -> None:
    found = load_flow(f"{plane.file(FLOW)}:whole")
    assert found(3) == 3
    assert plane.only("whole")["entrypoint"] == f"{plane.folder / 'flows.py'}:whole"

    @flow(on_completion=[print])
    def local() -> None: ...

    local()
    assert (plane.only("local")["state_hooks"], plane.only("local")["entrypoint"]) == ([], None)


def test_tasks_have_no_hooks_for_crashes() -> None:
    with pytest.raises(UsageError, match="@task has no option 'on_crashed'"):
        task(on_crashed=[print])(lambda: None)  # type: ignore[call-overload]


def test_on_crashed_is_a_decorator_too() -> None:
    @flow
    def whole() -> None: ...

    assert whole.on_crashed(print) is print
    assert whole.options.hooks == {"on_crashed": (print,)}
