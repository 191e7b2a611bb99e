"""What a run says and what it knows of itself, on every store."""
# ruff: noqa: T201 - printing is what some of these flows are about

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hub import (
    flow,
    get_run_logger,
    runtime_context,
    task,
)
from hub.errors import UnavailableError

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
    assert row["result_format"] == "local:json"
    stored = plane.settings.home / "results" / json.loads(row["result"])["key"]
    assert stored.stat().st_size == 100_002


def test_a_result_that_cannot_be_stored_fails_its_run(plane: Plane) -> None:
    @flow
    def whole() -> str:
        return "x" * 100_000

    (plane.settings.home / "results").write_text("in the way")
    with pytest.raises(UnavailableError, match="a result of 100002 bytes cannot be kept"):
        whole()
    run = plane.only()
    assert (run["state_name"], run["error_type"]) == ("Failed", "UnavailableError")


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
