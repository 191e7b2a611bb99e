"""Nested flows that are cancelled alone, and what is cancelled with its caller; sync, on threads and async."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hub import flow, runtime_context, task
from hub.engine.run import Dispatch, Lose
from hub.errors import RunCancelled, RunTimedOut
from hub.runtime import inline
from hub.runtime.commands import Command, apply
from hub.runtime.orchestrator import handle
from hub.store import runs
from hub.types import new_id

from .conftest import SCOPE
from .test_attempt import child, dispatched, until

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cancels are heard at once by what runs in this process."""
    monkeypatch.setenv("HUB_LEASE_RENEW", "0.05")
    yield
    inline.forget()


def cancel(plane: Plane, run_id: str, **more: Any) -> dict[str, Any]:
    return apply(plane.store, Command("run.cancel", SCOPE, run_id, {"message": "not that one", **more})).result


@contextmanager
def somebody_cancels(plane: Plane, flow_name: str, begun: threading.Event) -> Iterator[None]:
    """Once `begun` is set, the run of that flow is cancelled from outside."""

    def act() -> None:
        assert begun.wait(20)
        cancel(plane, plane.only(flow_name)["id"])

    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        thread.join(20)


def in_one_thread(begun: threading.Event, after: list[str]) -> dict[str, Callable[[], Any]]:
    """Flows that hang in a blocking call in the main thread; each is called `inner`."""

    def hang() -> None:
        begun.set()
        try:
            time.sleep(30)
        except Exception:
            after.append("swallowed")
        after.append("its next line ran")

    @flow(name="inner")
    def body() -> None:
        hang()

    @flow(name="inner")
    def in_task() -> None:
        task(hang, name="hangs")()

    @flow(name="inner")
    def in_deeper_flow() -> None:
        flow(hang, name="deeper")()

    return {"body": body, "in_task": in_task, "in_deeper_flow": in_deeper_flow}


def on_others(begun: threading.Event) -> dict[str, Callable[[], Any]]:
    """The same on threads of the run's pool."""

    def spin() -> None:
        begun.set()
        while True:
            time.sleep(0.01)

    spins = task(spin)

    @flow(name="inner", timeout_seconds=60)
    def on_threads() -> None:
        spins.submit()
        spins.with_options(timeout_seconds=60).submit().result()

    @flow(name="inner")
    def waits_at_its_end() -> None:
        spins.submit()

    @task
    def calls_it() -> None:
        flow(spin, name="inner")()

    @task(timeout_seconds=60)
    def calls_it_within() -> None:
        flow(spin, name="inner", timeout_seconds=60)()

    return {
        "on_threads": on_threads, "waits_at_its_end": waits_at_its_end,
        "in_pool": lambda: calls_it.submit().result(), "in_pool_within": lambda: calls_it_within.submit().result(),
    }  # fmt: skip


def on_a_loop(begun: threading.Event) -> dict[str, Callable[[], Any]]:
    """The same as coroutines."""

    @task
    async def rests() -> None:
        begun.set()
        await asyncio.sleep(30)

    @flow(name="inner")
    async def later() -> None:
        await asyncio.gather(rests.fn(), asyncio.sleep(30))

    @flow(name="inner")
    async def later_task() -> None:
        await asyncio.gather(rests.submit(), asyncio.sleep(30))

    return {"later": later, "later_task": later_task}


SYNC = ["body", "in_task", "in_deeper_flow", "on_threads", "waits_at_its_end", "in_pool", "in_pool_within"]


