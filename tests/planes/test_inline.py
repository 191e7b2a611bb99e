"""Flows called as plain functions, on every store."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hub import (
    as_completed,
    flow,
    runtime_context,
    task,
    unmapped,
    wait,
)
from hub.errors import ParameterError, RunFailed, UsageError

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any


@task
def add(a: int, b: int = 1) -> int:
    return a + b


@task
def fail(text: str = "no") -> None:
    raise ValueError(text)


@task
async def later(n: int, seconds: float = 0.01) -> int:
    await asyncio.sleep(seconds)
    return n


def test_a_call_leaves_a_run_its_tasks_and_their_history(plane: Plane) -> None:
    @flow(tags=["b", "a"])
    def whole(n: int) -> int:
        return add(add(n), b=5)

    assert whole("3") == 9  # type: ignore[arg-type]
    run = plane.only()
    assert (run["state_name"], run["result"], run["result_format"]) == ("Completed", b"9", "json")
    assert (run["home"], run["origin"], run["parameters"], run["tags"]) == ("inline", "call", {"n": 3}, ["a", "b"])
    assert plane.history(run["id"]) == ["Scheduled", "Running", "Completed"]
    tasks = plane.tasks()
    assert [(t["name"], t["state_name"], t["result"], t["attempt"]) for t in tasks] == [
        ("add-0", "Completed", b"4", 1), ("add-1", "Completed", b"9", 1),
    ]  # fmt: skip
    assert plane.history(run["id"], tasks[0]["id"]) == ["Running", "Completed"]
    assert all(t["created_at"] <= t["started_at"] <= t["ended_at"] for t in tasks)


def test_what_user_code_raises_reaches_the_caller_unchanged(plane: Plane) -> None:
    error = KeyError("x")

    @flow
    def breaks() -> None:
        raise error

    with pytest.raises(KeyError) as caught:
        breaks()
    assert caught.value is error
    run = plane.only()
    assert (run["state_name"], run["error_type"], run["error_message"]) == ("Failed", "KeyError", "KeyError: 'x'")
    assert "in breaks" in run["error_trace"]
    assert "hub/runtime" not in run["error_trace"]


def test_wrong_parameters_are_refused_before_there_is_a_run(plane: Plane) -> None:
    @flow
    def whole(n: int) -> None: ...

    with pytest.raises(ParameterError, match="n: expected a valid integer"):
        whole("x")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="missing a required argument"):
        whole()  # type: ignore[call-arg]
    assert plane.rows() == []


def test_submitted_tasks_run_beside_each_other_and_wait_for_their_upstream(plane: Plane) -> None:
    gate = threading.Barrier(2, timeout=10)

    @task
    def meet(n: int) -> int:
        gate.wait()
        return n

    @flow
    def whole() -> int:
        first, second = meet.submit(1), meet.submit(2)
        total = add.submit(first, second)
        nested = add.submit(total, b=sum([1]))
        return add([nested][0], 0)  # type: ignore[arg-type]

    assert whole() == 4
    rows = {t["name"]: t for t in plane.tasks()}
    assert rows["add-0"]["upstream"] == [rows["meet-0"]["id"], rows["meet-1"]["id"]]
    assert plane.history(plane.only()["id"], rows["add-0"]["id"]) == ["Pending", "Running", "Completed"]


def test_futures_inside_containers_become_their_results(plane: Plane) -> None:
    @task
    def total(parts: dict[str, list[int]]) -> int:
        return sum(parts["a"])

    @flow
    def whole() -> int:
        return total({"a": [add.submit(1), 5]})  # type: ignore[list-item]

    assert whole() == 7


def test_a_task_whose_upstream_failed_does_not_run(plane: Plane) -> None:
    @flow
    def whole() -> str:
        future = add.submit(fail.submit())
        with pytest.raises(RunFailed, match="add-0 did not run: fail-0, whose result it needs, has failed") as caught:
            future.result()
        assert isinstance(caught.value.__cause__, ValueError)
        return future.state.name

    assert whole() == "Failed"
    rows = {t["name"]: t for t in plane.tasks()}
    assert rows["add-0"]["state_message"] == "upstream fail-0 failed: ValueError: no"
    assert rows["add-0"]["started_at"] is None
    assert rows["add-0"]["error_type"] == "RunFailed"


def test_map_over_a_hundred_items_keeps_their_order(plane: Plane) -> None:
    @flow
    def whole() -> list[int]:
        futures = add.map(range(100), unmapped(1000))
        done, rest = wait(futures)
        assert (len(done), rest) == (100, set())
        assert len(list(as_completed(futures))) == 100
        return futures.result()

    assert whole() == [n + 1000 for n in range(100)]
    assert {t["state_name"] for t in plane.tasks()} == {"Completed"}
    assert len({t["journal_key"] for t in plane.tasks()}) == 100


def test_map_refuses_what_it_cannot_take_apart(plane: Plane) -> None:
    @flow
    def whole() -> None:
        with pytest.raises(UsageError, match="nothing to iterate"):
            add.map(1, "text")
        with pytest.raises(UsageError, match="a has 2, b has 3"):
            add.map([1, 2], b=[1, 2, 3])
        assert add.map(add.submit(1).result() for _ in range(2)).result() == [3, 3]

    whole()


def test_more_waiting_tasks_than_threads_do_not_deadlock(plane: Plane) -> None:
    @task
    def fib(n: int) -> int:
        if n < 2:
            return n
        left, right = fib.submit(n - 1), fib.submit(n - 2)
        return left.result() + right.result()

    @task
    def chain(n: int) -> int:
        return 0 if n == 0 else chain.with_options(timeout_seconds=60).submit(n - 1).result() + 1

    @flow(max_threads=2)
    def whole() -> tuple[int, int]:
        return fib.submit(8).result(timeout=60), chain.submit(12).result(timeout=60)

    assert whole() == (21, 12)


def test_nested_flows_are_runs_of_their_own(plane: Plane) -> None:
    @flow
    def inner(n: int) -> int:
        return add(n)

    @flow
    def outer() -> int:
        return inner(add.submit(1))  # type: ignore[arg-type]

    assert outer() == 3
    child, parent = plane.only("inner"), plane.only("outer")
    step = next(t for t in plane.tasks(parent["id"]) if t["task_name"] == "inner")
    assert (child["parent_run_id"], child["parent_task_run_id"]) == (parent["id"], step["id"])
    assert (child["state_name"], child["home"], child["origin"]) == ("Completed", "inline", "flow")
    assert [t["name"] for t in plane.tasks(child["id"])] == ["add-0"]


def test_a_nested_flow_that_fails_fails_its_caller_unless_it_is_caught(plane: Plane) -> None:
    @flow(retries=1)
    def inner(n: int) -> None:
        fail(f"inner {n}")

    @flow
    def outer() -> str:
        with pytest.raises(ValueError, match="inner 1"):
            inner(1)
        inner(2)
        return "not reached"

    with pytest.raises(ValueError, match="inner 2"):
        outer()
    assert [(r["flow_name"], r["state_name"], r["attempt"]) for r in plane.rows()] == [
        ("outer", "Failed", 1), ("inner", "Failed", 2), ("inner", "Failed", 2),
    ]  # fmt: skip


def test_with_the_journal_off_flows_run_and_leave_nothing(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_JOURNAL", "off")

    @flow(retries=1)
    def inner() -> int:
        if runtime_context().attempt == 1:  # type: ignore[union-attr]
            fail()
        return sum(add.map([1, 2]).result())

    @flow
    def whole() -> int:
        return inner()

    assert whole() == 5
    assert plane.rows() == []


def test_a_task_outside_a_flow_is_a_function_with_retries(plane: Plane) -> None:
    calls: list[int] = []

    @task(retries=1)
    def step() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError
        return len(calls)

    assert step() == 2
    assert add.submit(1).result() == 2
    assert asyncio.run(later(3)) == 3
    assert plane.rows() == []
    assert plane.tasks() == []
