"""Each control against a small model of what its words mean, for any sequence of requests in time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from itertools import accumulate
from typing import Any, TypeVar

import pytest
from hub.store import Store
from hub.types import SECOND, Id, Micros
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .flow_world import GAPS, World

# What they need of a store, test_flow_control.py tries on both.
pytestmark = pytest.mark.long("postgresql")
T = TypeVar("T", bound=Callable[..., Any])
PERIOD = 10 * SECOND
KEYS = st.sampled_from(["a", "b"])
REQUESTS = st.lists(st.tuples(st.sampled_from(GAPS), KEYS), max_size=14)
DAY = 24 * 3600 * SECOND


def tried(**given_: Any) -> Callable[[T], T]:
    """Many stories."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]

    def decorate(test: T) -> T:
        found: Any = settings(max_examples=25, deadline=None, suppress_health_check=checks)(given(**given_)(test))
        phases = [Phase.generate]
        hasty = settings(max_examples=200, derandomize=True, deadline=None, suppress_health_check=checks, phases=phases)
        found.hasty = hasty(given(**given_)(test))
        return found  # type: ignore[no-any-return]

    return decorate


Ask = tuple[Micros, str, int]


def play(world: World, requests: list[tuple[Micros, str]]) -> list[Ask]:
    """Ask for runs; when, with which key, and their number."""
    times = list(accumulate(gap for gap, _ in requests))
    asks = [(at, key, number) for number, (at, (_, key)) in enumerate(zip(times, requests, strict=True))]
    for at, key, number in asks:
        world.at = at
        world.ask(k=key, n=number)
    return asks


def by_key(asks: list[Ask]) -> list[list[Ask]]:
    found: dict[str, list[Ask]] = defaultdict(list)
    for ask in asks:
        found[ask[1]].append(ask)
    return list(found.values())


# --- rate_limit ----------------------------------------------------------------------------------------------------


@tried(requests=REQUESTS, limit=st.integers(1, 3))
def test_rate_limit(store: Store, requests: list[tuple[Micros, str]], limit: int) -> None:
    world = World(store, {"rate_limit": {"limit": limit, "period": "10s", "key": "params.k"}})
    asks = play(world, requests)
    passed: set[int] = set()
    for of_key in by_key(asks):
        left = of_key
        while left:
            window = [ask for ask in left if ask[0] < left[0][0] + PERIOD]
            passed |= {number for *_, number in window[:limit]}
            left = left[len(window) :]
    rows = world.rows()
    assert [row["parameters"]["n"] for row in rows] == [number for *_, number in asks], "each has its record"
    assert {row["parameters"]["n"] for row in rows if row["state_type"] == "SCHEDULED"} == passed
    dropped = [row for row in rows if row["state_type"] == "CANCELLED"]
    assert world.told("rate_limit") == [("dropped", row["id"]) for row in dropped]
    assert all(row["state_message"].startswith("rate_limit: ") and row["ended_at"] for row in dropped)


# --- debounce ------------------------------------------------------------------------------------------------------

DEBOUNCED = st.lists(st.tuples(st.sampled_from(GAPS), KEYS, st.sampled_from(["ask"] * 5 + ["cancel"])), max_size=14)


@tried(steps=DEBOUNCED, timeout=st.sampled_from([None, 10, 25]))
def test_debounce(store: Store, steps: list[tuple[Micros, str, str]], timeout: int | None) -> None:
    limit = {"timeout": timeout} if timeout else {}
    world = World(store, {"debounce": {"period": "10s", "key": "params.k", **limit}})
    waits: dict[str, dict[str, Any]] = {}
    expected: list[dict[str, Any]] = []
    for number, (gap, key, what) in enumerate(steps):
        world.at += gap
        now, mine = world.at, waits.get(key)
        if mine is not None and now >= mine["due"]:
            mine = None
        if what == "cancel":
            if mine is not None:
                assert world.cancel(mine["id"])
                mine["state"] = "CANCELLED"
                del waits[key]
            continue
        made = world.ask(k=key, n=number)
        is_new = mine is None
        if mine is None:
            mine = waits[key] = {"id": made["id"], "first": now, "state": "SCHEDULED"}
            expected.append(mine)
        last_call = mine["first"] + timeout * SECOND if timeout else now + PERIOD
        mine |= {"due": min(now + PERIOD, last_call), "n": number}
        assert (made["id"], made["created"]) == (mine["id"], is_new)
    found = [
        {"id": row["id"], "due": row["due_at"] - world.began, "n": row["parameters"]["n"], "state": row["state_type"]}
        for row in world.rows()
    ]
    assert found == [{name: one[name] for name in ("id", "due", "n", "state")} for one in expected]
    verdicts = [verdict for verdict, _ in world.told("debounce")]
    asked = sum(what == "ask" for *_, what in steps)
    assert (verdicts.count("delayed"), verdicts.count("merged")) == (len(expected), asked - len(expected))


