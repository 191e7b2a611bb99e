"""What mypy and pyright know of flows and tasks. Checked by `tests/unit/sdk/test_typing.py`, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Generator, Iterator
from typing import Any, assert_type

import hub
from hub import Future, allow_failure, as_completed, batched, exponential_backoff, flow, lazy, quote, task, unmapped
from hub.sdk import Deployed, Flow, Futures, FutureStream, RunContext, Task, runtime_context


@task
def length(text: str) -> int:
    return len(text)


@task(retries=3, retry_delay_seconds=exponential_backoff(2), retry_on=(TimeoutError,), tags=["net"])
async def fetch(url: str) -> bytes:
    return url.encode()


@flow(name="whole", timeout_seconds=5)
def whole(text: str, times: int = 1) -> list[int]:
    assert_type(length(text), int)
    assert_type(length.submit(text), Future[int])
    assert_type(length.submit(text).result(), int)
    assert_type(length.map([text, text]), Futures[int])
    assert_type(length.map([text], wait_for=[fetch.submit("x")]).result(), list[int])
    assert_type(fetch.submit("x"), Future[bytes])
    assert_type(fetch.map(unmapped("x")), Futures[bytes])
    assert_type(length.map(iter([text])), FutureStream[int])
    assert_type(fetch.map(lazy([text])).result(), list[bytes])
    assert_type(length.map(batched([text], 2)), Futures[int])
    assert_type(length.map(batched(iter([text]), 2)), FutureStream[int])
    assert_type(next(as_completed(length.map(text for _ in range(times)))), Future[int])
    length(3)  # type: ignore[arg-type]
    length(text, more=1)  # type: ignore[call-arg]
    return [length(text)] * times


@flow
async def other() -> float:
    assert_type(await fetch("u"), bytes)
    assert_type(await length.submit("u"), int)
    return 1.5


class Box:
    @task
    def weigh(self, factor: float) -> float:
        return factor

    @flow
    def ship(self) -> str:
        return str(self.weigh(2.0))


async def calls() -> None:
    assert_type(whole("a", times=2), list[int])
    assert_type(await other(), float)
    pending: Coroutine[Any, Any, float] = other()
    assert_type(Box().weigh(1.0), float)
    assert_type(Box().weigh.submit(1.0).result(), float)
    assert_type(Box().ship(), str)
    assert_type(whole.deploy(cron="* * * * *"), Deployed)
    assert_type(runtime_context(), RunContext | None)
    await pending
    whole()  # type: ignore[call-arg]
    whole.with_options(retires=2)  # type: ignore[call-arg]
    flow(retries="3")  # type: ignore[call-overload]
    f: Flow[..., list[int]] = whole.with_options(retries=2)
    t: Task[..., int] = length.with_options(persist=False)
    assert_type(f("a"), list[int])
    assert_type(t.fn("a"), int)


@flow
def partial() -> None:
    assert_type(length.submit(allow_failure(length.submit("x"))).result(), int)
    assert_type(length.submit(quote("x")).result(raise_on_failure=False), int | BaseException)
    assert_type(length(quote("x")), int)
    task(trigger="all_done")
    task(trigger="some")  # type: ignore[call-overload]


@task
def numbers() -> Iterator[int]:
    yield 1


@task
def words() -> Generator[str, None, None]:
    yield ""


@task
async def later() -> AsyncIterator[int]:
    yield 1


@flow
async def streams() -> None:
    assert_type(numbers(), Iterator[int])
    assert_type(numbers.submit().result(), list[int])
    assert_type(words.submit().result(), list[str])
    assert_type(numbers.map([1]).result(), list[list[int]])
    assert_type(await later.submit(), list[int])
    async for number in later():
        assert_type(number, int)


@hub.materialize("s3://lake/a", asset_deps=["s3://lake/b"], retries=2)
def makes(n: int) -> list[int]:
    hub.add_asset_metadata("s3://lake/a", {"n": n})
    return [n]


@flow
async def leaves() -> str:
    assert_type(makes(1), list[int])
    assert_type(makes.submit(1), Future[list[int]])
    hub.create_table_artifact([{"a": 1}], key="rows")
    hub.create_table_artifact({"a": [1, 2]})
    hub.create_table_artifact([[1, "x"]], description="x")
    hub.create_table_artifact(7)  # type: ignore[arg-type]
    hub.variables.set("n", 1, tags=["a"], overwrite=True)
    return await hub.create_markdown_artifact("# x")
