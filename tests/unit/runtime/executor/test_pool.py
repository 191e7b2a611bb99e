"""The threads of a run: as many as there is work for, up to its size."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest
from hub.runtime.executor.pool import Pool, Work
from hub.sdk.futures import Future
from hub.types import new_id


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that take turns as often as they can, so that each gap between two lines is met."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
def test_work_never_waits_behind_work_while_a_thread_may_be_started() -> None:
    for turn in range(1000):
        gate = threading.Barrier(3)
        pool = Pool(3)
        works = [Work(lambda gate=gate: gate.wait(10), Future(new_id(), f"{turn}-{n}"), ()) for n in range(3)]  # type: ignore[misc]
        for work in works:
            pool.add(work)
        # Whoever came late waits for the others here; a broken gate is one that a queued work never reached.
        while any(work.waiting for work in works) and not gate.broken:
            threading.Event().wait(0.0005)
        pool.close()
        assert not gate.broken, f"turn {turn}"


def test_a_free_thread_is_used_before_another_is_started() -> None:
    pool = Pool(8)
    ran: set[int | None] = set()
    for n in range(20):
        done = threading.Event()
        pool.add(
            Work(
                lambda done=done: (ran.add(threading.current_thread().ident), done.set()), Future(new_id(), str(n)), ()
            )
        )  # type: ignore[misc]
        assert done.wait(10)
        # The thread counts as free a moment after its work is done.
        for _ in range(1000):
            if pool._spare == 1:
                break
            threading.Event().wait(0.001)
    pool.close()
    assert len(ran) == 1
