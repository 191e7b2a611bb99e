"""Failures that are tried again, on every store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from hub import (
    exponential_backoff,
    flow,
    runtime_context,
    task,
)

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any


@task
def fail(text: str = "no") -> None:
    raise ValueError(text)


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
