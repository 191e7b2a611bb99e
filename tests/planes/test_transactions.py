"""Transactions of flows: what commits, what is undone, and in which order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hub import flow, task, transaction
from hub.errors import RunCancelled, UsageError
from hub.runtime import compensations, inline

from .booking import book, broken, plain, states, told, undo
from .booking import nothing_told as nothing_told
from .conftest import SCOPE

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any


def test_a_transaction_that_ends_well_commits_with_the_outermost(plane: Plane) -> None:
    seen = []

    @flow
    def trip() -> None:
        with transaction() as outer:
            book("flight")
            with transaction() as inner:
                book("hotel")
            seen.append((inner.state, outer.state, list(told)))
        seen.append((inner.state, outer.state))

    trip()
    assert seen == [("staged", "active", []), ("staged", "committed")]
    assert told == [("commit", "book-0"), ("commit", "book-1")]
    assert states(plane) == [("book-0", "committed"), ("book-1", "committed")]


def test_what_was_staged_is_undone_last_first_and_the_failing_task_is_not(plane: Plane) -> None:
    @flow
    def trip() -> None:
        with transaction():
            book("flight")
            plain("between")
            with transaction():
                book.submit("hotel").result()
            broken()

    with pytest.raises(ValueError, match="broken"):
        trip()
    assert told == [("plain", "between"), ("undo", "book-1", "hotel!"), ("undo", "book-0", "flight!")]
    assert states(plane) == [("book-0", "done"), ("plain-0", "done"), ("book-1", "done")]
    with plane.store.read() as tx:
        found = compensations.of_run(tx, SCOPE, plane.only()["id"])
    assert found.summary == "rolled back: 2 of 2 steps"
    assert [item["name"] for item in found.items] == ["book-0", "book-1"]


def test_an_eager_one_commits_each_task_at_its_own_end(plane: Plane) -> None:
    @flow
    def trip() -> None:
        with transaction(commit_mode="eager"):
            book("flight")
            assert told == [("commit", "book-0")]
            broken()

    with pytest.raises(ValueError, match="broken"):
        trip()
    assert told == [("commit", "book-0")]


def test_one_that_is_off_is_undone_unless_it_is_committed_by_hand(plane: Plane) -> None:
    @flow
    def trip(*, keep: bool) -> str:
        with transaction(commit_mode="off") as txn:
            book("flight")
            if keep:
                txn.commit()
        return txn.state

    assert trip(keep=False) == "rolled_back"
    assert trip(keep=True) == "committed"
    assert told == [("undo", "book-0", "flight!"), ("commit", "book-0")]


def test_rollback_by_hand_undoes_at_once_and_the_flow_goes_on(plane: Plane) -> None:
    @flow
    def trip() -> str:
        with transaction() as txn:
            book("flight")
            txn.rollback()
            with pytest.raises(UsageError, match="rolled_back already"):
                txn.commit()
        return txn.state

    assert trip() == "rolled_back"
    assert told == [("undo", "book-0", "flight!")]


def test_tasks_are_transactions_to_the_tasks_that_they_call(plane: Plane) -> None:
    @task(retries=1)
    def outer(*, fails: bool) -> None:
        book("inner")
        if fails:
            raise ValueError("outer")

    @flow
    def trip(*, fails: bool) -> None:
        outer(fails=fails)

    trip(fails=False)
    assert told == [("commit", "book-0")]
    told.clear()
    with pytest.raises(ValueError, match="outer"):
        trip(fails=True)
    assert told == [("undo", "book-0", "inner!"), ("undo", "book-1", "inner!")]


def test_nested_flows_are_part_of_the_transaction_that_they_are_called_in(plane: Plane) -> None:
    @flow
    def inner() -> str:
        return book("inner")

    @flow
    def trip() -> None:
        with transaction():
            inner()
            broken()

    with pytest.raises(ValueError, match="broken"):
        trip()
    assert told == [("undo", "book-0", "inner!")]


def test_async_flows_use_the_same_object(plane: Plane) -> None:
    @task(on_rollback=[undo])
    async def fetch(n: int) -> int:
        await asyncio.sleep(0)
        return n

    @flow
    async def crawl() -> None:
        async def part(n: int, *, fails: bool) -> None:
            async with transaction() as txn:
                await fetch(n)
                await txn.stage(n, on_rollback=undo)
                if fails:
                    raise ValueError(n)

        await asyncio.gather(part(1, fails=False), part(2, fails=True), return_exceptions=True)
        with pytest.raises(UsageError, match="would block"), transaction():
            pass

    asyncio.run(crawl())
    assert told == [("undo", "crawl: step 1", 2), ("undo", "fetch-1", 2)]


def test_keys_are_known_in_every_run(plane: Plane) -> None:
    @flow
    def pay(*, fails: bool) -> bool:
        with transaction(key="order-7", isolation="serializable") as txn:
            if txn.is_committed():
                return True
            book("flight")
            if fails:
                raise KeyError("x")
        return txn.is_committed() is not True

    with pytest.raises(KeyError):
        pay(fails=True)
    assert pay(fails=False) is False
    assert pay(fails=False) is True
    assert told == [("undo", "book-0", "flight!"), ("commit", "book-0")]


def test_serializable_blocks_with_one_key_take_turns(plane: Plane) -> None:
    inside: list[int] = []

    @task
    def one(n: int) -> int:
        with transaction(key="turn", isolation="serializable"):
            inside.append(n)
            assert len(inside) == 1
            with transaction(key="turn", isolation="serializable"):
                pass
            inside.remove(n)
        return n

    @flow
    def whole() -> list[int]:
        return one.map(range(4)).result()

    assert whole() == [0, 1, 2, 3]


def test_what_an_attempt_undid_is_done_again_by_the_next(plane: Plane) -> None:
    @flow(retries=1)
    def trip() -> None:
        plain("before")
        with transaction():
            book("flight")
            plain("inside")
            if ("undo", "book-0", "flight!") not in told:
                raise KeyError("first")

    trip()
    assert told == [
        ("plain", "before"), ("plain", "inside"), ("undo", "book-0", "flight!"), ("plain", "inside"),
        ("commit", "book-0"),
    ]  # fmt: skip
    assert states(plane) == [
        ("book-0", "done"), ("plain-1", "done"), ("book-0", "committed"), ("plain-1", "committed"),
    ]  # fmt: skip


def test_without_a_journal_everything_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_JOURNAL", "off")

    @flow
    def trip(*, fails: bool) -> None:
        with transaction(key="off") as txn:
            txn.set("a", object())
            book("flight")
            txn.stage(1, on_rollback=undo)
            if fails:
                broken()

    try:
        with pytest.raises(ValueError, match="broken"):
            trip(fails=True)
        assert told == [("undo", "trip: step 1", 1), ("undo", "book-0", "flight!")]
        told.clear()
        trip(fails=False)
        assert told == [("commit", "book-0")]
    finally:
        inline.forget()


def test_outside_a_flow_tasks_of_a_block_belong_together(plane: Plane) -> None:
    def whole() -> None:
        with transaction():
            book("flight")
            raise KeyError("x")

    with pytest.raises(KeyError):
        whole()
    assert told == [("undo", "book-0", "flight!")]


def test_ctrl_c_undoes_what_was_done_here(plane: Plane) -> None:
    @flow
    def trip() -> None:
        with transaction():
            book("flight")
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, RunCancelled)):
        trip()
    assert told == [("undo", "book-0", "flight!")]
