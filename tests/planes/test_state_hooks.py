"""Functions that are called when runs of flows and tasks enter states; sync and async, inline and on a worker."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hub import flow, get_run_logger, runtime_context, task
from hub.engine.run import Cancel
from hub.errors import RunCancelled, UsageError
from hub.runtime.executor import statehooks
from hub.runtime.orchestrator import handle

from .conftest import SCOPE

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

EVENTS = ("on_running", "on_completion", "on_failure", "on_cancellation")


class Heard:
    """Hooks for every event, and what they were told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def all(self) -> dict[str, Any]:
        return {event: [self.hook] for event in EVENTS}

    def hook(self, of: Any, run: Any, state: Any) -> None:
        self.told.append((of.name, run.attempt, state.name))

    async def later(self, of: Any, run: Any, state: Any) -> None:
        await asyncio.sleep(0)
        self.told.append((of.name, "later", state.name))


def test_hooks_of_flow_and_task_hear_of_their_states(plane: Plane) -> None:
    heard = Heard()

    @task(retries=1, **heard.all())
    def step() -> int:
        if runtime_context().task_attempt == 1:  # type: ignore[union-attr]
            raise ValueError("first")
        return 1

    @flow(retries=1, **heard.all())
    def whole() -> int:
        if runtime_context().attempt == 2:  # type: ignore[union-attr]
            raise ValueError("second")
        step()
        raise ValueError("first")

    with pytest.raises(ValueError, match="second"):
        whole()
    assert heard.told == [
        ("whole", 1, "Running"), ("step", 1, "Running"), ("step", 2, "Retrying"), ("step", 2, "Completed"),
        ("whole", 2, "Running"), ("whole", 2, "Failed"),
    ]  # fmt: skip


def test_decorators_add_hooks_and_copies_keep_them(plane: Plane) -> None:
    heard = Heard()

    @flow
    def whole(n: int) -> int:
        return n

    @whole.on_completion
    def first(of: Any, run: Any, state: Any) -> None:
        heard.told.append((run.id, run.name, run.flow_name, run.parameters, state.type.value))

    assert whole.on_completion(heard.later) == heard.later
    assert whole.with_options(flow_run_name="n-{n}")(7) == 7
    run = plane.only()
    assert heard.told == [(run["id"], "n-7", "whole", {"n": 7}, "COMPLETED"), ("whole", "later", "Completed")]
    assert callable(first)


def test_hooks_of_async_flows_run_on_their_loop_or_beside_it(plane: Plane) -> None:
    heard, loops = Heard(), set()

    async def hook(of: Any, run: Any, state: Any) -> None:
        loops.add(asyncio.get_running_loop())

    @task(on_completion=[hook, heard.hook])
    async def step() -> None:
        loops.add(asyncio.get_running_loop())

    @flow(on_completion=[hook, heard.hook])
    async def whole() -> None:
        await step()

    asyncio.run(whole())
    assert len(loops) == 1
    assert heard.told == [("step", 1, "Completed"), ("whole", 1, "Completed")]


