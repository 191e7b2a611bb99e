"""Tasks that do what no task should: each ends in a clear state with a clear text, and nothing is stuck.

Elsewhere: stores that are away, full or refuse credentials (test_result_stores, test_journal, unit/resultstores), tasks
that never return (test_timeouts, test_give_up), processes that die (test_process_runner, test_remote).
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub import flow, task
from hub.errors import UsageError

from .conftest import Plane
from .test_remote import Workers
from .test_remote import workers as workers

CODE = """
import multiprocessing, threading

class NoText(Exception):
    def __str__(self):
        raise KeyError("no text")
    __repr__ = __str__

class NoHash:
    __hash__ = None
    def __eq__(self, other):
        raise ValueError("not to be compared")

@task
def large_text():
    raise ValueError("x" * 10_000_000)

@task
def no_text():
    raise NoText

@task
def unimportable():
    class Local(Exception):
        pass
    error = Local("of a class that only this function knows")
    error.lock = threading.Lock()
    raise error

@task
def exits():
    sys.exit(3)

@task
def recurses():
    return recurses.fn() + 1

@task
def forks():
    child = os.fork()
    if child == 0:
        os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

@task
def processes():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(abs, [-1, -2])

@task
def threads():
    found = []
    thread = threading.Thread(target=lambda: found.append(1))
    thread.start()
    thread.join()
    return found

@task
def takes(value):
    return 1

@task
def gives():
    return threading.Lock()

GIVEN = {"unsendable": threading.Lock, "unhashable": NoHash}

def told(name):
    call = (lambda: takes.submit(GIVEN[name]())) if name in GIVEN else globals()[name].submit
    future = call()
    error = future.exception()
    if error is None:
        value = future.result()
        return [future.state.name, type(value).__name__ if name == "gives" else value]
    return [future.state.name, type(error).__name__, getattr(error, "detail", ""), getattr(error, "hint", "")]

@flow
def on_threads(name):
    return told(name)

@flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
def on_processes(name):
    return told(name)

@flow(task_runner=CeleryTaskRunner())
def on_workers(name):
    return told(name)

@flow
def called(name):
    try:
        return globals()[name]()
    except BaseException as error:
        return type(error).__name__
