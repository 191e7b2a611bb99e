"""What limits do when something ends: attempts, leases, processes without a store; and how limits are made."""

from __future__ import annotations

import asyncio
import time

import pytest
from hub import concurrency, flow, rate_limit, runtime_context, task
from hub.engine.limits import Kind
from hub.engine.why import Reason
from hub.errors import ConflictError, NotFoundError, UsageError
from hub.runtime.commands import Command, apply
from hub.runtime.why import why
from hub.store import attempts, limits
from hub.store.limits import SLOTS, Request
from hub.types import new_id
from sqlalchemy import select

from .conftest import Plane
from .test_limits import SCOPE, Gauge, held, make, rows


def test_slots_end_with_the_attempt_that_held_them(plane: Plane) -> None:
    make(plane, "db", slots=1)
    seen: list[int] = []

    @task(timeout_seconds=0.2)
    def hangs() -> None:
        with concurrency("db"):
            time.sleep(30)

    @flow
    def leaks() -> None:
        hangs.submit().wait()
        seen.append(held(plane, "db"))
        concurrency("db").__enter__()
        seen.append(held(plane, "db"))

    leaks()
    assert seen == [0, 1]
    assert rows(plane) == []


def test_a_lost_attempt_gives_back_what_it_held_and_gets_nothing_more(plane: Plane) -> None:
    from hub.engine.run import Lose
    from hub.runtime.journal import AttemptLost
    from hub.runtime.orchestrator import handle

    make(plane, "db", slots=2)

    @flow
    def loses() -> None:
        from hub import runtime_context

        context = runtime_context()
        assert context is not None
        with concurrency("db"):
            assert held(plane, "db") == 1
            handle(plane.store, SCOPE, context.run_id, Lose(1, 0, "gone"))
            assert held(plane, "db") == 0
            with concurrency("db"):
                raise AssertionError

    with pytest.raises(AttemptLost):
        loses()
    assert rows(plane) == []


def test_renewing_an_attempt_renews_its_slots_and_no_others(plane: Plane) -> None:
    make(plane, "db", slots=2)

    def until() -> list[int]:
        with plane.store.read() as tx:
            return list(tx.conn.execute(select(SLOTS.c.expires_at).order_by(SLOTS.c.id)).scalars())

    @flow
    def holds() -> tuple[list[int], list[int]]:
        from hub import runtime_context

        context = runtime_context()
        assert context is not None
        with concurrency("db"):
            before = until()
            with plane.store.write() as tx:
                key = attempts.attempt_id(context.run_id, 1)
                assert attempts.renew(tx, [key, attempts.attempt_id(context.run_id, 9)], lease_s=100) == [key]
            return before, until()

    before, after = holds()
    assert after[0] - before[0] > 60_000_000


def ask(plane: Plane, request: Request) -> str:
    with plane.store.write() as tx:
        return limits.ask(tx, SCOPE, request).status


def request(*names: str, kind: Kind = "slots") -> Request:
    """One of the flow that calls this."""
    context = runtime_context()
    assert context is not None
    run_id = context.run_id
    return Request(new_id(), names, 1, kind, run_id, 1, attempts.attempt_id(run_id, 1))


def test_who_asks_again_because_the_answer_was_lost_gets_nothing_twice(plane: Plane) -> None:
    make(plane, "db", slots=1)
    make(plane, "api", rate=2, period_s=600)

    @flow
    def again() -> list[str]:
        one, two = request("db"), request("api", kind="rate")
        return [ask(plane, wanted) for wanted in (one, one, two, two, two)]

    assert again() == ["granted"] * 5
    assert rows(plane) == ["SPENT"]


def test_two_that_wait_for_the_same_limits_never_wait_for_each_other(plane: Plane) -> None:
    make(plane, "a", slots=1)
    make(plane, "b", slots=1)

    @flow
    def both() -> list[str]:
        holder, first, second = (request("a", "b") for _ in range(3))
        assert [ask(plane, wanted) for wanted in (holder, first, second)] == ["granted", "waits", "waits"]
        with plane.store.write() as tx:
            # While the machine slept its lease ran out; of its two places one was swept by who wants only that limit.
            place = select(SLOTS.c.id).where(SLOTS.c.request_id == first.id).limit(1).scalar_subquery()
            tx.conn.execute(SLOTS.delete().where(SLOTS.c.id == place))
        ask(plane, first)
        with plane.store.write() as tx:
            limits.release(tx, holder.id)
        return sorted(ask(plane, wanted) for wanted in (first, second, first))

    assert both() == ["granted", "waits", "waits"]


def test_a_slot_whose_lease_ran_out_is_free(plane: Plane) -> None:
    make(plane, "db", slots=1)

    @flow
    def second() -> str:
        with concurrency("db", timeout=20):
            return "in"

    @flow
    def first() -> str:
        with concurrency("db"):
            with plane.store.write() as tx:
                tx.conn.execute(SLOTS.update().values(expires_at=tx.now + 200_000))
            return second()

    assert first() == "in"


