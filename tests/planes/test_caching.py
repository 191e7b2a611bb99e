"""Cached calls: who takes whose result, who waits, what the log says of a miss, how entries end."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest
from hub import flow, runtime_context, task
from hub.cache_policies import DEFAULT, FLOW_PARAMETERS, INPUTS, TASK_SOURCE
from hub.runtime.commands import Command, apply
from hub.runtime.retention import Retention
from hub.store import attempts, cache
from hub.store.cache import Holder
from hub.types import SECOND, Scope, new_id, now_us
from sqlalchemy import update
from tests.planes.conftest import Plane

SCOPE = Scope()


def entries(plane: Plane) -> list[dict[str, Any]]:
    with plane.store.read() as tx:
        return list(reversed(cache.listing(tx, SCOPE).items))


def told(plane: Plane) -> list[str]:
    return [message for logger, message in plane.logs() if logger == "hub.cache"]


def change(plane: Plane, **values: Any) -> None:
    with plane.store.write() as tx:
        tx.conn.execute(update(cache.TABLE).values(**values))


def test_an_equal_call_in_another_run_takes_the_result(plane: Plane) -> None:
    calls: list[str] = []

    @task(cache_policy=INPUTS + TASK_SOURCE)
    def load(day: str, rows: int = 2) -> set[str]:
        calls.append(day)
        return {day * rows}

    @flow
    def whole(day: str) -> int:
        return len(load(day)) + len(load.submit(day, rows=2).result())

    assert [whole("mo"), whole("mo"), whole("tu")] == [2, 2, 2]
    assert calls == ["mo", "tu"]
    states = [(row["state_type"], row["state_name"]) for row in plane.tasks()]
    assert states.count(("COMPLETED", "Cached")) == 4
    cached = next(row for row in plane.tasks() if row["state_name"] == "Cached")
    first = plane.tasks()[0]
    assert cached["state_message"] == f"the result of load-0 in run {plane.rows()[0]['name']}"
    assert (cached["result"], cached["result_format"]) == (first["result"], "json+tags")
    found = entries(plane)
    assert [(row["hits"], row["state"], row["size"] > 0) for row in found] == [(3, "ready", True), (1, "ready", True)]
    assert found[0]["task_name"] == "load"


def test_a_miss_says_which_part_of_the_key_differed(plane: Plane) -> None:
    @task(cache_policy=INPUTS + TASK_SOURCE + FLOW_PARAMETERS)
    def load(day: str, rows: int) -> str:
        return day * rows

    @flow
    def whole(first: str, second: int = 1) -> str:
        return load(first, second)

    for given in (("mo", 1), ("mo", 2), ("tu", 1)):
        whole(*given)
    misses = told(plane)
    assert misses[0] == "cache miss: there is no result of this task yet"
    nearest = f"cache miss: the nearest entry (task run {plane.tasks()[0]['id']}) differs in "
    assert misses[1:] == [
        nearest + "flow_parameters.second, inputs.rows", nearest + "flow_parameters.first, inputs.day"
    ]  # fmt: skip

    @task(cache_policy=INPUTS + TASK_SOURCE)
    def other(n: int) -> int:
        return n

    old = other.fn
    new = task(cache_policy=INPUTS + TASK_SOURCE)(eval("lambda n: n + 1"))
    new._wrapped.qualname = other._wrapped.qualname
    new.fn.__code__ = new.fn.__code__.replace(co_filename=old.__code__.co_filename)
    flow(lambda: (other(1), new(1)))()
    assert told(plane)[-1].endswith("differs in task_source")


def test_an_argument_without_a_digest_runs_uncached_and_is_named(plane: Plane) -> None:
    calls: list[int] = []

    @task(cache_policy=INPUTS)
    def load(client: object, day: str) -> str:
        calls.append(1)
        return day

    @flow
    def whole(policy: Any = None) -> str:
        step = load if policy is None else load.with_options(cache_policy=policy)
        return step(threading.Lock(), "mo")

    assert [whole(), whole()] == ["mo", "mo"]
    assert calls == [1, 1]
    assert told(plane) == ["not cached: argument 'client' has no digest (_thread.lock)"] * 2
    assert entries(plane) == []

    @flow
    def left_out() -> str:
        return load.with_options(cache_policy=INPUTS - "client")(threading.Lock(), "mo")

    assert [left_out(), left_out()] == ["mo", "mo"]
    assert len(calls) == 3


@pytest.mark.parametrize("gives", ["text", "none", "number", "raises"])
def test_own_keys(plane: Plane, gives: str) -> None:
    calls: list[str] = []

    def key(ctx: Any, given: Any) -> Any:
        assert (ctx.flow_name, ctx.task_name) == ("whole", "load")
        if gives == "raises":
            raise KeyError("day")
        return {"text": given["day"][:2], "none": None, "number": 7}[gives]

    @task(cache_key_fn=key)
    def load(day: str) -> str:
        calls.append(day)
        return day

    @flow
    def whole() -> list[str]:
        return [load("monday"), load("mole"), load("tuesday")]

    assert whole() == (["monday", "monday", "tuesday"] if gives == "text" else ["monday", "mole", "tuesday"])
    wanted = {"none": "gave None", "number": "gave int", "raises": "raised KeyError"}
    if gives != "text":
        assert len([line for line in told(plane) if wanted[gives] in line]) == 3
    else:
        assert calls == ["monday", "tuesday"]


def test_default_holds_within_a_run_only(plane: Plane) -> None:
    calls: list[int] = []

    @task(cache_policy=DEFAULT)
    def load(n: int) -> int:
        calls.append(n)
        return n

    whole = flow(lambda: [load(1), load(1)])
    assert [whole(), whole()] == [[1, 1], [1, 1]]
    assert calls == [1, 1]


def test_an_entry_that_has_expired_is_made_anew(plane: Plane) -> None:
    calls: list[int] = []

    @task(cache_policy=INPUTS, cache_expiration=timedelta(hours=1))
    def load() -> int:
        calls.append(1)
        return len(calls)

    whole = flow(lambda: load())
    assert [whole(), whole()] == [1, 1]
    ends = entries(plane)[0]["expires_at"]
    assert abs(ends - now_us() - 3600 * SECOND) < 600 * SECOND
    change(plane, expires_at=now_us() - 1)
    assert [whole(), whole()] == [2, 2]
    assert "cache miss: the entry has expired" in told(plane)
    change(plane, expires_at=now_us() - 1)
    while Retention(plane.store, plane.settings).step():
        continue
    assert entries(plane) == []


def test_refresh_computes_anew_for_everybody(plane: Plane) -> None:
    calls: list[int] = []

    @task(cache_policy=INPUTS)
    def load() -> int:
        calls.append(1)
        return len(calls)

    whole = flow(lambda: load())
    fresh = flow(lambda: load.with_options(refresh_cache=True)())
    assert [whole(), fresh(), whole(), fresh(), whole()] == [1, 2, 2, 3, 3]
    assert told(plane).count("cache miss: refresh_cache is set") == 2


def test_of_many_equal_calls_one_computes_and_the_others_wait(plane: Plane) -> None:
    calls: list[int] = []
    arrived = threading.Event()

    @task(cache_policy=INPUTS)
    def load(n: int) -> int:
        calls.append(n)
        # Without isolation all of them would be here before the first one ends.
        arrived.wait(1.0)
        return n

    whole = flow(lambda: load.map([7] * 8).result())
    assert whole() == [7] * 8
    assert calls == [7]
    names = [row["state_name"] for row in plane.tasks()]
    assert (names.count("Cached"), names.count("Completed")) == (7, 1)
    assert any(line.startswith("waits for task run") for line in told(plane))


def test_async_calls_wait_for_each_other_too(plane: Plane) -> None:
    calls: list[int] = []

    @task(cache_policy=INPUTS)
    async def load(n: int) -> int:
        calls.append(n)
        await asyncio.sleep(0.3)
        return n

    @flow
    async def whole() -> list[int]:
        return list(await asyncio.gather(*(load(n) for n in (1, 1, 2, 2))))

    assert asyncio.run(whole()) == [1, 1, 2, 2]
    assert sorted(calls) == [1, 2]


def test_who_fails_gives_the_place_up(plane: Plane) -> None:
    calls: list[int] = []

    @task(cache_policy=INPUTS)
    def load() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("not today")
        return 2

    @flow
    def whole() -> int:
        return load()

    with pytest.raises(ValueError, match="not today"):
        whole()
    assert entries(plane) == []
    assert whole() == 2


def held_by(plane: Plane, key: str, attempt_id: str) -> None:
    change(plane, state="held", holder_attempt_id=attempt_id, holder_task_run_id=new_id())


def test_a_dead_holders_place_is_taken_and_a_live_ones_is_not(plane: Plane) -> None:
    @task(cache_policy=INPUTS)
    def load() -> int:
        return 3

    whole = flow(lambda: load())
    whole()
    run = plane.only()
    attempt = attempts.attempt_id(run["id"], 1)
    key = entries(plane)[0]["key"]
    # Its attempt has ended: whatever it held is free.
    held_by(plane, key, attempt)
    assert whole() == 3
    assert "cache miss: who computed it was lost" in told(plane)
    me = Holder(new_id(), new_id(), new_id())
    for lease, kind in ((60, "held"), (-1, "mine")):
        held_by(plane, key, attempt)
        with plane.store.write() as tx:
            values = {"state": "CLAIMED", "lease_until": tx.now + lease * SECOND}
            tx.conn.execute(update(attempts.TABLE).where(attempts.TABLE.c.id == attempt).values(**values))
            assert cache.ask(tx, SCOPE, key, me, task_key="t", task_name="t", parts={}).kind == kind


def test_a_stale_holder_publishes_nothing(plane: Plane) -> None:
    old, new = (Holder(new_id(), new_id(), new_id()) for _ in range(2))
    given = {"task_key": "t", "task_name": "t", "parts": {}}
    with plane.store.write() as tx:
        assert cache.ask(tx, SCOPE, "k", old, **given).kind == "mine"
        assert cache.ask(tx, SCOPE, "k", new, **given).why == "who computed it was lost"
        late = {"result": b"1", "format_": "json", "size": 1, "expires_at": None}
        assert not cache.publish(tx, SCOPE, "k", old, **late)
        cache.release(tx, SCOPE, "k", old)
        assert cache.publish(tx, SCOPE, "k", new, **late)
        assert cache.find(tx, Scope(workspace_id=new_id()), "k") is None


def test_a_task_that_calls_itself_with_its_own_key_does_not_wait_for_itself(plane: Plane) -> None:
    depth: list[int] = []

    @task(cache_key_fn=lambda _ctx, _given: "same")
    def dig(n: int) -> int:
        depth.append(n)
        return n if n == 0 else dig(n - 1) + 1

    assert flow(lambda: dig(3))() == 3
    assert depth == [3, 2, 1, 0]
    assert any("called by the task that computes" in line for line in told(plane))


def test_large_results_are_cached_by_reference_and_made_again_when_they_are_gone(plane: Plane) -> None:
    calls: list[int] = []

    @task(cache_policy=INPUTS)
    def load() -> str:
        calls.append(1)
        return "x" * 100_000

    whole = flow(lambda: len(load()))
    assert [whole(), whole()] == [100_000] * 2
    assert [row["result_format"] for row in plane.tasks()] == ["local:json"] * 2
    assert entries(plane)[0]["size"] == 100_002
    for file in (plane.settings.home / "results").rglob("*-1-*"):
        file.unlink()
    assert [whole(), whole()] == [100_000] * 2
    assert calls == [1, 1]
    assert any("is not at hand" in line for line in told(plane))


def test_what_is_not_kept_is_not_cached_and_a_resumed_run_asks_its_journal_first(plane: Plane) -> None:
    calls: list[str] = []

    @task(cache_policy=INPUTS)
    def odd() -> object:
        calls.append("odd")
        return threading.Lock()

    @task(cache_policy=INPUTS)
    def load() -> int:
        calls.append("load")
        return 1

    @flow(retries=1)
    def whole() -> int:
        odd()
        found = load()
        if runtime_context().attempt == 1:  # type: ignore[union-attr]
            change(plane, hits=0)
            raise OSError("once more")
        return found

    assert whole() == 1
    assert calls == ["odd", "load", "odd"]
    assert "not cached: its result is not kept" in told(plane)
    assert [(row["task_name"], row["hits"]) for row in entries(plane)] == [("load", 0)]


def test_entries_are_listed_and_cleared(plane: Plane) -> None:
    @task(cache_policy=INPUTS)
    def one(n: int) -> int:
        return n

    @task(cache_policy=INPUTS)
    def two(n: int) -> int:
        return n

    flow(lambda: (one.map([1, 2, 3]).result(), two(1)))()
    with plane.store.read() as tx:
        assert cache.chosen(tx, SCOPE, task="one", key=None, expired=False)[0] == 3
        assert len(cache.listing(tx, SCOPE, task="two").items) == 1
    done = apply(plane.store, Command("cache.clear", SCOPE, args={"task": "one"})).result
    assert (done["entries"], done["bytes"], done["more"]) == (3, 3, False)
    key = entries(plane)[0]["key"]
    assert apply(plane.store, Command("cache.clear", SCOPE, args={"expired": True})).result["entries"] == 0
    assert apply(plane.store, Command("cache.clear", SCOPE, args={"key": key})).result["entries"] == 1
    assert entries(plane) == []


def test_what_nobody_uses_goes_after_its_time(plane: Plane) -> None:
    @task(cache_policy=INPUTS)
    def one(n: int) -> int:
        return n

    flow(lambda: one.map([1, 2]).result())()
    with plane.store.write() as tx:
        oldest = entries(plane)[0]["id"]
        where = cache.TABLE.c.id == oldest
        tx.conn.execute(update(cache.TABLE).where(where).values(used_at=tx.now - 40 * 86_400 * SECOND))
    settings = plane.settings.model_copy(update={"retention_cache": 30 * 86_400.0})
    while Retention(plane.store, settings).step():
        continue
    assert [row["id"] for row in entries(plane)] != [oldest]
    assert len(entries(plane)) == 1


def test_without_a_journal_every_call_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_JOURNAL", "off")
    calls: list[int] = []

    @task(cache_policy=INPUTS)
    def load() -> int:
        calls.append(1)
        return 1

    flow(lambda: (load(), load()))()
    assert calls == [1, 1]
