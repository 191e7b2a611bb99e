"""Hooks of transactions: what they get to know, what happens when they raise; and options that make no sense."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hub import flow, task, transaction
from hub.cache_policies import INPUTS
from hub.errors import UsageError
from hub.sdk import Step

from .booking import book, committed, plain, states, told, undo
from .booking import nothing_told as nothing_told

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any


def test_hooks_get_values_arguments_result_and_a_key_of_their_own(plane: Plane) -> None:
    seen: list[Any] = []

    @task
    def take(amount: int, to: str = "bank") -> int:
        return amount * 2

    @take.on_rollback
    async def give_back(step: Step) -> None:
        await asyncio.sleep(0)
        seen.append((step.get("order"), step.get("late"), step.get("none", 1), dict(step.arguments), step.result))
        seen.append((step.task_name, step.run_id, step.tries, bool(step.task_run_id), step.inputs_digest != ""))
        seen.append(step.idempotency_key)

    @flow
    def pay() -> None:
        with transaction() as txn:
            txn.set("order", 7)
            with transaction() as inner:
                take(3)
                take(3)
                inner.set("late", [1])
                assert inner.get("order") == 7
            raise KeyError("x")

    with pytest.raises(KeyError):
        pay()
    assert seen[0] == (7, [1], 1, {"amount": 3, "to": "bank"}, 6)
    assert seen[1] == ("take", plane.only()["id"], 1, True, True)
    assert seen[2] != seen[5], "each execution has a key of its own"


def test_a_value_that_was_not_set_is_told(plane: Plane) -> None:
    @flow
    def pay() -> None:
        with transaction() as txn:
            txn.set("order", 7)
            txn.get("ordre")

    with pytest.raises(UsageError, match="no value 'ordre'"):
        pay()


def test_a_block_stages_what_it_did_itself(plane: Plane) -> None:
    @flow
    def write() -> None:
        with transaction() as txn:
            txn.stage("file", on_rollback=undo, on_commit=[committed])
            book("flight")
            raise KeyError("x")

    with pytest.raises(KeyError):
        write()
    assert told == [("undo", "book-0", "flight!"), ("undo", "write: step 1", "file")]


def test_a_failing_commit_hook_undoes_the_transaction(plane: Plane) -> None:
    def refuses(_step: Step) -> None:
        raise OSError("full")

    @task(on_commit=[refuses], on_rollback=[undo])
    def last() -> int:
        return 1

    @flow
    def trip(*, alone: bool) -> None:
        if alone:
            last()
        with transaction():
            book("flight")
            last()

    with pytest.raises(OSError, match="full"):
        trip(alone=False)
    assert told == [("commit", "book-0"), ("undo", "last-0", 1), ("undo", "book-0", "flight!")]
    told.clear()
    with pytest.raises(OSError, match="full"):
        trip(alone=True)
    assert told == [("undo", "last-0", 1)], "a task outside any block is a transaction of its own"


def test_results_reach_the_cache_when_the_transaction_commits(plane: Plane) -> None:
    @task(cache_policy=INPUTS)
    def costly(n: int) -> int:
        told.append(("costly", n))
        return n

    @flow
    def whole(*, fails: bool) -> None:
        with transaction():
            costly(1)
            if fails:
                raise KeyError("x")

    with pytest.raises(KeyError):
        whole(fails=True)
    whole(fails=False)
    whole(fails=False)
    assert told == [("costly", 1)] * 2


def test_a_hook_that_raises_is_tried_again_and_then_left_to_a_worker(plane: Plane) -> None:
    @task
    def charge() -> int:
        return 1

    @charge.on_rollback
    def refund(step: Step) -> None:
        told.append(("refund", step.tries))
        if step.tries < 2:
            raise OSError("busy")

    @flow
    def pay() -> None:
        with transaction():
            charge()
            raise KeyError("x")

    with pytest.raises(KeyError):
        pay()
    assert told == [("refund", 1), ("refund", 2)]
    assert states(plane) == [("charge-0", "done")]


def test_a_hook_may_call_tasks(plane: Plane) -> None:
    @task(on_rollback=[lambda step: plain(step.result)])
    def make() -> str:
        return "made"

    @flow(retries=1)
    def whole() -> None:
        with transaction():
            make()
            raise KeyError("x")

    with pytest.raises(KeyError):
        whole()
    assert told == [("plain", "made")] * 2, "the second time it is another thing that is undone"


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"key": ""}, "not a key"), ({"key": 3}, "not a key"), ({"commit_mode": "late"}, "commit_mode='late'"),
        ({"isolation": "total"}, "isolation='total'"), ({"isolation": "serializable"}, "needs a key"),
    ],
)  # fmt: skip
def test_wrong_options_are_refused(given: dict[str, Any], part: str) -> None:
    with pytest.raises(UsageError, match=part):
        transaction(**given)


def test_wrong_hooks_and_blocks_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot be called"):
        task(on_rollback=[3])(lambda: None)  # type: ignore[list-item]
    with pytest.raises(UsageError, match="no option 'on_rollback'"):
        flow(on_rollback=[undo])(lambda: None)  # type: ignore[call-overload]
    block = transaction()
    with pytest.raises(UsageError, match="not entered"):
        block.set("a", 1)
    with block:
        with pytest.raises(UsageError, match="entered before"):
            block.__enter__()
        with pytest.raises(UsageError, match="not a name"):
            block.set("", 1)
    assert block.state == "committed"
