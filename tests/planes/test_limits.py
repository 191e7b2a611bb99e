"""Named limits in flows and tasks, on both stores: counted, in line, given back whatever happens."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from hub import LimitTimeout, concurrency, flow, rate_limit, task
from hub.errors import UsageError
from hub.runtime.commands import Command, apply
from hub.store import limit_lists
from hub.store.limits import SLOTS
from hub.types import Scope
from sqlalchemy import select

from .conftest import Plane

SCOPE = Scope()


def make(plane: Plane, name: str, **args: Any) -> None:
    apply(plane.store, Command("limit.set", SCOPE, name, {"name": name, **args}))


def held(plane: Plane, name: str) -> int:
    with plane.store.read() as tx:
        return int(limit_lists.show(tx, SCOPE, name)["held"])


def rows(plane: Plane) -> list[str]:
    with plane.store.read() as tx:
        return [row.state for row in tx.conn.execute(select(SLOTS.c.state).order_by(SLOTS.c.id))]


def until(plane: Plane, waiting: int) -> None:
    """Wait until so many stand in line."""
    deadline = time.monotonic() + 20
    while rows(plane).count("WAITING") != waiting:
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Gauge:
    """How many are inside at once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.lock = threading.Lock()

    def enter(self, seconds: float = 0.02) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(seconds)
        with self.lock:
            self.now -= 1


def test_no_more_tasks_are_inside_than_the_limit_has_slots(plane: Plane) -> None:
    make(plane, "db", slots=2)
    gauge, meeting = Gauge(), threading.Barrier(2)

    @task
    def work(number: int) -> int:
        with concurrency("db"):
            meeting.wait(20)
            gauge.enter()
        return number

    @flow
    def many() -> list[int]:
        return work.map(range(12)).result()

    assert many() == list(range(12))
    assert gauge.most == 2
    assert (held(plane, "db"), rows(plane)) == (0, [])


def test_slots_are_counted_by_what_each_occupies(plane: Plane) -> None:
    make(plane, "db", slots=3)
    gauge = Gauge()

    @task
    def work(_number: int) -> None:
        with concurrency("db", occupy=2):
            gauge.enter()

    @flow
    def many() -> None:
        work.map(range(4)).wait()

    many()
    assert gauge.most == 1


def test_coroutines_wait_without_blocking_their_loop(plane: Plane) -> None:
    make(plane, "db", slots=1)
    gauge, ticks = Gauge(), []

    @task
    async def work(_number: int) -> None:
        import asyncio

        async with concurrency("db"):
            gauge.now += 1
            gauge.most = max(gauge.most, gauge.now)
            await asyncio.sleep(0.02)
            gauge.now -= 1

    @flow
    async def many() -> None:
        import asyncio

        futures = work.map(range(20))
        for _ in range(5):
            await asyncio.sleep(0.01)
            ticks.append(time.monotonic())
        for future in futures:
            await future

    import asyncio

    asyncio.run(many())
    assert gauge.most == 1
    assert len(ticks) == 5
    assert rows(plane) == []


def test_who_asked_first_is_served_first_and_a_big_wish_is_not_passed_by_small_ones(plane: Plane) -> None:
    make(plane, "db", slots=2)
    order: list[str] = []
    inside, go = threading.Event(), threading.Event()

    @task
    def work(name: str, occupy: int) -> None:
        with concurrency("db", occupy=occupy):
            order.append(name)
            inside.set()
            assert go.wait(20)

    @flow
    def three() -> None:
        futures = [work.submit("one", 1)]
        assert inside.wait(20)
        for waiting, call in enumerate((("both", 2), ("late", 1)), 1):
            futures.append(work.submit(*call))
            until(plane, waiting)
        go.set()
        for future in futures:
            future.result()

    three()
    assert order == ["one", "both", "late"]


def test_a_time_limit_for_waiting_raises_a_timeout_and_leaves_no_place_in_line(plane: Plane) -> None:
    make(plane, "db", slots=0)
    caught: list[BaseException] = []

    @flow
    def waits() -> list[str]:
        for seconds in (0, 0.05):
            try:
                with concurrency("db", timeout=seconds):
                    raise AssertionError
            except TimeoutError as error:
                caught.append(error)
        return rows(plane)

    assert waits() == []
    assert [type(error) for error in caught] == [LimitTimeout, LimitTimeout]
    assert "hub limits show db" in caught[0].hint  # type: ignore[attr-defined]


