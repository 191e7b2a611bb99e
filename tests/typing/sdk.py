"""What mypy and pyright know of flows and tasks. Checked by `tests/unit/sdk/test_typing.py`, never run."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, assert_type

from hub import Future, exponential_backoff, flow, task, unmapped
from hub.sdk import Deployed, Flow, Futures, RunContext, Task, runtime_context


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
