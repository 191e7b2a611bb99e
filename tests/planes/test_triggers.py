"""Tasks whose upstreams failed: trigger rules, allow_failure, quote; sync and async, inline and on a worker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hub import allow_failure, flow, quote, task, unmapped
from hub.errors import RunFailed, UsageError

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any


@task
def good(n: int = 1) -> int:
    return n


@task
def bad(text: str = "no") -> int:
    raise ValueError(text)


@task
def told(value: Any) -> Any:
    return repr(value)


@task
async def told_later(value: Any) -> Any:
    await asyncio.sleep(0)
    return repr(value)


def test_allow_failure_gives_the_exception_in_place_of_the_result(plane: Plane) -> None:
    @flow
    def whole() -> list[Any]:
        failed = bad.submit("x")
        return [
            told.submit(allow_failure(failed)).result(),
            told_later.submit([allow_failure(failed), good.submit(2)]).result(),
            told(allow_failure(failed)),
            told.map(allow_failure([failed, good.submit(3)])).result(),
            told.map(
                [1],
            ).result(),
            good.submit(5, wait_for=[allow_failure([failed])]).result(),
        ]

    assert whole() == [
        "ValueError('x')", "[ValueError('x'), 2]", "ValueError('x')", ["ValueError('x')", "3"], ["1"], 5,
    ]  # fmt: skip
    assert "Failed" not in {t["state_name"] for t in plane.tasks() if t["task_name"] != "bad"}


def test_a_future_that_is_also_given_plainly_is_not_forgiven(plane: Plane) -> None:
    @flow
    def whole() -> None:
        failed = bad.submit("x")
        with pytest.raises(RunFailed, match="bad-0, whose result it needs, has failed"):
            told.submit([failed, allow_failure(failed)]).result()

    whole()


def test_allow_failure_in_an_async_flow(plane: Plane) -> None:
    @flow
    async def whole() -> list[Any]:
        failed = bad.submit("x")
        return [await told_later(allow_failure(failed)), await told.submit(allow_failure(failed))]

    assert asyncio.run(whole()) == ["ValueError('x')"] * 2


def test_results_of_failed_futures_can_be_asked_for_without_raising(plane: Plane) -> None:
    @flow
    def whole() -> list[str]:
        futures = told.map([bad.submit("x")])
        assert isinstance(bad.submit("y").result(raise_on_failure=False), ValueError)
        assert good.submit().result(raise_on_failure=False) == 1
        return [type(value).__name__ for value in futures.result(raise_on_failure=False)]

    assert whole() == ["RunFailed"]


def test_each_trigger_after_a_failure_and_after_none(plane: Plane) -> None:
    @flow
    def whole() -> dict[str, list[str]]:
        made: dict[str, list[str]] = {}
        for trigger in ("all_success", "all_done", "one_failed", "none_failed"):
            ruled = told.with_options(trigger=trigger)  # type: ignore[arg-type]
            futures = [ruled.submit([good.submit(), bad.submit()]), ruled.submit([good.submit()]), ruled.submit(7)]
            made[trigger] = [f"{future.result(raise_on_failure=False)!r:.27}" for future in futures]
        return made

    error = "\"[1, ValueError('no')]\""
    assert whole() == {
        "all_success": ["RunFailed('told-0 did not r", "'[1]'", "'7'"],
        "all_done": [error, "'[1]'", "'7'"],
        "one_failed": [error, "None", "None"],
        "none_failed": ["RunFailed('told-9 did not r", "'[1]'", "'7'"],
    }
    skipped = {t["state_message"]: t for t in plane.tasks() if t["state_name"] == "Skipped"}
    assert sorted(skipped) == [
        "trigger one_failed: it waits for no other task",
        "trigger one_failed: none of those it waits for has failed (good-5)",
    ]
    assert {t["state_type"] for t in skipped.values()} == {"COMPLETED"}
    assert {t["started_at"] for t in skipped.values()} == {None}


def test_what_needs_a_skipped_task_is_skipped_unless_it_says_none_failed(plane: Plane) -> None:
    @flow
    def whole() -> list[Any]:
        alarm = told.with_options(name="alarm", trigger="one_failed").submit(good.submit())
        after = told.submit("x", wait_for=[[alarm]])
        anyway = told.with_options(trigger="none_failed").submit(alarm)
        return [alarm.result(), after.result(), after.state.message, anyway.result()]

    assert whole() == [None, None, "trigger all_success: alarm-0, which it needs, was skipped", "None"]


def test_an_unknown_trigger_is_refused_where_it_is_written() -> None:
    with pytest.raises(UsageError, match="trigger='all' is not a trigger rule") as caught:
        task(trigger="all")(lambda: None)  # type: ignore[call-overload]
    assert "none_failed" in caught.value.hint


class Unread:
    """Fails when it is looked into."""

    def __iter__(self) -> Any:
        raise AssertionError("looked into")


def test_quoted_arguments_are_passed_on_unread(plane: Plane) -> None:
    big: list[Any] = [good.fn]

    @task
    def same(value: Any, more: int = 0) -> bool:
        return value is big and more == 0

    @flow
    def whole() -> list[Any]:
        future = good.submit(0)
        big.append(future)
        return [
            same(quote(big)), same.submit(quote(big), future).result(),
            *same.map(quote(big), [0, 0]).result(), *same.map(unmapped(quote(big)), [0]).result(),
        ]  # fmt: skip

    assert whole() == [True] * 5
    upstream = [t["upstream"] for t in plane.tasks() if t["task_name"] == "same"]
    assert [len(ids) for ids in upstream] == [0, 1, 0, 0, 0]


FLOW = """
@task
def part(n):
    with open({ran!r}, "a") as out:
        out.write(f"part-{{n}} ")
    if n == 2 and not Path({mended!r}).exists():
        raise ValueError("two")
    return n

