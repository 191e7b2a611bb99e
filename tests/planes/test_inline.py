"""Flows called as plain functions, on every store."""
# ruff: noqa: T201 - printing is what some of these flows are about

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hub import (
    as_completed,
    exponential_backoff,
    flow,
    get_run_logger,
    runtime_context,
    task,
    unmapped,
    wait,
)
from hub.errors import ParameterError, RunFailed, RunTimedOut, UsageError

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


# --- retries -------------------------------------------------------------------------------------------------------


class Counted:
    """Raises `errors` one after the other, then returns how often it was called."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.times: list[float] = []

    def __call__(self) -> int:
        self.times.append(time.monotonic())
        if self.errors:
            raise self.errors.pop(0)
        return len(self.times)

    @property
    def gaps(self) -> list[float]:
        return [b - a for a, b in zip(self.times, self.times[1:], strict=False)]


def retried(counted: Counted, **options: Any) -> int:
    @task(**options)
    def step() -> int:
        return counted()

    @flow
    def whole() -> int:
        return step()

    return whole()


def test_a_task_is_tried_again_as_often_as_it_says(plane: Plane) -> None:
    assert retried(Counted(ValueError(), ValueError()), retries=2) == 3
    with pytest.raises(ValueError, match="third"):
        retried(Counted(ValueError(), ValueError(), ValueError("third")), retries=2)
    rows = plane.tasks()
    assert [(t["state_name"], t["attempt"], t["retries_used"]) for t in rows] == [("Completed", 3, 2), ("Failed", 3, 2)]
    assert plane.history(rows[0]["run_id"], rows[0]["id"]) == [
        "Running", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying", "Completed",
    ]  # fmt: skip


def test_delays_are_fixed_listed_or_growing(plane: Plane) -> None:
    fixed, listed = Counted(*[OSError()] * 2), Counted(*[OSError()] * 3)
    growing, capped = Counted(*[OSError()] * 3), Counted(*[OSError()] * 3)
    retried(fixed, retries=2, retry_delay_seconds=0.05)
    retried(listed, retries=3, retry_delay_seconds=[0.0, 0.1])
    retried(growing, retries=3, retry_delay_seconds=exponential_backoff(0.04, factor=3))
    retried(
        capped, retries=3, retry_delay_seconds=exponential_backoff(0.05, factor=100), retry_delay_cap=0.06,
        retry_jitter_factor=0.5,
    )  # fmt: skip
    assert all(0.05 <= gap < 5 for gap in fixed.gaps)
    assert all(gap >= 0.1 for gap in listed.gaps[1:])
    assert growing.gaps[0] >= 0.04
    assert growing.gaps[1] >= 0.12
    assert growing.gaps[2] >= 0.36
    assert capped.gaps[0] >= 0.025
    assert all(gap >= 0.03 for gap in capped.gaps[1:])


def test_only_wanted_errors_are_tried_again(plane: Plane) -> None:
    assert retried(Counted(TimeoutError()), retries=3, retry_on=(TimeoutError, KeyError)) == 2
    only_type = Counted(ValueError("type"))
    with pytest.raises(ValueError, match="type"):
        retried(only_type, retries=3, retry_on=KeyError)
    only_text = Counted(ValueError("again"), ValueError("stop"))
    with pytest.raises(ValueError, match="stop"):
        retried(only_text, retries=3, retry_condition=lambda error: "again" in str(error))
    broken = Counted(ValueError("first"))
    with pytest.raises(ValueError, match="first"):
        retried(broken, retries=3, retry_condition=lambda error: 1 / 0)
    assert [len(c.times) for c in (only_type, only_text, broken)] == [1, 2, 1]


def test_a_flow_is_tried_again_and_does_not_repeat_finished_tasks(plane: Plane) -> None:
    calls: list[int] = []

    @task
    def counted(n: int) -> int:
        calls.append(n)
        return n

    @flow(retries=2, retry_delay_seconds=0.01)
    def whole() -> list[int]:
        found = [counted(n) for n in (1, 1, 2)]
        context = runtime_context()
        assert context is not None
        if context.attempt < 3:
            fail()
        return found

    assert whole() == [1, 1, 2]
    assert calls == [1, 1, 2]
    run = plane.only()
    assert (run["attempt"], run["retries_used"], run["state_name"]) == (3, 2, "Completed")
    names = ["Scheduled", "Running", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying", "Completed"]
    assert plane.history(run["id"]) == names


# --- timeouts ------------------------------------------------------------------------------------------------------


def test_a_blocking_task_in_the_main_thread_is_interrupted(plane: Plane, tmp_path: Path) -> None:
    after = tmp_path / "after"

    @task(timeout_seconds=0.5)
    def sleeps() -> None:
        with contextlib.suppress(Exception):  # a broad except must not keep it alive
            time.sleep(30)
        after.write_text("its next line ran")

    @flow
    def whole() -> None:
        sleeps()

    begin = time.monotonic()
    with pytest.raises(RunTimedOut, match=r"task sleeps-0 was over its timeout of 0\.5 s"):
        whole()
    assert time.monotonic() - begin < 2
    assert not after.exists()
    (row,) = plane.tasks()
    assert (row["state_name"], row["state_type"], row["error_type"]) == ("TimedOut", "FAILED", "RunTimedOut")
    assert plane.only()["state_name"] == "Failed"


def test_a_blocking_task_on_a_thread_is_given_up_at_once(plane: Plane, tmp_path: Path) -> None:
    after = tmp_path / "after"
    release = threading.Event()
    given_up: list[threading.Thread] = []

    @task(timeout_seconds=0.5)
    def sleeps() -> None:
        given_up.append(threading.current_thread())
        release.wait(30)
        after.write_text("its next line ran")

    @flow
    def whole() -> str:
        future = sleeps.submit()
        with pytest.raises(RunTimedOut):
            future.result()
        return future.state.name

    begin = time.monotonic()
    assert whole() == "TimedOut"
    assert time.monotonic() - begin < 2
    release.set()
    given_up[0].join(10)
    assert not after.exists()


def test_a_timeout_is_retried_like_other_failures(plane: Plane) -> None:
    seen: list[int] = []

    @task(timeout_seconds=0.2, retries=1, retry_on=TimeoutError)
    def sometimes() -> int:
        seen.append(1)
        if len(seen) == 1:
            time.sleep(30)
        return len(seen)

    @flow
    def whole() -> int:
        return sometimes()

    assert whole() == 2


def test_an_async_task_over_its_timeout_is_cancelled(plane: Plane) -> None:
    cleaned: list[bool] = []

    @task(timeout_seconds=0.2)
    async def hangs() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            cleaned.append(True)

    @flow
    async def whole() -> None:
        await hangs()

    with pytest.raises(RunTimedOut):
        asyncio.run(whole())
    assert cleaned == [True]
    assert plane.tasks()[0]["state_name"] == "TimedOut"


@pytest.mark.parametrize("where", ["main", "thread"])
def test_a_flow_over_its_timeout_stops_with_its_tasks(plane: Plane, where: str) -> None:
    @task
    def sleeps() -> None:
        time.sleep(30)

    @flow(timeout_seconds=0.5)
    def whole() -> None:
        sleeps()

    caught: list[BaseException] = []

    def call() -> None:
        try:
            whole()
        except BaseException as error:
            caught.append(error)

    begin = time.monotonic()
    if where == "main":
        call()
    else:
        thread = threading.Thread(target=call)
        thread.start()
        thread.join(20)
    assert time.monotonic() - begin < 5
    assert isinstance(caught[0], RunTimedOut)
    run = plane.only()
    assert (run["state_name"], run["error_type"]) == ("TimedOut", "TimedOut")
    assert plane.tasks()[0]["state_name"] == "Cancelled"


def test_nested_limits_each_end_what_is_theirs(plane: Plane) -> None:
    @task(timeout_seconds=0.2)
    def short() -> None:
        time.sleep(30)

    @task(timeout_seconds=20)
    def long() -> str:
        with pytest.raises(RunTimedOut):
            short()
        return "goes on"

    @flow(timeout_seconds=30)
    def whole() -> tuple[str, str]:
        return long(), long.submit().result()

    assert whole() == ("goes on", "goes on")


# --- async ---------------------------------------------------------------------------------------------------------


def test_async_flows_run_on_the_callers_loop(plane: Plane) -> None:
    loops: list[object] = []

    @task
    async def here(n: int) -> int:
        loops.append(asyncio.get_running_loop())
        return await later(n)

    @flow
    async def inner(n: int) -> int:
        return await here(n)

    @flow
    async def whole() -> list[int]:
        loops.append(asyncio.get_running_loop())
        both = await asyncio.gather(here(1), inner(2))
        future = here.submit(3)
        mixed = add.submit(future, 1)
        with pytest.raises(UsageError, match="would block the event loop"):
            future.result()
        return [*both, await future, await mixed, add(9)]

    assert asyncio.run(whole()) == [1, 2, 3, 4, 10]
    assert len(set(loops)) == 1
    assert {r["state_name"] for r in plane.rows()} == {"Completed"}
    assert {t["state_name"] for t in plane.tasks()} == {"Completed"}


def test_a_sync_flow_submits_async_tasks_to_one_loop_of_its_own(plane: Plane) -> None:
    loops: set[object] = set()

    @task
    async def here(n: int) -> int:
        loops.add(asyncio.get_running_loop())
        await asyncio.sleep(0.05)
        return n

    @flow
    def whole() -> list[int]:
        begin = time.monotonic()
        found = here.map(range(50)).result()
        assert time.monotonic() - begin < 2.4  # 50 sleeps one after the other would take longer
        return found

    assert whole() == list(range(50))
    assert len(loops) == 1


def test_a_cancelled_coroutine_is_a_cancelled_run(plane: Plane) -> None:
    @flow
    async def whole() -> None:
        await later(1, seconds=30)

    async def impatient() -> None:
        await asyncio.wait_for(whole(), 0.3)

    with pytest.raises(TimeoutError):
        asyncio.run(impatient())
    run = plane.only()
    assert (run["state_name"], run["state_message"]) == ("Cancelled", "its coroutine was cancelled")
    assert plane.tasks()[0]["state_name"] == "Cancelled"


def test_ctrl_c_cancels_the_run_and_goes_on_to_the_caller(plane: Plane) -> None:
    @flow
    def whole() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        whole()
    assert (plane.only()["state_name"], plane.only()["state_message"]) == ("Cancelled", "stopped by Ctrl-C")


# --- logs and context ------------------------------------------------------------------------------------------------


def test_the_run_logger_and_prints_are_kept_with_their_task(plane: Plane, capsys: pytest.CaptureFixture[str]) -> None:
    @task
    def speaks(n: int) -> None:
        get_run_logger().info("task says %s", n)
        print("printed", n)
        print("and", "more", end="")

    @flow(log_prints=True)
    def whole() -> None:
        get_run_logger().debug("too quiet")
        get_run_logger().warning("flow says\0 this")
        speaks(1)
        speaks.submit(2).result()

    whole()
    lines = plane.logs()
    assert lines[:4] == [
        ("hub.run", "flow says\ufffd this"), ("hub.run", "task says 1"), ("print", "printed 1"), ("print", "and more"),
    ]  # fmt: skip
    assert sorted(lines[4:]) == [("hub.run", "task says 2"), ("print", "and more"), ("print", "printed 2")]
    assert "printed 1" in capsys.readouterr().out


def test_prints_stay_out_of_the_log_unless_wanted(plane: Plane) -> None:
    @flow
    def whole() -> None:
        print("not kept")

    whole()
    assert plane.logs() == []


def test_a_run_that_writes_very_much_is_cut_with_a_line_that_says_so(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.runtime.executor.root.LOG_LINES", 3)

    @flow
    def whole() -> None:
        for number in range(10):
            get_run_logger().info("x" * 100_000 if number == 0 else "line %s", number) if number else (
                get_run_logger().info("x" * 100_000)
            )

    whole()
    lines = plane.logs()
    assert len(lines) == 4
    assert "characters left out" in lines[0][1]
    assert len(lines[0][1]) < 17_000
    assert lines[3] == ("hub.run", "this run has written too much: later lines are left out")


def test_nul_and_broken_texts_in_errors_are_stored(plane: Plane) -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError("broken")

    @task(name="odd")
    def raises(kind: int) -> None:
        raise (Odd() if kind else ValueError("a\0b \ud800"))

    @flow
    def whole() -> None:
        for kind in (0, 1):
            with pytest.raises((ValueError, Odd)):
                raises(kind)
        add.with_options(task_run_name="nul\0{a}")(1)

    whole()
    first, second, third = plane.tasks()
    assert first["error_message"] == "ValueError: a\ufffdb ?"
    assert second["error_message"] == "Odd: (its text cannot be made)"
    assert third["name"] == "nul\ufffd1"


def test_code_can_ask_which_run_it_is_part_of(plane: Plane) -> None:
    @task(task_run_name="step-{n}")
    def step(n: int) -> tuple[Any, ...]:
        context = runtime_context()
        assert context is not None
        return context.run_id, context.task_run_id, context.task_name, context.task_attempt

    @flow(flow_run_name=lambda values: f"load {values['n']}")
    def whole(n: int) -> tuple[Any, ...]:
        context = runtime_context()
        assert context is not None
        assert (context.parameters, context.flow_name, context.run_name) == ({"n": 4}, "whole", "load 4")
        assert context.task_run_id is None
        return step(n)

    assert runtime_context() is None
    (run_id, task_run_id, name, attempt) = whole(4)
    assert (run_id, task_run_id) == (plane.only()["id"], plane.tasks()[0]["id"])
    assert (name, attempt, plane.tasks()[0]["name"]) == ("step", 1, "step-4")


def test_methods_are_flows_and_tasks_too(plane: Plane) -> None:
    class Box:
        factor = 3

        @task
        def times(self, n: int) -> int:
            return n * self.factor

        @task
        @classmethod
        def named(cls) -> str:
            return cls.__name__

        @task
        @staticmethod
        def plain(n: int) -> int:
            return n

        @flow
        def whole(self, n: int) -> tuple[int, str, int]:
            return self.times.submit(n).result(), self.named(), self.plain(n)

    assert Box().whole("2") == (6, "Box", 2)  # type: ignore[arg-type]
    assert plane.only()["parameters"] == {"n": 2}


# --- results -------------------------------------------------------------------------------------------------------


def test_large_results_go_to_files_and_come_back(plane: Plane) -> None:
    calls: list[int] = []

    @task
    def large() -> str:
        calls.append(1)
        return "x" * 100_000

    @flow(retries=1)
    def whole() -> int:
        size = len(large())
        if len(calls) == 1 and runtime_context().attempt == 1:  # type: ignore[union-attr]
            fail()
        return size

    assert whole() == 100_000
    assert calls == [1]
    row = next(t for t in plane.tasks() if t["task_name"] == "large")
    assert row["result_format"] == "file:json"
    stored = plane.settings.home / "results" / row["result"].decode()
    assert stored.stat().st_size == 100_002


def test_a_result_that_is_no_json_lives_in_memory_and_the_log_says_so(plane: Plane) -> None:
    calls: list[str] = []

    @task
    def odd() -> Any:
        calls.append("odd")
        return threading.Lock()

    @task(persist=False)
    def secret() -> str:
        calls.append("secret")
        return "s3cret"

    @task
    def pair() -> tuple[int, set[str]]:
        calls.append("pair")
        return 1, {"a"}

    @flow(retries=1)
    def whole() -> str:
        odd()
        secret()
        assert pair() == (1, {"a"})
        if runtime_context().attempt == 1:  # type: ignore[union-attr]
            fail()
        return "done"

    assert whole() == "done"
    assert calls == ["odd", "secret", "pair", "odd", "secret"]
    formats = {t["task_name"]: t["result_format"] for t in plane.tasks()}
    assert formats == {"odd": "memory", "secret": "none", "pair": "json+tags", "fail": None}
    assert any("is not JSON and lives in memory only" in message for _, message in plane.logs())


# --- without a record ----------------------------------------------------------------------------------------------


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
    counted = Counted(ValueError())

    @task(retries=1)
    def step() -> int:
        return counted()

    assert step() == 2
    assert add.submit(1).result() == 2
    assert asyncio.run(later(3)) == 3
    assert plane.rows() == []
    assert plane.tasks() == []