@pytest.mark.parametrize("kind", [*SYNC, "later", "later_task"])
@pytest.mark.usefixtures("quick")
def test_a_nested_run_is_cancelled_alone_and_its_caller_goes_on(plane: Plane, kind: str) -> None:
    begun, after = threading.Event(), list[str]()
    inner = {**in_one_thread(begun, after), **on_others(begun), **on_a_loop(begun)}[kind]

    @task
    def next_one() -> str:
        return "went on"

    @flow
    def outer() -> str:
        with pytest.raises(RunCancelled):
            inner()
        time.sleep(0.2)  # nothing of it is still on its way
        return next_one.submit().result() + next_one()

    @flow(name="outer")
    async def outer_later() -> str:
        with pytest.raises(RunCancelled):
            await inner()
        await asyncio.sleep(0.2)
        return await next_one.submit() + await next_one.submit()

    with somebody_cancels(plane, "inner", begun):
        assert (asyncio.run(outer_later()) if kind.startswith("later") else outer()) == "went on" * 2
    assert after == []
    run = plane.only("inner")
    assert (run["state_name"], run["state_message"]) == ("Cancelled", "the run was cancelled")
    assert plane.history(run["id"]) == ["Scheduled", "Running", "Cancelling", "Cancelled"]
    assert plane.only("outer")["state_name"] == "Completed"
    states = {row["name"]: row["state_name"] for row in plane.tasks() if not row["name"].startswith("next-one")}
    assert set(states.values()) == {"Cancelled"}, states
    if kind == "in_deeper_flow":
        assert plane.only("deeper")["state_name"] == "Cancelled"


@pytest.mark.usefixtures("quick")
def test_a_nested_run_that_waits_for_its_retry_is_cancelled(plane: Plane) -> None:
    failed = threading.Event()

    @flow(retries=1, retry_delay_seconds=60)
    def inner() -> None:
        raise ValueError("first")

    @flow
    def outer() -> str:
        with pytest.raises(RunCancelled):
            inner()
        return "went on"

    def watch() -> None:
        until(lambda: [row for row in plane.rows("inner") if row["state_name"] == "AwaitingRetry"])
        failed.set()

    thread = threading.Thread(target=watch)
    thread.start()
    with somebody_cancels(plane, "inner", failed):
        assert outer() == "went on"
    thread.join()
    assert plane.only("inner")["state_name"] == "Cancelled"


@pytest.mark.usefixtures("quick")
def test_a_caller_that_does_not_catch_it_fails(plane: Plane) -> None:
    begun = threading.Event()

    @flow
    def inner() -> None:
        begun.set()
        time.sleep(30)

    @flow(retries=3)
    def outer() -> None:
        inner()

    with somebody_cancels(plane, "inner", begun), pytest.raises(RunCancelled):
        outer()
    row = plane.only("outer")
    assert (row["state_name"], row["attempt"]) == ("Failed", 1)


@pytest.mark.usefixtures("quick")
def test_a_later_attempt_of_its_caller_does_not_begin_it_again(plane: Plane) -> None:
    begun, calls = threading.Event(), list[str]()

    @flow
    def inner(name: str) -> None:
        calls.append(name)
        if name == "long":
            begun.set()
            time.sleep(30)

    @flow(retries=1, timeout_seconds=20)
    def outer() -> str:
        with pytest.raises(RunCancelled):
            inner("long")
        inner("short")
        if runtime_context().attempt == 1:  # type: ignore[union-attr]
            raise ValueError("once more")
        return "done"

    def act() -> None:
        assert begun.wait(20)
        until(lambda: plane.rows("inner"))
        cancel(plane, plane.only("inner")["id"])

    thread = threading.Thread(target=act)
    thread.start()
    assert outer() == "done"
    thread.join()
    assert calls == ["long", "short"]
    assert [row["state_name"] for row in plane.rows("inner")] == ["Cancelled", "Completed"]


def test_what_its_caller_s_timeout_has_stopped_begins_again_in_the_retry(plane: Plane) -> None:
    calls: list[int] = []

    @flow
    def inner() -> int:
        calls.append(1)
        if len(calls) == 1:
            time.sleep(30)
        return len(calls)

    @flow(retries=1, timeout_seconds=0.5)
    def outer() -> int:
        return inner()

    assert outer() == 2
    assert [row["state_name"] for row in plane.rows("inner")] == ["Cancelled", "Completed"]


