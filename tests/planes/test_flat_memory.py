"""A flow of very many tasks keeps of each that has ended a fingerprint, and nothing else."""

from __future__ import annotations

import gc
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hub import as_completed, flow, task
from hub.runtime.executor import pool
from hub.runtime.executor.session import Session
from hub.runtime.executor.tasklife import Call
from hub.runtime.executor.taskrecord import TaskRecord
from hub.runtime.journal import Fact
from hub.sdk.context import current
from hub.sdk.futures import Future

from .conftest import Plane

KINDS = (Future, Call, TaskRecord, Fact, pool.Work)


@task
def same(n: int) -> int:
    return n


@task
async def later(n: int) -> int:
    return n


def called(count: int) -> Iterator[object]:
    for n in range(count):
        yield same(n)


def submitted(count: int) -> Iterator[object]:
    for n in range(count):
        yield same.submit(n).wait()


def mapped(count: int) -> Iterator[object]:
    yield from as_completed(same.map(iter(range(count))))


def coroutines(count: int) -> Iterator[object]:
    yield from as_completed(later.map(iter(range(count))))


@pytest.mark.parametrize("calls", [called, submitted, mapped, coroutines])
@pytest.mark.long("sqlite-submitted", "sqlite-called", "postgresql-mapped", "postgresql-coroutines")
def test_ended_tasks_are_let_go(plane: Plane, calls: Callable[[int], Iterator[object]]) -> None:
    seen: list[Counter[str]] = []
    sizes: list[int] = []

    @flow(max_threads=2)
    def whole() -> None:
        context = current.get()
        assert context is not None
        session: Session = context.session
        for number, _ in enumerate(calls(1500)):
            if number in (499, 1499):
                session.journal.flush()
                seen.append(living())
                sizes.append(sum(len(held) for held in (session._unfinished, session.open, session.names._next)))
        assert len(session.ordinals._once) <= 1501
        assert sys.getsizeof(session.ordinals._once._table) <= 40 * 1500

    whole()
    assert len(plane.tasks()) == 1500
    assert sum((seen[1] - seen[0]).values()) < 100, seen[1] - seen[0]
    assert sizes[1] <= 20


def living() -> Counter[str]:
    gc.collect()
    return Counter(type(found).__name__ for found in gc.get_objects() if isinstance(found, KINDS))


def test_who_submits_faster_than_threads_execute_is_held_back(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_AHEAD", 20)
    queued: list[int] = []

    @flow(max_threads=2)
    def whole() -> Any:
        session: Session = current.get().session  # type: ignore[union-attr]
        for n in range(500):
            last = same.submit(n)
            queued.append(session.root.pool._queue.qsize())
        return last.result()

    assert whole() == 499
    assert max(queued) <= 21
    assert len(plane.tasks()) == 500


def test_what_waits_for_its_submitter_does_not_hold_it_for_ever(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_AHEAD", 4)
    monkeypatch.setattr(pool, "_HOLD_S", 0.05)
    go = threading.Event()

    @task
    def waits() -> bool:
        return go.wait(30)

    @flow(max_threads=2)
    def whole() -> list[bool]:
        futures = [waits.submit() for _ in range(30)]
        go.set()
        return [future.result() for future in futures]

    assert all(whole())