@task(trigger="one_failed")
def alarm(parts):
    with open({ran!r}, "a") as out:
        out.write("alarm ")
    return [repr(part) for part in parts]

@task(trigger="all_done")
def clean(parts):
    return "clean"

@flow(retries=1)
def whole():
    parts = part.map([1, 2])
    told = alarm.submit(parts)
    done = clean.submit("", wait_for=[parts])
    found = [told.result(), done.result()]
    parts.result()
    return found
"""


def test_on_a_worker_the_next_attempt_asks_the_triggers_again(plane: Plane) -> None:
    ran, mended = plane.folder / "ran", plane.folder / "mended"
    file = plane.file(FLOW.format(ran=str(ran), mended=str(mended)))
    policy = {"retries": 1}
    run_id = plane.run(f"{file}:whole", retry_policy=policy)
    plane.attempt(run_id)
    assert plane.row(run_id)["state_name"] == "AwaitingRetry"
    first = {t["name"]: t for t in plane.tasks(run_id)}
    assert first["alarm-0"]["result"] == b'["1","ValueError(\'two\')"]'
    mended.touch()
    plane.attempt(run_id)
    run = plane.row(run_id)
    assert (run["state_name"], run["result"]) == ("Completed", b'[["1","ValueError(\'two\')"],"clean"]')
    assert sorted(ran.read_text().split()) == ["alarm", "part-1", "part-2", "part-2"]


SKIPPING = """
@task
def part():
    if Path({broken!r}).exists():
        raise ValueError("now")

@task(trigger="one_failed")
def alarm(part):
    return repr(part)

@flow(retries=1)
def whole():
    made = alarm.submit(part.with_options(persist=False).submit()).result()
    if not Path({broken!r}).exists():
        Path({broken!r}).touch()
        raise ValueError("again")
    return made
"""


def test_a_skipped_task_is_not_taken_for_done_by_the_next_attempt(plane: Plane) -> None:
    file = plane.file(SKIPPING.format(broken=str(plane.folder / "broken")))
    policy = {"retries": 1}
    run_id = plane.run(f"{file}:whole", retry_policy=policy)
    plane.attempt(run_id)
    assert {t["name"]: t["state_name"] for t in plane.tasks(run_id)} == {"part-0": "Completed", "alarm-0": "Skipped"}
    plane.attempt(run_id)
    assert plane.row(run_id)["result"] == b"\"ValueError('now')\""
    # Only the result of `part`, which was not kept, was looked for.
    assert sum("not at hand" in line for _, line in plane.logs()) == 1