def test_a_limit_that_nobody_made_is_an_error_unless_the_author_says_otherwise(plane: Plane) -> None:
    @flow
    def strict() -> None:
        with concurrency("nothing"):
            pass

    @flow
    def lenient() -> str:
        with concurrency("nothing", strict=False):
            rate_limit("nothing", strict=False)
            return "done"

    with pytest.raises(UsageError, match="there is no limit nothing"):
        strict()
    assert lenient() == "done"


def test_what_can_never_be_had_is_an_error(plane: Plane) -> None:
    make(plane, "db", slots=2)
    make(plane, "api", rate=2, period_s=60)

    @flow
    def wrong(kind: str) -> None:
        if kind == "too many":
            with concurrency("db", occupy=3):
                pass
        elif kind == "no rate":
            rate_limit("db")
        elif kind == "no slots":
            with concurrency("api"):
                pass
        else:
            rate_limit("api", occupy=3)

    for kind, told in (("too many", "has 2 slots, 3"), ("no rate", "has no rate"), ("no slots", "a rate and no slots"),
                       ("too fast", "allows 2 in 60 s, 3")):  # fmt: skip
        with pytest.raises(UsageError, match=told):
            wrong(kind)


def test_a_rate_is_spent_until_its_period_has_passed_for_each_use(plane: Plane) -> None:
    make(plane, "api", rate=3, period_s=60)

    def age(count: int) -> None:
        with plane.store.write() as tx:
            oldest = tx.conn.execute(select(SLOTS.c.id).order_by(SLOTS.c.expires_at).limit(count)).scalars().all()
            tx.conn.execute(SLOTS.update().where(SLOTS.c.id.in_(oldest)).values(expires_at=tx.now))

    @task
    def call(_number: int) -> bool:
        try:
            rate_limit("api", timeout=0)
        except TimeoutError:
            return False
        return True

    @flow
    def crawl() -> list[int]:
        found = []
        for aged in (0, 0, 1, 2):
            age(aged)
            found.append(sum(call.map(range(5)).result()))
        return found

    assert crawl() == [3, 0, 1, 2]
    assert rows(plane) == ["SPENT"] * 3


def test_whoever_waits_for_a_rate_goes_on_when_it_comes_back(plane: Plane) -> None:
    make(plane, "api", rate=3, period_s=0.2)

    @task
    def call(_number: int) -> None:
        rate_limit("api", timeout=30)

    @flow
    def crawl() -> None:
        call.map(range(10)).result()

    crawl()


def test_a_rate_is_awaited_in_a_coroutine(plane: Plane) -> None:
    make(plane, "api", rate=1, period_s=0.1)

    @flow
    async def crawl() -> float:
        began = time.time()
        for _ in range(3):
            await rate_limit("api")
        return time.time() - began

    import asyncio

    assert asyncio.run(crawl()) >= 0.18


def test_a_limit_with_both_counts_both(plane: Plane) -> None:
    make(plane, "api", slots=5, rate=2, period_s=60)

    @flow
    def twice() -> str:
        with concurrency("api"), concurrency("api"):
            pass
        try:
            with concurrency("api", timeout=0):
                return "a third time"
        except TimeoutError:
            return "spent"

    assert twice() == "spent"
    assert held(plane, "api") == 0


def test_several_limits_are_had_together_or_not_at_all(plane: Plane) -> None:
    make(plane, "a", slots=1)
    make(plane, "b", slots=0)

    @flow
    def both() -> tuple[int, int]:
        try:
            with concurrency(["b", "a"], timeout=0.05):
                raise AssertionError
        except TimeoutError:
            pass
        make(plane, "b", slots=1)
        with concurrency(["a", "b"]):
            return held(plane, "a"), held(plane, "b")

    assert both() == (1, 1)
    assert rows(plane) == []


def test_a_limit_that_is_opened_lets_waiters_in(plane: Plane) -> None:
    make(plane, "db", slots=0)

    @flow
    def waits() -> str:
        threading.Timer(0.1, lambda: make(plane, "db", slots=1)).start()
        with concurrency("db", timeout=20):
            return "in"

    assert waits() == "in"
