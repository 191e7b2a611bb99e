"""Time limits of flows and tasks, on every store."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hub import (
    flow,
    task,
)
from hub.errors import RunTimedOut

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any


def test_a_blocking_task_in_the_main_thread_is_interrupted(plane: Plane, tmp_path: Path) -> None:
    after = tmp_path / "after"

    @task(timeout_seconds=0.5)
    def sleeps() -> None:
        with contextlib.suppress(Exception):  # a broad except must not keep it alive
            time.sleep(3600)
        after.write_text("its next line ran")

    @flow
    def whole() -> None:
        sleeps()

    with pytest.raises(RunTimedOut, match=r"task sleeps-0 was over its timeout of 0\.5 s"):
        whole()
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
        release.wait()
        after.write_text("its next line ran")

    @flow
    def whole() -> str:
        future = sleeps.submit()
        with pytest.raises(RunTimedOut):
            future.result()
        return future.state.name

    try:
        assert whole() == "TimedOut"
        assert given_up[0].is_alive()  # it was not waited for
    finally:
        release.set()
    given_up[0].join(60)
    assert not given_up[0].is_alive()
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
    release = threading.Event()

    @task
    def sleeps() -> None:
        release.wait()

    @flow(timeout_seconds=0.5)
    def whole() -> None:
        sleeps()

    caught: list[BaseException] = []

    def call() -> None:
        try:
            whole()
        except BaseException as error:
            caught.append(error)

    if where == "main":
        call()
    else:
        thread = threading.Thread(target=call)
        thread.start()
        thread.join(60)
    release.set()
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
