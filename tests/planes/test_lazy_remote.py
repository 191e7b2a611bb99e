"""`map` over iterators with CeleryTaskRunner: chunks are sent as the window allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import Plane
from .test_remote import Workers, answer
from .test_remote import marks as marks
from .test_remote import workers as workers

CODE = """
@task
def double(n):
    Path(os.environ["MARKS"], f"{n}-{time.time_ns()}").touch()
    return n * 2

@task(trigger="all_done")
def last(n): ...

given = []

def numbers(count, broken_at=None):
    for n in range(count):
        given.append(n)
        if n == broken_at and runtime_context().attempt == 1:
            raise OSError("connection lost")
        yield n

def flow_on_workers(chunk=3, **more):
    return flow(task_runner=CeleryTaskRunner(chunk=chunk), **more)

@flow_on_workers()
def windowed():
    stream = double.map(lazy(numbers(40), window=6))
    begun = len(given)
    found = [future.result() for future in stream]
    return [begun, found]

@flow_on_workers()
def completed():
    return sorted(future.result() for future in as_completed(double.map(lazy(numbers(40), window=6))))

@flow_on_workers(chunk=None)
def hundreds():
    return sum(double.map(numbers(250)).result())

@flow_on_workers(retries=1)
def broken():
    return sum(double.map(numbers(10, broken_at=7)).result())

@flow_on_workers()
def unsendable():
    return double.map(iter([1, 2, 3, object()])).result()

@flow_on_workers()
def refused():
    last.map(iter([1]))
"""


@pytest.fixture
def code(plane: Plane, marks: Any) -> str:
    return str(plane.file(CODE))


def chunks(plane: Plane) -> list[str]:
    return [row["name"] for row in plane.rows() if row["origin"] == "tasks"]


@pytest.mark.parametrize("name", ["windowed", "completed"])
def test_chunks_are_sent_as_the_window_allows(plane: Plane, code: str, workers: Workers, name: str) -> None:
    waiting: list[int] = []

    def counts(_: str) -> bool:
        waiting.append(sum(row["origin"] == "tasks" and row["state_type"] == "SCHEDULED" for row in plane.rows()))
        return True

    workers.meets = counts
    found = answer(plane, code, name)
    if name == "windowed":
        assert found == [6, [2 * n for n in range(40)]]
    else:
        assert found == [2 * n for n in range(40)]
    assert len(chunks(plane)) == 14
    assert max(waiting) <= 2, "two chunks of three are the window"


def test_without_a_size_a_hundred_calls_travel_together(plane: Plane, code: str, workers: Workers) -> None:
    assert answer(plane, code, "hundreds") == sum(2 * n for n in range(250))
    assert sorted(chunks(plane)) == ["double-0 to double-99", "double-100 to double-199", "double-200 to double-249"]


def test_a_new_attempt_finds_the_chunks_that_were_sent(plane: Plane, code: str, workers: Workers, marks: Path) -> None:
    run_id = plane.run(f"{code}:broken", retry_policy={"retries": 1})
    plane.attempt(run_id)
    assert plane.row(run_id)["state_name"] == "AwaitingRetry"
    assert len(chunks(plane)) == 2, "what the error cut short was not sent"
    plane.attempt(run_id)
    assert plane.row(run_id)["result"] == b"90"
    assert len(list(marks.iterdir())) == 10


def test_what_cannot_be_sent_is_said(plane: Plane, code: str, workers: Workers) -> None:
    for name, told in (("unsendable", "cannot be sent to a worker"), ("refused", "cannot follow")):
        row = plane.execute(f"{code}:{name}")
        assert row["state_name"] == "Failed"
        assert told in row["error_message"]
