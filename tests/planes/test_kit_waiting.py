"""Sleeping and waiting flows in the testing kit: time passes at once, for plain calls and as on a worker."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import hub as sdk
import pytest
from hub import flow, task
from hub.testing import harness, survives_crashes

WEEK = timedelta(days=7)


@task
def step(n: int) -> int:
    return n


@flow
def trial() -> list[int]:
    before = sdk.now()
    told = [step(1)]
    sdk.sleep(WEEK)
    assert sdk.now() - before >= WEEK
    return [*told, step(2)]


@flow
def release() -> str:
    sdk.suspend(timeout=3600, default=None)
    return "released"


def test_a_plain_call_sleeps_a_week_at_once() -> None:
    with harness() as hub:
        assert trial() == [1, 2]
        run = hub.run(trial)
        assert run.started_at is not None
        assert run.ended_at is not None
        assert run.ended_at - run.started_at >= WEEK


def test_as_on_a_worker_it_leaves_and_comes_back() -> None:
    with harness() as hub:
        run = hub.submit(trial)
        assert (run.result, run.attempt) == ([1, 2], 2)
        assert "Sleeping" in run.states


def test_sleeps_of_coroutines_and_outside_runs_pass_too() -> None:
    @flow
    async def whole() -> None:
        await sdk.sleep(WEEK)

    with harness() as hub:
        asyncio.run(whole())
        sdk.sleep(WEEK)
        assert hub.clock.skipped > 2 * WEEK - timedelta(minutes=1)


def test_a_suspended_run_waits_until_it_is_resumed_or_its_time_is_over() -> None:
    with harness() as hub:
        waits = hub.submit(release)
        assert waits.state.name == "Suspended"
        assert hub.resume(waits).result == "released"
        again = hub.submit(release)
        hub.advance(timedelta(minutes=59))
        assert hub.run(again.id).state.name == "Suspended"
        hub.advance(timedelta(minutes=2))
        assert hub.run(again.id).result == "released"


def test_a_pause_in_place_is_over_at_once_or_answered_by_a_thread() -> None:
    @flow
    def held() -> None:
        sdk.pause(timeout=86_400)

    with harness() as hub:
        with pytest.raises(sdk.PauseTimeout):
            held()
        assert hub.clock.skipped >= timedelta(hours=23)


@pytest.mark.long
def test_a_flow_that_sleeps_and_waits_survives_kills() -> None:
    @flow
    def whole() -> str:
        step(1)
        sdk.sleep(86_400)
        sdk.suspend(timeout=60, default=None)
        return "over"

    with harness():
        assert survives_crashes(whole) > 6
    assert threading.active_count() < 20
