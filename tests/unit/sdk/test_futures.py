"""Futures by themselves."""

from __future__ import annotations

import threading

import pytest
from hub.sdk.futures import Future, Futures, as_completed, wait
from hub.states import State, StateType

DONE = State(StateType.COMPLETED, "Completed")
FAILED = State(StateType.FAILED, "Failed")


def make(number: int) -> Future[int]:
    return Future(f"id-{number}", f"task-{number}")


def test_it_gives_its_value_to_a_waiting_thread() -> None:
    future = make(1)
    threading.Timer(0.02, future.settle, (DONE, 5)).start()
    assert not future.done()
    assert future.result(timeout=5) == 5
    assert future.state == DONE


def test_it_raises_what_the_task_raised() -> None:
    future, error = make(1), ValueError("no")
    assert future.settle(FAILED, error=error)
    assert not future.settle(DONE, 3)
    assert future.exception() is error
    with pytest.raises(ValueError, match="no"):
        future.result()


def test_it_says_when_time_ran_out() -> None:
    with pytest.raises(TimeoutError, match="task-1 has not ended"):
        make(1).result(timeout=0.01)


def test_callbacks_come_once_even_when_added_late() -> None:
    future, seen = make(1), list[str]()
    future.add_done_callback(lambda ended: seen.append("early"))
    future.settle(DONE, 1)
    future.add_done_callback(lambda ended: seen.append("late"))
    assert seen == ["early", "late"]


def test_a_callback_that_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    future, seen = make(1), list[Future[int]]()
    future.add_done_callback(lambda ended: 1 / 0)
    future.add_done_callback(seen.append)
    assert future.settle(DONE, 1)
    assert seen == [future]
    assert "a callback of task-1 raised" in caplog.text


def test_many_futures_wait_together() -> None:
    futures = Futures([make(n) for n in range(3)])
    futures[1].settle(DONE, 1)
    assert wait(futures, timeout=0.01) == ({futures[1]}, {futures[0], futures[2]})
    futures[0].settle(DONE, 0)
    futures[2].settle(DONE, 2)
    assert futures.result() == [0, 1, 2]
    assert futures.wait()


def test_as_completed_gives_them_in_order_of_their_end() -> None:
    futures = [make(n) for n in range(3)]
    futures[2].settle(DONE, 2)
    given = as_completed(futures, timeout=0.05)
    assert next(given) is futures[2]
    futures[0].settle(DONE, 0)
    assert next(given) is futures[0]
    with pytest.raises(TimeoutError, match="1 of 3"):
        next(given)
