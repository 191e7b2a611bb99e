"""Generators as tasks and flows, sync and async, inline and on a worker."""

from __future__ import annotations

import asyncio
import time
import types
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hub import flow, runtime_context, task
from hub.errors import RunTimedOut
from hub.runtime.executor import streams

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any


@task
def numbers(n: int) -> Iterator[int]:
    for number in range(n):
        print("made", number)  # noqa: T201 - it is what is tested
        yield number


@task
async def later(n: int) -> AsyncIterator[int]:
    for number in range(n):
        await asyncio.sleep(0)
        yield number


def test_items_of_a_task_reach_its_caller_one_by_one(plane: Plane) -> None:
    seen: list[str] = []

    @task
    def made() -> Iterator[int]:
        for number in range(3):
            seen.append(f"made {number}")
            assert runtime_context().task_name == "made"  # type: ignore[union-attr]
            yield number

    @flow
    def whole() -> int:
        total = 0
        for number in made():
            assert runtime_context().task_name is None  # type: ignore[union-attr]
            seen.append(f"got {number}")
            total += number
        return total

    assert whole() == 3
    assert seen == ["made 0", "got 0", "made 1", "got 1", "made 2", "got 2"]
    step = plane.tasks()[0]
    assert (step["state_name"], step["result"]) == ("Completed", b"[0,1,2]")


def test_submitted_generators_give_lists(plane: Plane) -> None:
    @flow
    def whole() -> list[Any]:
        return [numbers.submit(2).result(), later.submit(3).result(), numbers.map([1, 2]).result()]

    assert whole() == [[0, 1], [0, 1, 2], [[0], [0, 1]]]


def test_async_generators_stream_in_async_flows(plane: Plane) -> None:
    @flow
    async def whole() -> list[int]:
        return [number async for number in later(3)] + list(numbers(2))

    assert asyncio.run(whole()) == [0, 1, 2, 0, 1]


def test_flows_may_be_generators(plane: Plane) -> None:
    @flow
    def outer(n: int) -> Iterator[int]:
        yield from inner(n)

    @flow
    def inner(n: int) -> Iterator[int]:
        for number in numbers(n):
            yield number * 10

    @flow
    async def slow(n: int) -> AsyncIterator[int]:
        async for number in later(n):
            yield number

    async def collected() -> list[int]:
        return [number async for number in slow(2)]

    assert list(outer("3")) == [0, 10, 20]  # type: ignore[arg-type]
    assert asyncio.run(collected()) == [0, 1]
    assert [(r["state_name"], r["result"]) for r in plane.rows()] == [
        ("Completed", b"[0,10,20]"), ("Completed", b"[0,10,20]"), ("Completed", b"[0,1]"),
    ]  # fmt: skip


def test_one_that_is_closed_early_is_cancelled_and_its_finally_blocks_run(plane: Plane) -> None:
    ended: list[str] = []

    @task
    def endless() -> Iterator[int]:
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            ended.append("task")

    @flow
    def some() -> Iterator[int]:
        try:
            yield from numbers(5)
        finally:
            ended.append("flow")

    @flow
    async def whole() -> int:
        stream = later(5)
        first = await anext(stream)
        await stream.aclose()
        for number in endless():
            if number == 2:
                break
        return first

    assert asyncio.run(whole()) == 0
    items = some()
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]
    assert ended == ["task", "flow"]
    told = {t["task_name"]: (t["state_name"], t["state_message"], t["result"]) for t in plane.tasks()}
    assert told["endless"] == ("Cancelled", "closed by its caller after 3 items", None)
    assert told["later"][:2] == ("Cancelled", "closed by its caller after 1 item")
    assert told["numbers"][0] == "Cancelled"
    flow_run = plane.only("some")
    assert (flow_run["state_name"], flow_run["state_message"]) == ("Cancelled", "closed by its caller after 1 item")


def test_a_failure_is_tried_again_until_an_item_was_handed_out(plane: Plane) -> None:
    tries: list[int] = []

    @task(retries=2)
    def shaky(fails_at: int) -> Iterator[int]:
        tries.append(fails_at)
        for number in range(3):
            if number == fails_at and len(tries) < 2:
                raise ValueError(number)
            yield number

    @flow
    def whole() -> list[int]:
        found = list(shaky(0))
        tries.clear()
        assert shaky.submit(1).result() == [0, 1, 2]
        tries.clear()
        with pytest.raises(ValueError, match="1"):
            list(shaky(1))
        return found

    assert whole() == [0, 1, 2]
    assert tries == [1]


def test_time_that_the_caller_takes_does_not_count(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    later = 0.0
    monkeypatch.setattr(streams, "time", types.SimpleNamespace(monotonic=lambda: time.monotonic() + later))

    @task(timeout_seconds=60)
    def made() -> Iterator[int]:
        yield from range(3)

    @task(timeout_seconds=0.5)
    def slowly() -> Iterator[int]:
        time.sleep(60)
        yield 1

    @flow
    def whole() -> int:
        nonlocal later
        for number in made():  # noqa: B007 - the last one is given back
            later += 3600
        with pytest.raises(RunTimedOut):
            list(slowly())
        with pytest.raises(RunTimedOut):
            slowly.submit().result()
        return number

    assert whole() == 2


def test_prints_and_an_unconsumed_generator(plane: Plane) -> None:
    @flow(log_prints=True)
    def whole() -> None:
        list(numbers(2))

    @flow
    def never() -> Iterator[int]:
        yield 1

    whole()
    never()
    assert [line for _, line in plane.logs()] == ["made 0", "made 1"]
    assert len(plane.rows()) == 1


FLOW = """
@task
def made(n):
    for number in range(n):
        with open({ran!r}, "a") as out:
            out.write(f"{{number}} ")
        yield number

@flow(retries=1)
def whole(n: int):
    yield from made(n)
    if runtime_context().attempt == 1:
        raise ValueError("again")
"""


def test_on_a_worker_the_items_are_one_step_that_is_not_done_again(plane: Plane) -> None:
    ran = plane.folder / "ran"
    file = plane.file(FLOW.format(ran=str(ran)))
    run_id = plane.run(f"{file}:whole", {"n": 3}, retry_policy={"retries": 1})
    plane.attempt(run_id)
    assert plane.row(run_id)["state_name"] == "AwaitingRetry"
    plane.attempt(run_id)
    assert (plane.row(run_id)["state_name"], plane.row(run_id)["result"]) == ("Completed", b"[0,1,2]")
    assert ran.read_text() == "0 1 2 "