@pytest.mark.parametrize("where", ["main", "thread", "loop"])
def test_a_nested_run_over_its_timeout_is_interrupted_at_once(plane: Plane, where: str) -> None:
    after: list[str] = []

    @flow(timeout_seconds=0.3)
    def inner() -> None:
        time.sleep(30) if where == "main" else threading.Event().wait(3)
        after.append("its next line ran")

    @flow(timeout_seconds=0.3)
    async def later() -> None:
        await asyncio.sleep(30)

    @task
    def calls_it() -> None:
        inner()

    @flow
    def outer() -> str:
        with pytest.raises(RunTimedOut):
            inner() if where == "main" else calls_it.submit().result()
        return "went on"

    @flow(name="outer")
    async def outer_later() -> str:
        with pytest.raises(RunTimedOut):
            await later()
        return "went on"

    assert (asyncio.run(outer_later()) if where == "loop" else outer()) == "went on"
    assert [row["state_name"] for row in plane.rows() if row["flow_name"] != "outer"] == ["TimedOut"]
    assert after == []


WORKER = """
HERE = Path(__file__).parent

@flow
def inner():
    (HERE / "begun").touch()
    {hang}

@flow
def outer():
    try:
        inner()
    except RunCancelled:
        return "went on"

@flow(name="outer")
async def outer_later():
    try:
        await inner_later()
    except RunCancelled:
        return "went on"

@flow(name="inner")
async def inner_later():
    (HERE / "begun").touch()
    await asyncio.sleep(60)
"""


@pytest.mark.parametrize("entry", ["outer", "outer_later"])
@pytest.mark.long("sqlite-outer", "postgresql-outer_later")
def test_on_a_worker_too(plane: Plane, entry: str) -> None:
    import signal

    file = plane.file("from hub.errors import RunCancelled\n" + WORKER.format(hang="time.sleep(60)"))
    run_id, key = dispatched(plane, f"{file}:{entry}")
    with child(key) as worker:
        until(lambda: (plane.folder / "begun").exists())
        worker.send_signal(signal.SIGUSR2)  # nobody asked for a cancel: it goes on
        cancel(plane, plane.only("inner")["id"])
        worker.send_signal(signal.SIGUSR2)
        out, _ = worker.communicate(timeout=30)
    assert out == "clean\n"
    assert plane.only("inner")["state_name"] == "Cancelled"
    row = plane.row(run_id)
    assert (row["state_name"], row["result"]) == ("Completed", b'"went on"')


@pytest.mark.long("sqlite")
def test_a_run_that_was_killed_while_its_nested_run_was_cancelled_gets_the_cancel(plane: Plane) -> None:
    file = plane.file("from hub.errors import RunCancelled\n" + WORKER.format(hang="time.sleep(60)"))
    run_id, key = dispatched(plane, f"{file}:outer")
    with child(key) as worker:
        until(lambda: (plane.folder / "begun").exists() and plane.tasks(run_id))
        cancel(plane, plane.only("inner")["id"])
        worker.kill()
        worker.wait(20)
    handle(plane.store, SCOPE, run_id, Lose(1, 1, "killed"))
    plane.attempt(run_id)
    assert plane.row(run_id)["result"] == b'"went on"'
    assert plane.only("inner")["state_name"] == "Cancelled"


def test_what_a_run_has_started_is_cancelled_with_it_unless_it_alone_is_meant(plane: Plane) -> None:
    def family(*, alone: bool) -> list[str]:
        made = [plane.run("f.py:f") for _ in range(4)]
        with plane.store.write() as tx:
            for parent, run_id in ((0, 1), (1, 2)):
                tx.conn.execute(
                    runs.TABLE.update().where(runs.TABLE.c.id == made[run_id]).values(parent_run_id=made[parent])
                )
        handle(plane.store, SCOPE, made[0], Dispatch(new_id()))
        cancel(plane, made[0], alone=alone)
        return [plane.row(run_id)["state_name"] for run_id in made]

    assert family(alone=False) == ["Cancelled", "Cancelled", "Cancelled", "Scheduled"]
    assert family(alone=True) == ["Cancelled", "Scheduled", "Scheduled", "Scheduled"]
