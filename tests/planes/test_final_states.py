"""What a flow returns decides how it ends, and settings decide what it says nothing about."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hub import flow, get_run_logger, task, wait
from hub.errors import RunFailed
from hub.runtime.deploying import document
from hub.runtime.loader import load_flow

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any


@task
def good() -> int:
    return 1


@task
def bad() -> int:
    raise ValueError("no")


@flow
def nothing_asked() -> str:
    bad.submit()
    return "done"


@flow
def a_future() -> Any:
    return bad.submit()


@flow
def futures() -> Any:
    return {"all": [good.submit(), bad.submit()]}


@flow
def a_state() -> Any:
    future = bad.submit()
    future.wait()
    return future.state


@flow
def states() -> Any:
    found = [good.submit(), bad.submit()]
    wait(found)
    return tuple(future.state for future in found)


@flow
def good_states() -> Any:
    found = [good.submit(), good.submit()]
    wait(found)
    return [future.state for future in found]


def test_failed_tasks_that_nobody_asked_for_do_not_fail_their_flow(plane: Plane) -> None:
    assert nothing_asked() == "done"
    assert plane.only()["state_name"] == "Completed"


@pytest.mark.parametrize("whole", [a_future, futures], ids=lambda one: one.name)
def test_a_returned_future_that_failed_fails_its_flow(plane: Plane, whole: Any) -> None:
    with pytest.raises(ValueError, match="no"):
        whole()
    row = plane.only()
    assert (row["state_name"], row["error_type"]) == ("Failed", "ValueError")


@pytest.mark.parametrize("whole", [a_state, states], ids=lambda one: one.name)
def test_a_returned_state_that_is_bad_fails_its_flow(plane: Plane, whole: Any) -> None:
    with pytest.raises(RunFailed, match="returned a state that is Failed: ValueError: no"):
        whole()
    row = plane.only()
    assert (row["state_name"], row["error_type"]) == ("Failed", "RunFailed")


def test_returned_states_that_are_good_are_a_result(plane: Plane) -> None:
    assert [state.name for state in good_states()] == ["Completed", "Completed"]
    assert plane.only()["state_name"] == "Completed"


# --- defaults of the settings ----------------------------------------------------------------------------------------


def test_settings_say_how_often_is_tried_again_what_says_nothing(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_SDK_TASK_RETRIES", "2")
    monkeypatch.setenv("HUB_SDK_TASK_RETRY_DELAY", "0.01")
    monkeypatch.setenv("HUB_SDK_FLOW_RETRIES", "1")
    calls: list[str] = []

    def fails(name: str) -> None:
        calls.append(name)
        raise ValueError(name)

    silent = task(fails, name="silent")
    never = task(retries=0, name="never")(fails)
    own = task(retries=1, retry_delay_seconds=0, name="own")(fails)

    @flow(retries=0)
    def inner() -> None:
        calls.append("inner")
        raise ValueError("inner")

    @flow
    def whole() -> None:
        for one in (silent, never, own):
            with pytest.raises(ValueError, match=one.name):
                one(one.name)
        inner()

    with pytest.raises(ValueError, match="inner"):
        whole()
    assert {name: calls.count(name) for name in set(calls)} == {"silent": 6, "never": 2, "own": 4, "inner": 2}
    assert plane.only("whole")["attempt"] == 2


def test_a_deployment_keeps_the_settings_default(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    file = plane.file("@flow\ndef silent(): ...\n@flow(retries=0)\ndef never(): ...\n")
    monkeypatch.setenv("HUB_SDK_FLOW_RETRIES", "3")
    monkeypatch.setenv("HUB_SDK_FLOW_RETRY_DELAY", "7")
    policy = document(load_flow(f"{file}:silent"), {})["retry_policy"]
    assert (policy["retries"], policy["delays"]) == (3, [7.0])
    assert document(load_flow(f"{file}:never"), {})["retry_policy"]["retries"] == 0


# --- logs ------------------------------------------------------------------------------------------------------------


def test_lines_of_further_loggers_are_kept(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_SDK_LOGGERS", "a_library, a_library.deeper,other")

    @task
    def works() -> None:
        logging.getLogger("a_library.deeper").info("from %s", "below")

    @flow
    def whole() -> None:
        logging.getLogger("a_library").warning("from the flow")
        logging.getLogger("strange").error("not kept")
        works()

    whole()
    logging.getLogger("a_library").warning("outside")
    assert plane.logs() == [("a_library", "from the flow"), ("a_library.deeper", "from below")]
    for name in ("a_library", "a_library.deeper", "other"):
        logging.getLogger(name).handlers.clear()


@pytest.mark.long("sqlite")
def test_thirty_thousand_lines_of_three_threads_are_complete_and_in_order(plane: Plane) -> None:
    begin = threading.Barrier(3)

    @task(persist=False)
    def writes(thread: int) -> None:
        begin.wait(20)
        logger = get_run_logger()
        for number in range(10_000):
            logger.info("%d %d", thread, number)

    @flow
    def whole() -> None:
        writes.map(range(3)).result()

    whole()
    lines = [message.split() for _, message in plane.logs()]
    assert len(lines) == 30_000
    for thread in range(3):
        assert [int(number) for of, number in lines if of == str(thread)] == list(range(10_000))