# --- batch ---------------------------------------------------------------------------------------------------------


@tried(requests=REQUESTS, max_size=st.integers(2, 4), alone=st.integers(2, 5))
def test_batch(store: Store, requests: list[tuple[Micros, str]], max_size: int, alone: int) -> None:
    batch = {"max_size": max_size, "timeout": "10s", "key": "params.k", "if": f"params.n % {alone} != 0"}
    world = World(store, {"batch": batch})
    asks = play(world, requests)
    expected: list[tuple[Micros, list[int]]] = [(at, [number]) for at, _, number in asks if number % alone == 0]
    for of_key in by_key([ask for ask in asks if ask[2] % alone]):
        left = of_key
        while left:
            group = [ask for ask in left if ask[0] < left[0][0] + PERIOD][:max_size]
            due = group[-1][0] if len(group) == max_size else group[0][0] + PERIOD
            expected.append((due, [number for *_, number in group]))
            left = left[len(group) :]
    found = [(row["due_at"] - world.began, [one["n"] for one in row["parameters"]["events"]]) for row in world.rows()]
    assert sorted(found) == sorted(expected)
    assert all(one == {"k": one["k"], "n": one["n"]} for row in world.rows() for one in row["parameters"]["events"])


# --- singleton -----------------------------------------------------------------------------------------------------

ALONE = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), KEYS), st.tuples(st.just("ask"), KEYS), st.tuples(st.just("start"), KEYS),
        st.tuples(st.just("end"), KEYS), st.tuples(st.just("cancel"), KEYS),
    ),
    max_size=20,
)  # fmt: skip


@tried(steps=ALONE, mode=st.sampled_from(["skip", "cancel"]))
def test_singleton(store: Store, steps: list[tuple[str, str]], mode: str) -> None:
    world = World(store, {"singleton": {"key": "params.k", "mode": mode}})
    active: dict[str, Id] = {}
    begun: set[Id] = set()
    ended: set[Id] = set()
    for what, key in steps:
        world.at += SECOND
        if what == "ask":
            made = world.ask(k=key)["id"]
            before = active.get(key)
            if before is not None and mode == "skip":
                assert world.row(made)["state_message"] == f"singleton: run {before} is active"
                ended.add(made)
                continue
            if before is not None:
                ended.add(before)
            active[key] = made
        elif what == "start":
            begun |= set(world.dispatch())
        elif key in active:
            if what == "cancel":
                assert world.cancel(active[key])
            elif active[key] not in begun:
                continue
            else:
                world.end(active[key])
            ended.add(active.pop(key))
    final = {"COMPLETED", "CANCELLED"}
    assert {row["id"] for row in world.rows() if row["state_type"] in final} == ended
    assert {row["id"] for row in world.rows() if row["state_type"] not in final} == set(active.values())


# --- idempotency ---------------------------------------------------------------------------------------------------


