"""Coroutines as flows and tasks, on every store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hub import (
    flow,
    task,
)
from hub.errors import UsageError

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any


@task
def add(a: int, b: int = 1) -> int:
    return a + b


@task
async def later(n: int, seconds: float = 0.01) -> int:
    await asyncio.sleep(seconds)
    return n


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
    arrived: list[int] = []
    all_here = asyncio.Event()

    @task
    async def here(n: int) -> int:
        loops.add(asyncio.get_running_loop())
        arrived.append(n)
        if len(arrived) == 50:
            all_here.set()
        await asyncio.wait_for(all_here.wait(), 20)  # one after the other they would never meet
        return n

    @flow
    def whole() -> list[int]:
        return here.map(range(50)).result()

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
