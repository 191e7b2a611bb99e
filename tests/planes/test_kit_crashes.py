"""Kills at every commit: really killed, gone on with elsewhere, and found out when that changes something."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hub import flow, task
from hub.errors import UsageError
from hub.testing import CrashFound, Hub, Run, crashes, harness, survives_crashes


def test_a_flow_of_tasks_survives_every_kill() -> None:
    with harness() as hub:

        @task(retries=1, retry_delay_seconds=60)
        def charge(customer: str) -> int:
            hub.notes.add(customer)
            if hub.notes.count("Bob") == 1:
                raise ValueError("Bob is asked twice")
            return len(customer)

        @flow
        def collect(customers: list[str]) -> int:
            return sum(charge(customer) for customer in customers)

        places = []
        for crash in crashes(collect, ["Ada", "Bob"]):
            run = crash.run()
            places.append(str(crash))
            assert (run.state.name, run.result) == ("Completed", 6), crash
            assert hub.notes.count("Ada") + hub.notes.count("Bob") <= 4, crash
        assert places[0] == "killed before commit 1 (last recorded: the run Pending)"
        assert "killed after commit 2 (last recorded: charge-0 Completed)" in places
        assert survives_crashes(collect, [["Ada", "Bob"]]) >= len(places) - 2
        assert hub.runs() == [], "the test's own home is not touched"


def test_no_finally_runs_and_memory_is_gone() -> None:
    with harness() as hub:
        memory: list[str] = []

        @task
        def step() -> None:
            memory.append("step")
            try:
                hub.notes.add("in")
            finally:
                hub.notes.add("out")

        @flow
        def whole() -> int:
            try:
                step()
                return len(memory)
            finally:
                hub.notes.add("over")

        for crash in crashes(whole):
            crash.run()
            if (crash.side, crash.number) == ("after", 2):
                assert hub.notes == ["in", "out", "over"], "only the second process got to the end"
        assert memory == []


def test_a_flow_that_repeats_itself_is_found() -> None:
    with harness() as hub:

        @task
        def nothing() -> None: ...

        @flow
        def careless() -> None:
            hub.notes.add("mail")
            nothing()

        def once(run: Run) -> None:
            assert hub.notes.count("mail") == 1, "two mails"

        with pytest.raises(CrashFound, match=r"killed before commit 2 .*two mails") as found:
            survives_crashes(careless, check=once)
        assert isinstance(found.value, AssertionError)


def test_another_result_is_found() -> None:
    with harness() as hub:

        @flow
        def counts() -> int:
            hub.notes.add("once more")
            return len(hub.notes)

        with pytest.raises(CrashFound, match="the result is 2 and not 1"):
            survives_crashes(counts)


def test_a_flow_that_may_not_be_tried_again_is_found() -> None:
    with harness():

        @flow(crash_retries=0)
        def fragile() -> int:
            return 1

        with pytest.raises(CrashFound, match="the run is Crashed and not Completed"):
            survives_crashes(fragile)


@pytest.mark.long
def test_failing_flows_nested_flows_and_coroutines_survive() -> None:
    with harness() as hub:

        @flow
        def inner(n: int) -> int:
            hub.notes.add(n)
            return n

        @task
        async def half(n: int) -> float:
            await asyncio.sleep(0)
            return n / 2

        @flow
        async def outer() -> list[float]:
            return [*await asyncio.gather(half(1), half(2)), inner(3)]

        @flow
        def fails() -> None:
            inner(1)
            raise ValueError("always")

        assert survives_crashes(outer) > 4
        assert survives_crashes(fails) > 4


def test_each_kill_begins_from_the_same_state() -> None:
    with harness() as hub:
        prepared: list[int] = []

        @flow
        def whole() -> int:
            hub.notes.add("x")
            return 1

        kills = survives_crashes(whole, prepare=lambda: prepared.append(len(hub.notes)))
        assert kills >= 4
        assert set(prepared) == {0}


def test_a_loop_that_does_not_run_is_told() -> None:
    @flow
    def whole() -> int:
        return 1

    with pytest.raises(UsageError, match="has not run"):
        for _crash in crashes(whole):
            pass


def test_a_flow_that_hangs_is_ended(tmp_path: Any) -> None:
    import time

    with harness() as hub:
        hub.patience = 0.5

        @flow
        def hangs() -> None:
            time.sleep(60)

        with pytest.raises(UsageError, match="has not ended within"):
            survives_crashes(hangs)
        assert isinstance(hub, Hub)