@tried(requests=st.lists(st.tuples(st.sampled_from([0, 1, DAY // 2, DAY - 1, DAY, DAY + 1]), KEYS), max_size=12))
def test_idempotency(store: Store, requests: list[tuple[Micros, str]]) -> None:
    world = World(store, {"idempotency": "params.k"})
    first: dict[str, tuple[Micros, Id]] = {}
    made = 0
    for number, (gap, key) in enumerate(requests):
        world.at += gap
        found = world.ask(k=key, n=number)
        if key not in first or world.at >= first[key][0] + DAY:
            first[key] = (world.at, found["id"])
            made += 1
            assert found["created"]
        else:
            assert (found["id"], found["created"]) == (first[key][1], False)
            assert world.told("idempotency")[-1] == ("dropped", first[key][1])
    assert len(world.rows()) == made
    assert len(world.told("idempotency")) == len(requests) - made


# --- throttle ------------------------------------------------------------------------------------------------------


@tried(requests=REQUESTS, limit=st.sampled_from([1, 2, 5]), burst=st.integers(1, 3))
def test_throttle(store: Store, requests: list[tuple[Micros, str]], limit: int, burst: int) -> None:
    world = World(store, {"throttle": {"limit": limit, "period": "10s", "burst": burst, "key": "params.k"}})
    starts: dict[int, Micros] = {}

    def start() -> None:
        for run_id in world.dispatch():
            starts[world.row(run_id)["parameters"]["n"]] = world.at

    def until(at: Micros | None) -> None:
        """Let the dispatcher come whenever a run is due."""
        while (due := world.next_due()) is not None and (at is None or due <= at):
            world.at = due
            start()
        world.at = world.at if at is None else at

    asks: list[Ask] = []
    for number, (gap, key) in enumerate(requests):
        until(world.at + gap)
        world.ask(k=key, n=number)
        asks.append((world.at, key, number))
        start()
    until(None)
    assert starts == {number: at for of_key in by_key(asks) for number, at in bucket(of_key, limit, burst).items()}
    for of_key in by_key(asks):
        times = [starts[number] for *_, number in of_key]
        assert times == sorted(times), "first in, first out"
        assert all(sum(at <= other < at + PERIOD for other in times) <= limit + burst - 1 for at in times)
    assert all(verdict == "delayed" for verdict, _ in world.told("throttle"))
    told = {world.row(run_id)["parameters"]["n"] for _, run_id in world.told("throttle")}
    assert told == {number for at, _, number in asks if starts[number] > at}


def bucket(asks: list[Ask], limit: int, burst: int) -> dict[int, Micros]:
    """A bucket of `burst` tokens, into which `limit` of them flow each period: who starts when."""
    rate, tokens, clock = Fraction(limit, PERIOD), Fraction(burst), 0
    starts = {}
    for at, _, number in asks:
        now = max(at, clock)
        tokens = min(Fraction(burst), tokens + (now - clock) * rate)
        wait = max(Fraction(0), (1 - tokens) / rate)
        assert wait.denominator == 1
        clock, tokens = now + int(wait), tokens + wait * rate - 1
        starts[number] = clock
    return starts


# --- concurrency ---------------------------------------------------------------------------------------------------

BUSY = st.lists(st.one_of(st.tuples(st.just("ask"), KEYS), st.tuples(st.just("end"), KEYS)), max_size=20)


@tried(steps=BUSY, limit=st.integers(1, 3))
def test_concurrency(store: Store, steps: list[tuple[str, str]], limit: int) -> None:
    world = World(store, {"concurrency": {"limit": limit, "key": "params.k"}})
    executes: dict[str, list[Id]] = {"a": [], "b": []}
    waits: dict[str, list[Id]] = {"a": [], "b": []}
    for what, key in steps:
        world.at += 1
        if what == "ask":
            waits[key].append(world.ask(k=key)["id"])
        elif executes[key]:
            world.end(executes[key].pop(0))
        expected = set()
        for lane, line in waits.items():
            while line and len(executes[lane]) < limit:
                executes[lane].append(line.pop(0))
                expected.add(executes[lane][-1])
        assert set(world.dispatch()) == expected


# --- cancel_on -----------------------------------------------------------------------------------------------------

STORY = st.lists(
    st.tuples(st.sampled_from(GAPS), st.sampled_from(["ask", "ask", "event", "other", "listen", "end"]), KEYS),
    max_size=20,
)


@tried(steps=STORY, timeout=st.sampled_from([None, 10]), by_match=st.booleans())
def test_cancel_on(store: Store, steps: list[tuple[Micros, str, str]], timeout: int | None, *, by_match: bool) -> None:
    way = {"match": "k"} if by_match else {"if": "body.k == params.k && event.type == 'order.cancelled'"}
    more = {"timeout": timeout} if timeout else {}
    world = World(store, {"cancel_on": [{"event": "order.*", **way, **more}]})
    alive: dict[Id, tuple[str, Micros]] = {}
    meant: dict[Id, Id] = {}
    ended: set[Id] = set()
    for gap, what, key in steps:
        world.at += gap
        if what == "ask":
            alive[world.ask(k=key)["id"]] = (key, world.at)
        elif what == "event":
            event_id = world.happen("order.cancelled", k=key)
            for run_id, (of, since) in alive.items():
                if of == key and (timeout is None or world.at <= since + timeout * SECOND):
                    meant.setdefault(run_id, event_id)
        elif what == "other":
            world.happen("user.cancelled", k=key)
            world.happen("order.cancelled", k="c")
        else:
            world.listen()
            for run_id in meant:
                alive.pop(run_id, None)
            if what == "end":
                world.dispatch()
                for run_id in [one for one, (of, _) in alive.items() if of == key]:
                    world.end(run_id)
                    ended.add(run_id)
                    del alive[run_id]
    world.listen()
    rows = {row["id"]: row for row in world.rows()}
    states = {row["id"]: row["state_type"] for row in rows.values()}
    gone = {one for one, state in states.items() if state in ("CANCELLED", "CANCELLING")}
    assert gone == set(meant)
    assert {one for one, state in states.items() if state == "COMPLETED"} == ended
    for run_id, event_id in meant.items():
        assert rows[run_id]["state_message"] == f"cancel_on: event {event_id} (order.cancelled) came"
    assert sorted(world.told("cancel_on")) == sorted(("cancelled", run_id) for run_id in meant)
