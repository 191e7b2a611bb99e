"""The testing kit: a hub for one test, its clock, and what ran."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from hub import flow, get_run_logger, task
from hub.errors import NotFoundError, ParameterError, UsageError
from hub.testing import Hub, harness
from hub.testing.clock import Clock
from hub.types import now_us


@task(retries=2, retry_delay_seconds=3600)
def price(item: str) -> float:
    get_run_logger().info("price of %s", item)
    return {"tea": 3.5, "cake": 4.0}[item]


@flow
def bill(items: list[str]) -> float:
    return sum(price.map(items).result())


def test_a_call_leaves_a_run_to_look_at() -> None:
    with harness() as hub:
        assert bill(["tea", "cake"]) == 7.5
        run = hub.run(bill)
        assert (run.ok, run.result, run.parameters, run.attempt) == (True, 7.5, {"items": ["tea", "cake"]}, 1)
        assert run.states == ("Scheduled", "Running", "Completed")
        assert [(found.name, found.result) for found in run.tasks] == [("price-0", 3.5), ("price-1", 4.0)]
        assert sorted((line.message, line.task) for line in run.logs) == [
            ("price of cake", "price-1"), ("price of tea", "price-0"),
        ]  # fmt: skip
        assert "price-1 is Completed" in str(run)


def test_what_is_not_there_is_named() -> None:
    with harness() as hub:
        with pytest.raises(NotFoundError, match="0 runs"):
            hub.run()
        bill(["tea"])
        with pytest.raises(NotFoundError, match="has 0 task runs 'cost'"):
            hub.run(bill).task("cost")
        with pytest.raises(ParameterError):
            hub.submit(bill, "x", 3)


def test_delays_of_retries_pass_at_once_and_are_recorded() -> None:
    with harness() as hub:
        with pytest.raises(KeyError):
            bill(["bread"])
        run = hub.run(bill)
        assert (run.state.name, run.task("price").attempt) == ("Failed", 3)
        assert run.started_at is not None
        assert run.ended_at is not None
        assert timedelta(hours=2) <= run.ended_at - run.started_at < timedelta(hours=3)
        assert hub.clock.skipped > timedelta(hours=1, minutes=59)
    assert abs(now_us() - time.time_ns() // 1000) < 1_800_000_000, "the wall clock is back"


def test_coroutines_skip_their_waits_too_and_the_earliest_goes_first() -> None:
    order: list[str] = []

    @task(retries=1, retry_delay_seconds=3600)
    async def late() -> None:
        order.append("late")
        if order.count("late") == 1:
            raise ValueError

    @task(retries=1, retry_delay_seconds=60)
    async def soon() -> None:
        order.append("soon")
        if order.count("soon") == 1:
            raise ValueError

    @flow
    async def both() -> None:
        await asyncio.gather(late(), soon())

    with harness():
        asyncio.run(both())
    assert order == ["late", "soon", "soon", "late"]


def test_a_wait_ends_when_its_run_is_stopped() -> None:
    clock, stop = Clock(), threading.Event()
    stop.set()
    clock.here(3600, stop)
    assert clock.skipped == timedelta(0)


def test_without_skipping_time_is_real() -> None:
    with harness(skip_time=False) as hub:

        @task(retries=1, retry_delay_seconds=0.01)
        def once() -> int:
            return 1

        @flow
        def whole() -> int:
            return once()

        whole()
        assert hub.clock.skipped == timedelta(0)


def test_the_clock_does_not_go_back() -> None:
    with harness() as hub:
        before = hub.clock.now()
        hub.clock.move(timedelta(days=1))
        assert hub.clock.now() - before >= timedelta(days=1)
        with pytest.raises(UsageError, match="does not go back"):
            hub.clock.move(-1)
        with pytest.raises(UsageError, match="does not go back"):
            hub.advance(-1)


def test_nothing_of_the_environment_holds_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_JOURNAL", "off")
    monkeypatch.setenv("HUB_SDK_THREADS", "3")
    before = {name: value for name, value in os.environ.items() if name.startswith("HUB_")}
    with harness(sdk_loggers=("a", "b")) as hub:
        assert (hub.settings.journal, hub.settings.sdk_threads) == ("on", 16)
        assert hub.settings.sdk_loggers == ("a", "b")
        assert hub.settings.home == hub.home
        home = hub.home
    assert not home.exists()
    assert {name: value for name, value in os.environ.items() if name.startswith("HUB_")} == before


def test_harnesses_do_not_nest() -> None:
    with harness(), pytest.raises(UsageError, match="there is a hub for this test already"), harness():
        pass
    with harness():
        pass


def test_a_wrong_setting_is_refused_and_leaves_nothing() -> None:
    before = dict(os.environ)
    with pytest.raises(UsageError, match="is not a setting"), harness(sdk_thread=3):
        pass
    assert dict(os.environ) == before
    with harness():
        pass


def test_a_flow_is_run_as_on_a_worker() -> None:
    with harness() as hub:
        seen: list[int] = []

        @flow(retries=1, retry_delay_seconds=600)
        def whole(n: int) -> int:
            seen.append(n)
            if len(seen) == 1:
                raise ValueError("first")
            return n

        run = hub.submit(whole, "4")
        assert (run.ok, run.result, run.attempt, seen) == (True, 4, 2, [4, 4])
        assert run.states[-4:] == ("AwaitingRetry", "Pending", "Retrying", "Completed")
        assert hub.submit(whole.with_options(retries=0), 5).ok


def test_schedules_fire_at_their_times_as_time_passes() -> None:
    with harness() as hub:
        hub.deploy(bill, "daily", cron="0 2 * * *", parameters={"items": ["tea"]})
        hub.advance(timedelta(days=3))
        found = hub.runs(bill)
        assert [(run.due_at.hour, run.created_at.hour, run.deployment_name) for run in found] == [(2, 2, "daily")] * 3
        started = hub.start("daily", items=["cake"])
        assert (started.result, started.origin) == (4.0, "api")


def test_hooks_of_plugins_and_states_are_called_in_process() -> None:
    told: list[str] = []
    with harness() as hub:

        @flow
        def whole() -> None:
            raise ValueError("no")

        @whole.on_failure
        def note(_flow: Any, run: Any, state: Any) -> None:
            told.append(f"{run.flow_name} is {state.name}")

        assert hub.submit(whole).state.name == "Failed"
    assert told == ["whole is Failed"]


def test_notes_are_whole_and_in_order() -> None:
    with harness() as hub:
        hub.notes.add("a")
        hub.notes.add({"n": [1]})
        assert hub.notes == ["a", {"n": [1]}]
        assert ("a" in hub.notes, hub.notes.count("a"), len(hub.notes)) == (True, 1, 2)
        hub.notes.clear()
        assert list(hub.notes) == []


def test_large_and_typed_results_are_read_back() -> None:
    @flow
    def whole() -> str:
        return "x" * 200_000

    with harness() as hub:
        whole()
        assert hub.run(whole).result == "x" * 200_000


def test_the_kit_needs_no_pytest_and_costs_nothing_before_it_is_used() -> None:
    script = "import sys, hub.testing; print(sorted(n for n in sys.modules if n.split('.')[0] in ('hub', 'pytest')))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "['hub', 'hub.testing', 'hub.version']"
    script = "import sys; from hub.testing import *; print('pytest' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"


def test_it_says_what_it_is() -> None:
    with harness() as hub:
        assert isinstance(hub, Hub)
        assert str(hub.home) in repr(hub)
        assert "ahead" in repr(hub.clock)
