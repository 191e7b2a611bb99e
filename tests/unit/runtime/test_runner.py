"""Upkeep loops: woken, polled, never ended by a step that fails."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hub.errors import UnavailableError
from hub.plugins import Loop
from hub.runtime import runner as running
from hub.runtime.runner import Runner, heartbeats
from hub.store import Store, open_store


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store("sqlite://")
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def start(store: Store) -> Iterator[Callable[..., Runner]]:
    started: list[Runner] = []

    def make(*loops: Loop) -> Runner:
        runner = Runner(store, loops)
        runner.start()
        started.append(runner)
        return runner

    yield make
    for runner in started:
        assert runner.stop() == []


class Steps:
    """A step that counts and can be waited for."""

    def __init__(self, *answers: bool | float | Exception) -> None:
        self._answers = list(answers)
        self._condition = threading.Condition()
        self.count = 0

    def __call__(self) -> bool | float:
        with self._condition:
            self.count += 1
            self._condition.notify_all()
        answer = self._answers.pop(0) if self._answers else False
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait(self, count: int, timeout: float = 10.0) -> None:
        with self._condition:
            assert self._condition.wait_for(lambda: self.count >= count, timeout)


def test_a_step_is_called_at_its_interval(start: Callable[..., Runner]) -> None:
    steps = Steps()
    start(Loop("often", steps, interval=0.01))
    steps.wait(5)


def test_a_wake_up_calls_it_at_once(start: Callable[..., Runner], store: Store) -> None:
    steps = Steps()
    start(Loop("woken", steps, topics=("runs",), interval=60))
    steps.wait(1)
    deadline = time.monotonic() + 10
    while steps.count < 2 and time.monotonic() < deadline:
        store.wake(["runs"])  # again, for the listener may not have been there yet
        time.sleep(0.01)
    assert steps.count >= 2


def test_work_done_calls_it_again_at_once_and_a_number_says_when(start: Callable[..., Runner]) -> None:
    steps = Steps(True, True, 0.01, 0.0)
    start(Loop("busy", steps, interval=60))
    steps.wait(5)


@pytest.mark.parametrize("slow", [{"pace": 60.0}, {"linger": 60.0}])
def test_a_loop_that_keeps_out_of_the_way_is_not_called_for_every_wake_up(
    start: Callable[..., Runner], store: Store, slow: dict[str, float]
) -> None:
    eager, steps = Steps(), Steps()
    start(Loop("eager", eager, topics=("runs",), interval=60), Loop("calm", steps, ("runs",), 60, **slow))
    steps.wait(1)
    deadline = time.monotonic() + 10
    while eager.count < 5 and time.monotonic() < deadline:
        store.wake(["runs"])
        time.sleep(0.01)
    assert eager.count >= 5
    assert steps.count == 1


def test_a_step_that_fails_is_called_again_and_holds_up_no_other(
    start: Callable[..., Runner], caplog: pytest.LogCaptureFixture
) -> None:
    broken, well = Steps(ValueError("broken"), ValueError("broken")), Steps()
    with caplog.at_level(logging.WARNING):
        runner = start(Loop("broken", broken, interval=0.01), Loop("well", well, interval=0.01))
        broken.wait(4)
        well.wait(10)
    assert "loop broken failed 1 times" in caplog.text
    assert runner.problems() == {}, "it has recovered"


def test_what_is_away_is_told_in_one_line(start: Callable[..., Runner], caplog: pytest.LogCaptureFixture) -> None:
    steps = Steps(UnavailableError("the broker does not answer"))
    with caplog.at_level(logging.WARNING):
        start(Loop("away", steps, interval=0.01))
        steps.wait(2)
    assert "loop away waits: the broker does not answer" in caplog.text
    assert "Traceback" not in caplog.text


def test_the_heartbeat_tells_that_loops_go_round(start: Callable[..., Runner], store: Store) -> None:
    steps = Steps()
    runner = start(Loop("one", steps, interval=0.01))
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with store.read() as tx:
            beats = heartbeats(tx)
        if beats:
            break
        time.sleep(0.01)
    assert len(beats) == 1
    runner.stop()
    with store.read() as tx:
        assert heartbeats(tx) == []


def test_a_step_that_hangs_is_a_problem(start: Callable[..., Runner], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "STUCK_S", 0.05)
    hold = threading.Event()
    entered = threading.Event()

    def hang() -> bool:
        entered.set()
        hold.wait(10)
        return False

    runner = start(Loop("hangs", hang, interval=0.01))
    assert entered.wait(10)
    deadline = time.monotonic() + 10
    while not runner.problems() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert list(runner.problems()) == ["hangs"]
    hold.set()