def test_limits_need_the_hubs_store_and_a_flow(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="outside a flow"), concurrency("db"):
        pass
    monkeypatch.setenv("HUB_JOURNAL", "off")

    @flow
    def off(strict: bool) -> str:
        with concurrency("db", strict=strict):
            return "done"

    with pytest.raises(UsageError, match="HUB_JOURNAL=off"):
        off(strict=True)
    assert off(strict=False) == "done"


def test_wrong_arguments_are_refused() -> None:
    for given in ({"occupy": 0}, {"occupy": True}, {"timeout": -1}, {"timeout": "1"}):
        with pytest.raises(UsageError):
            concurrency("db", **given)  # type: ignore[arg-type]
    for names in ("", [], [1]):
        with pytest.raises(UsageError):
            rate_limit(names)  # type: ignore[arg-type]


def test_a_block_is_entered_once_and_never_on_a_loop_by_with(plane: Plane) -> None:
    make(plane, "db", slots=2)

    @flow
    def twice() -> None:
        block = concurrency("db")
        with block, block:
            pass

    @flow
    async def blocks() -> None:
        with concurrency("db"):
            pass

    import asyncio

    with pytest.raises(UsageError, match="entered already"):
        twice()
    with pytest.raises(UsageError, match="block the event loop"):
        asyncio.run(blocks())


def test_a_worker_s_attempt_holds_slots_like_any_other(plane: Plane) -> None:
    make(plane, "db", slots=1)
    path = plane.file("@flow\ndef f():\n    with concurrency('db'):\n        return 'in'\n")
    assert plane.execute(f"{path}:f")["state_name"] == "Completed"
    assert rows(plane) == []


def test_commands_make_change_and_remove_limits(plane: Plane) -> None:
    args = {"name": "db", "slots": 2}
    apply(plane.store, Command("limit.create", SCOPE, "db", args))
    with pytest.raises(ConflictError, match="already a limit"):
        apply(plane.store, Command("limit.create", SCOPE, "db", args))
    for wrong in ({"name": "db"}, {"name": "a/b", "slots": 1}, {"name": "db", "rate": 0}, {"name": "db", "slots": -1}):
        with pytest.raises(UsageError):
            apply(plane.store, Command("limit.set", SCOPE, "db", wrong))
    apply(plane.store, Command("limit.delete", SCOPE, "db"))
    with pytest.raises(NotFoundError):
        apply(plane.store, Command("limit.delete", SCOPE, "db"))


def test_events_tell_of_limits(plane: Plane) -> None:
    from hub.store.events import TABLE

    make(plane, "db", slots=2)
    make(plane, "db", slots=3)
    apply(plane.store, Command("limit.delete", SCOPE, "db"))
    with plane.store.read() as tx:
        found = tx.conn.execute(select(TABLE.c.type, TABLE.c.body).order_by(TABLE.c.id)).all()
    assert [row.type for row in found] == ["hub.limit.created", "hub.limit.updated", "hub.limit.deleted"]
    assert found[1].body == {"name": "db", "slots": 3, "rate": None, "period_us": 0}


def test_tasks_with_a_limited_tag_share_its_slots(plane: Plane) -> None:
    make(plane, "tag:db", slots=1)
    gauge = Gauge()

    @task(tags=["db", "unlimited"])
    def work(_number: int) -> int:
        gauge.enter()
        return held(plane, "tag:db")

    @task
    def other() -> int:
        return held(plane, "tag:db")

    @flow(tags=["db"])
    def many() -> tuple[list[int], int]:
        return work.map(range(4)).result(), other()

    assert many() == ([1] * 4, 0)
    assert gauge.most == 1
    assert rows(plane) == []


def test_coroutines_with_a_limited_tag_wait_too_and_a_failed_one_gives_back(plane: Plane) -> None:
    make(plane, "tag:db", slots=1)
    inside: list[int] = []

    @task(tags=["db"], retries=1)
    async def work(number: int) -> None:
        inside.append(held(plane, "tag:db"))
        if len(inside) == 1:
            raise ValueError("once")

    @flow
    async def many() -> None:
        for future in work.map(range(3)):
            await future

    asyncio.run(many())
    assert inside == [1] * 4
    assert rows(plane) == []


def test_why_says_which_limit_code_waits_for_who_holds_it_and_in_which_place(plane: Plane) -> None:
    make(plane, "db", slots=1)
    reasons: list[Reason] = []

    @task
    def waits() -> None:
        with concurrency("db", timeout=30):
            pass

    @flow
    def f() -> None:
        context = runtime_context()
        assert context is not None
        with concurrency("db"):
            futures = [waits.submit(), waits.submit()]
            deadline = time.monotonic() + 20
            while len(rows(plane)) < 3 and time.monotonic() < deadline:
                time.sleep(0.01)
            reasons.append(why(plane.store, plane.settings, SCOPE, context.run_id))
        for future in futures:
            future.result()

    f()
    (reason,) = reasons
    assert (reason.rule, reason.holder) == ("limit", plane.only()["id"])
    assert "waits for limit db of 1 slot, in place 1; 1 task more waits for limits." in reason.sentence