def test_a_hook_that_raises_is_logged_and_changes_nothing(plane: Plane, caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()

    def broken(of: Any, run: Any, state: Any) -> None:
        raise KeyError("oh")

    async def broken_later(of: Any, run: Any, state: Any) -> None:
        raise KeyError("later")

    @task(on_completion=[broken, broken_later, heard.hook])
    def step() -> int:
        return 1

    @flow(on_running=[broken], on_completion=[broken, heard.hook])
    def whole() -> int:
        return step.submit().result() + step()

    with caplog.at_level(logging.ERROR):
        assert whole() == 2
    assert [name for name, *_ in heard.told] == ["step", "step", "whole"]
    told = [line for _, line in plane.logs()]
    assert sum("the hook broken for Completed raised KeyError" in line for line in told) == 2
    assert sum("the hook broken_later for Completed raised KeyError" in line for line in told) == 2
    assert caplog.text.count("the hook broken for Running raised KeyError") == 1


@pytest.mark.parametrize("kind", [SystemExit, asyncio.CancelledError, GeneratorExit, RunCancelled])
def test_no_hook_ends_or_cancels_its_run(plane: Plane, kind: type[BaseException]) -> None:
    heard = Heard()

    def broken(of: Any, run: Any, state: Any) -> None:
        raise kind("stop")

    async def broken_later(of: Any, run: Any, state: Any) -> None:
        raise kind("stop")

    hooks = [broken, broken_later, heard.hook]

    @task(on_running=hooks, on_completion=hooks)
    def step() -> int:
        return 1

    @task(on_running=hooks, on_completion=hooks)
    async def later() -> int:
        return 1

    @flow(on_running=hooks, on_completion=hooks)
    def whole() -> int:
        return step() + step.submit().result() + later.submit().result()

    @flow(on_running=hooks, on_completion=hooks)
    async def whole_later() -> int:
        return step() + await later() + await later.submit()

    assert whole() == 3
    assert asyncio.run(whole_later()) == 3
    assert len(heard.told) == 16
    assert {row["state_name"] for row in plane.rows()} == {"Completed"}


def test_a_cancel_from_outside_reaches_a_flow_whose_hook_is_awaited(plane: Plane) -> None:
    async def slow(of: Any, run: Any, state: Any) -> None:
        await asyncio.sleep(30)

    @flow(on_running=[slow])
    async def whole() -> int:
        return 1

    async def impatient() -> None:
        await asyncio.wait_for(whole(), 0.3)

    with pytest.raises(TimeoutError):
        asyncio.run(impatient())


def test_a_hook_that_takes_too_long_is_given_up(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statehooks, "SECONDS", 0.2)
    gate = threading.Event()

    def endless(of: Any, run: Any, state: Any) -> None:
        gate.wait(30)

    @flow(on_running=[endless])
    def whole() -> int:
        return 1

    assert whole() == 1
    assert any("the hook endless for Running took more than 0.2 s" in line for _, line in plane.logs())


def test_hooks_of_a_cancelled_flow_and_its_task(plane: Plane) -> None:
    heard = Heard()

    @task(**heard.all())
    async def long() -> None:
        await asyncio.sleep(30)

    @flow(**heard.all())
    async def whole() -> None:
        await long()

    async def impatient() -> None:
        await asyncio.wait_for(whole(), 0.3)

    with pytest.raises(TimeoutError):
        asyncio.run(impatient())
    assert heard.told == [
        ("whole", 1, "Running"), ("long", 1, "Running"), ("long", 1, "Cancelled"), ("whole", 1, "Cancelled"),
    ]  # fmt: skip


def test_a_flow_that_ends_after_its_cancel_was_accepted_tells_of_the_cancel(plane: Plane) -> None:
    heard = Heard()

    @flow(**heard.all())
    def whole() -> None:
        handle(plane.store, SCOPE, runtime_context().run_id, Cancel("by hand"))  # type: ignore[union-attr]

    with pytest.raises(RunCancelled):
        whole()
    assert [state for _, _, state in heard.told] == ["Running", "Cancelled"]


def test_hooks_of_nested_flows_are_called_once(plane: Plane) -> None:
    heard = Heard()

    @flow(**heard.all())
    def inner() -> None:
        get_run_logger().info("x")

    @flow
    def outer() -> None:
        inner()

    outer()
    assert heard.told == [("inner", 1, "Running"), ("inner", 1, "Completed")]


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(UsageError, match="on_failure='mail' cannot be called"):
        flow(on_failure=["mail"])(lambda: None)  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="on_running=3 cannot be called"):
        task(lambda: None).on_running(3)  # type: ignore[type-var]


FLOW = """
def note(of, run, state):
    with open({told!r}, "a") as out:
        out.write(f"{{of.name}} {{run.attempt}} {{state.name}} {{os.getpid()}}\\n")

hooks = {{event: [note] for event in ("on_running", "on_completion", "on_failure")}}

@task(**hooks)
def step():
    return 1

@flow(retries=1, **hooks)
def whole():
    step.submit().result()
    raise ValueError("no")
"""


def test_on_a_worker_hooks_run_where_the_run_runs(plane: Plane) -> None:
    told = plane.folder / "told"
    file = plane.file(FLOW.format(told=str(told)))
    run_id = plane.run(f"{file}:whole", retry_policy={"retries": 1})
    plane.attempt(run_id)
    plane.attempt(run_id)
    assert plane.row(run_id)["state_name"] == "Failed"
    lines = [line.rsplit(" ", 1) for line in told.read_text().splitlines()]
    assert [line for line, _ in lines] == [
        "whole 1 Running", "step 1 Running", "step 1 Completed", "whole 2 Running", "whole 2 Failed",
    ]  # fmt: skip
