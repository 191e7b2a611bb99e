"""The order in which controls are applied: what an earlier one keeps out does not touch a later one. On every store."""

from __future__ import annotations

import threading
from typing import Any

from hub.engine.flowcontrol import ORDER
from hub.runtime import admission
from hub.runtime.commands import Command, apply_all
from hub.store import Store
from hub.types import SECOND

from .flow_world import SCOPE, World


def n(world: World) -> list[tuple[Any, str]]:
    """The runs' numbers, and what became of them."""
    return [(row["parameters"]["n"], row["state_type"]) for row in world.rows()]


def test_what_is_decided_at_the_request_is_decided_in_the_published_order() -> None:
    assert [name for name in ORDER if name in admission._STAGES] == list(admission._STAGES)


def test_a_repetition_uses_nothing_of_a_rate(store: Store) -> None:
    world = World(store, {"idempotency": "params.n", "rate_limit": {"limit": 2, "period": 60}})
    for number in (1, 1, 1, 2, 3):
        world.ask(n=number)
    assert n(world) == [(1, "SCHEDULED"), (2, "SCHEDULED"), (3, "CANCELLED")]
    world.at += 61 * SECOND
    assert world.ask(n=3)["created"], "a request that was dropped has not used its key"


def test_a_repetition_does_not_prolong_a_debounce_and_is_answered_with_the_run_that_it_is_part_of(
    store: Store,
) -> None:
    world = World(store, {"idempotency": "params.n", "debounce": {"period": 10}})
    world.ask(n=1)
    world.at += 5 * SECOND
    run_id = world.ask(n=2)["id"]
    world.at += 5 * SECOND
    assert [world.ask(n=number)["id"] for number in (1, 2)] == [run_id, run_id]
    assert [row["due_at"] - world.began for row in world.rows()] == [15 * SECOND]


def test_a_rate_counts_requests_that_a_debounce_would_merge(store: Store) -> None:
    world = World(store, {"rate_limit": {"limit": 2, "period": 60}, "debounce": {"period": 10}})
    for number in (1, 2, 3):
        world.ask(n=number)
        world.at += SECOND
    assert n(world) == [(2, "SCHEDULED"), (3, "CANCELLED")]
    assert world.rows()[0]["due_at"] - world.began == 11 * SECOND


def test_a_debounced_run_is_the_active_one_while_it_waits_and_its_later_requests_are_part_of_it(store: Store) -> None:
    world = World(store, {"debounce": {"period": 10}, "singleton": {}})
    for number in (1, 2):
        world.ask(n=number)
    assert n(world) == [(2, "SCHEDULED")]
    world.at += 10 * SECOND
    (run_id,) = world.dispatch()
    world.ask(n=3)
    assert n(world)[1] == (3, "CANCELLED"), "while it executes, the next one is dropped at once"
    world.end(run_id)
    world.ask(n=4)
    assert n(world)[2] == (4, "SCHEDULED")


def test_what_is_dropped_takes_no_turn_of_a_throttle(store: Store) -> None:
    world = World(
        store, {"singleton": {"key": "params.k"}, "throttle": {"limit": 1, "period": 10}}
    )  # fmt: skip
    for key in ("a", "a", "a", "b"):
        world.ask(n=key, k=key)
    assert len(world.dispatch()) == 1
    assert world.next_due() == 10 * SECOND, "the second turn is the first one's that was not dropped"
    world.at += 10 * SECOND
    assert [world.row(run_id)["parameters"]["k"] for run_id in world.dispatch()] == ["b"]


def test_a_debounced_run_takes_its_turn_when_it_is_due(store: Store) -> None:
    world = World(store, {"debounce": {"period": 10, "key": "params.k"}, "throttle": {"limit": 1, "period": 60}})
    for number, key in enumerate(("a", "b", "a")):
        world.ask(n=number, k=key)
        world.at += SECOND
    assert world.dispatch() == []
    world.at = 30 * SECOND
    (first,) = world.dispatch()
    assert world.row(first)["parameters"]["k"] == "b", "it was due first"
    assert world.next_due() == 90 * SECOND


def test_who_waits_for_concurrency_has_its_turn_of_the_throttle_only_then(store: Store) -> None:
    world = World(store, {"throttle": {"limit": 1, "period": 10}, "concurrency": {"limit": 1}})
    for number in (1, 2):
        world.ask(n=number)
    (first,) = world.dispatch()
    world.at = 100 * SECOND
    assert world.dispatch() == [], "a run executes"
    world.end(first)
    assert len(world.dispatch()) == 1


def test_an_event_cancels_what_waits_for_more_and_the_next_request_begins_anew(store: Store) -> None:
    world = World(store, {"debounce": {"period": 10}, "cancel_on": [{"event": "order.cancelled", "match": "n"}]})
    world.ask(n=1)
    world.ask(n=2)
    world.happen("order.cancelled", n=1)
    world.listen()
    assert n(world) == [(2, "SCHEDULED")], "the last request counts"
    world.happen("order.cancelled", n=2)
    world.listen()
    world.ask(n=3)
    assert n(world) == [(2, "CANCELLED"), (3, "SCHEDULED")]


def test_a_batch_waits_for_its_turn_as_one_run(store: Store) -> None:
    batch = {"max_size": 2, "timeout": 10, "key": "params.k"}
    world = World(
        store,
        {"batch": batch, "throttle": {"limit": 1, "period": 60}, "concurrency": {"limit": 1, "key": "params.k"}},
    )
    for key in ("a", "b", "a", "b"):
        world.ask(k=key)
    (first,) = world.dispatch()
    assert [one["k"] for one in world.row(first)["parameters"]["events"]] == ["a", "a"]
    assert [row["lane"].rpartition("/")[2] for row in world.rows()] == ["a", "b"]
    assert world.next_due() == 60 * SECOND


def test_turns_that_nobody_could_take_do_not_make_many_start_at_once(store: Store) -> None:
    world = World(store, {"throttle": {"limit": 1, "period": 10}})
    made = [world.ask(n=number)["id"] for number in range(4)]
    assert world.dispatch(slots=1) == made[:1]
    world.at = 1000 * SECOND  # no worker was free for a long time
    assert world.dispatch() == made[1:2]
    assert world.next_due() == 1010 * SECOND
    assert world.cancel(made[2])
    world.at = 1010 * SECOND
    assert world.dispatch() == made[3:], "its turn is that of the one that was cancelled"


def test_nobody_stands_behind_those_who_wait_for_a_turn(store: Store) -> None:
    world = World(store, {"throttle": {"limit": 1, "period": 10, "key": "params.k"}})
    for number in range(30):
        world.at = number  # of those that are due in one microsecond PostgreSQL may give any
        world.ask(k="a")
    free = [world.ask(k=key)["id"] for key in ("b", "c")]
    assert set(world.dispatch()) == {world.rows()[0]["id"], *free}


def test_who_makes_many_runs_at_once_and_in_any_order_waits_for_nobody_who_waits_for_him(store: Store) -> None:
    """On PostgreSQL each holds the states of its keys until the commit."""
    world = World(store, {"debounce": {"period": 10, "key": "params.n"}, "idempotency": "params.m"})
    problems: list[BaseException] = []

    def ask(order: int) -> None:
        numbers = list(range(30))[::order]
        commands = [
            Command("run.create", SCOPE, world.name, {"parameters": {"n": n % 5, "m": f"{order}{n}"}}) for n in numbers
        ]
        try:
            apply_all(store, [(command, None) for command in commands])
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=ask, args=(order,)) for order in (1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