"""
FAILS = {
    "large_text": ("ValueError", "ValueError: xxx"),
    "no_text": ("NoText", "NoText: (its text cannot be made)"),
    "unimportable": ("Local", "Local: of a class that only this function knows"),
    "exits": ("SystemExit", "SystemExit: 3"),
    "recurses": ("RecursionError", "RecursionError: maximum recursion depth"),
}
WORKS: dict[str, Any] = {"forks": 7, "processes": [1, 2], "threads": [1]}


def answer(plane: Plane, runner: str, name: str) -> list[Any]:
    row = plane.execute(f"{plane.file(CODE)}:on_{runner}", {"name": name})
    assert row["state_name"] == "Completed", (row["state_message"], row["error_trace"])
    found: list[Any] = json.loads(row["result"])
    assert {task["state_type"] for task in plane.tasks()} <= {"COMPLETED", "FAILED"}, "nothing is left open"
    return found


@pytest.mark.parametrize("name", FAILS)
@pytest.mark.parametrize("runner", ["threads", "processes", "workers"])
@pytest.mark.long("sqlite-processes", "postgresql-threads")
def test_what_fails_says_how(plane: Plane, workers: Workers, runner: str, name: str) -> None:
    state, error, *_ = answer(plane, runner, name)
    kind, text = FAILS[name]
    assert state == "Failed"
    assert error in (kind, "RunFailed")
    (row,) = plane.tasks()
    assert text in row["error_message"]
    assert len(row["error_message"]) + len(row["state_message"]) + len(row["error_trace"] or "") < 100_000
    assert row["error_class"] == "user_error"


@pytest.mark.parametrize("name", WORKS)
@pytest.mark.parametrize("runner", ["threads", "processes", "workers"])
@pytest.mark.long("sqlite")
def test_what_starts_processes_and_threads_works(plane: Plane, workers: Workers, runner: str, name: str) -> None:
    assert answer(plane, runner, name) == ["Completed", WORKS[name]]


@pytest.mark.parametrize("name", ["exits", "recurses", "no_text"])
def test_a_direct_call_raises_it_to_the_flow(plane: Plane, name: str) -> None:
    row = plane.execute(f"{plane.file(CODE)}:called", {"name": name})
    assert json.loads(row["result"]) == FAILS[name][0]


@pytest.mark.parametrize("runner", ["threads", "processes", "workers"])
@pytest.mark.long("sqlite-processes")
def test_arguments_that_cannot_be_hashed_or_sent(plane: Plane, workers: Workers, runner: str) -> None:
    for name in ("unhashable", "unsendable"):
        if runner == "workers":
            row = plane.execute(f"{plane.file(CODE)}:on_workers", {"name": name})
            assert row["state_name"] == "Failed"
            assert "arguments of task takes cannot be sent to a worker as JSON" in row["error_message"]
        elif runner == "processes" and name == "unsendable":
            state, error, detail, hint = answer(plane, runner, name)
            assert (state, error, hint) == ("Failed", "UsageError", "Pass what pickle can carry.")
            assert "arguments cannot be sent to a process" in detail
        else:
            assert answer(plane, runner, name) == ["Completed", 1]


@pytest.mark.parametrize("runner", ["threads", "processes", "workers"])
@pytest.mark.long("sqlite-processes")
def test_results_that_cannot_be_kept(plane: Plane, workers: Workers, runner: str) -> None:
    found = answer(plane, runner, "gives")
    if runner == "threads":
        assert found == ["Completed", "lock"]
        assert any("lives in memory only" in line or "not kept" in line for _, line in plane.logs()), plane.logs()
        return
    if runner == "workers":
        assert found[:2] == ["Failed", "RunFailed"]
        assert "UsageError: the result (lock) cannot be written as json" in found[2]
        assert 'result_serializer="pickle"' in found[2], "a hint"
        return
    said = "its result cannot be sent back from its process"
    assert found[1] == "UsageError"
    assert said in found[2]
    assert found[3], "a hint"


@pytest.mark.long("postgresql")
def test_flows_two_hundred_deep(plane: Plane) -> None:
    @task
    def bottom() -> int:
        return 0

    @flow
    def down(depth: int) -> int:
        return bottom() if depth == 0 else 1 + down(depth - 1)

    @flow
    async def down_on_loop(depth: int) -> int:
        return bottom() if depth == 0 else 1 + await down_on_loop(depth - 1)

    assert down(200) == 200
    assert asyncio.run(down_on_loop(200)) == 200
    assert {row["state_type"] for row in plane.rows()} == {"COMPLETED"}
    assert len(plane.rows()) == 402


@pytest.mark.long("sqlite")
def test_flows_without_an_end_fail_clearly(plane: Plane) -> None:
    @flow
    def down(depth: int) -> int:
        return 1 + down(depth + 1)

    with pytest.raises(UsageError, match="down is nested more than 250 deep"):
        down(0)
    assert {row["state_name"] for row in plane.rows()} == {"Failed"}
    assert {row["error_type"] for row in plane.rows()} == {"UsageError"}
    assert {row["state_name"] for row in plane.tasks()} == {"Failed"}


def test_generators_that_misbehave(plane: Plane) -> None:
    @task
    def stops() -> Iterator[int]:
        yield 1
        raise StopIteration

    @task
    def fails_at_its_end() -> Iterator[int]:
        try:
            yield 1
        finally:
            raise ValueError("not tidy")

    @task
    def gives_itself() -> Iterator[Any]:
        yield gives_itself
        yield (n for n in range(3))

    @flow
    def whole() -> list[str]:
        calls = (stops, fails_at_its_end, gives_itself)
        return [type(call.submit().exception()).__name__ for call in calls]

    assert whole() == ["RuntimeError", "ValueError", "NoneType"]
    assert [row["state_type"] for row in plane.tasks()] == ["FAILED", "FAILED", "COMPLETED"]


SCRIPT = """
import os, sys
from hub import flow, task

@task
def closes():
    print("before")
    sys.stdout.close()
    os.close(1)

@task
def moves():
    os.chdir("/")
    os.umask(0o077)

@task
def prints(n):
    print("after")
    return "x" * 100_000

@flow(log_prints=True)
def whole():
    closes()
    moves()
    return [len(text) for text in prints.map([1, 2]).result()]

found = whole()
os.write(2, repr(found).encode())
"""


@pytest.mark.long("sqlite")
def test_a_task_that_closes_stdout_and_moves_away(plane: Plane, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=dict(os.environ), cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.stderr.strip().endswith("[100000, 100000]"), done.stderr
    assert plane.only()["state_name"] == "Completed"
    assert [line for _, line in plane.logs()].count("after") == 2
