"""Every reason a run can wait for is named, with its holder and a time where one is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hub.engine.run import Run
from hub.engine.why import Awaited, LaneWait, LimitWait, Surroundings, explain
from hub.states import NAMES, State
from hub.types import SECOND, new_id

NOW = 1_000 * SECOND
FREE = Surroundings("default", workers=1, slots=2, worker="w1", broker_seen_at=NOW)


def run(name: str, **more: object) -> Run:
    return Run(new_id(), new_id(), State(NAMES[name], name), due_at=NOW, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "around", "rule"),
    [
        (run("Completed"), FREE, "ended"),
        (run("Running"), FREE, "running"),
        (run("Running", home="inline"), FREE, "inline"),
        (run("Cancelling"), FREE, "cancelling"),
        (run("Paused"), FREE, "paused"),
        (run("Suspended"), FREE, "waiting"),
        (run("Waiting"), replace(FREE, awaited=(Awaited("gate", "pause", NOW),)), "waiting"),
        (run("Waiting", home="inline"), FREE, "waiting"),
        (replace(run("Sleeping"), due_at=NOW + SECOND), FREE, "sleeping"),
        (run("Sleeping"), FREE, "next"),
        (run("Pending"), FREE, "published"),
        (run("Pending"), Surroundings("default", workers=1, broker_seen_at=0), "broker_away"),
        (run("Scheduled"), FREE, "next"),
        (run("Scheduled"), replace(FREE, upkeep=False), "no_upkeep"),
        (run("Scheduled"), replace(FREE, broker_problem="it is away"), "broker_away"),
        (run("Pending"), replace(FREE, broker_problem="it is away"), "broker_away"),
        (run("Scheduled"), Surroundings("default", queue_paused=True), "queue_paused"),
        (run("Scheduled"), Surroundings("default"), "no_worker"),
        (run("Scheduled"), Surroundings("default", workers=1, slots=2, queue_slots=1, queue_taken=1), "queue_full"),
        (run("Scheduled"), Surroundings("default", workers=1, slots=2, taken=2, ahead=3, holders=("a",)), "no_slot"),
        (run("Scheduled"), Surroundings("default", workers=1, slots=2, broker_seen_at=0), "broker_away"),
        (run("Scheduled"), replace(FREE, lane=LaneWait("d", "", 1, ("a",), 1)), "limit"),
        (run("Scheduled"), replace(FREE, lane=LaneWait("d", "", 2, ("a",), 1)), "next"),
        (run("Running"), replace(FREE, waits=(LimitWait("db", 1, 1, ("a",), "load"),)), "limit"),
        (run("Running", home="inline"), replace(FREE, waits=(LimitWait("db", None, 1),)), "limit"),
    ],
)
def test_it_names_the_rule(what: Run, around: Surroundings, rule: str) -> None:
    reason = explain(what, around, now=NOW)
    assert reason.rule == rule
    assert reason.sentence.endswith(".")


def test_it_says_when_a_retry_is_due() -> None:
    waiting = Run(new_id(), new_id(), State(NAMES["AwaitingRetry"], "AwaitingRetry", "boom"), due_at=NOW + 5 * SECOND)
    reason = explain(waiting, FREE, now=NOW)
    assert (reason.rule, reason.expected_at) == ("not_due", NOW + 5 * SECOND)
    assert "boom" in reason.sentence


def test_it_names_the_holder_of_the_slots() -> None:
    around = Surroundings("default", workers=2, slots=4, taken=4, holders=("a", "b", "c", "d"))
    reason = explain(run("Scheduled"), around, now=NOW)
    assert reason.holder == "a, b, c and 1 more"
    assert "4 slots of the 2 workers" in reason.sentence


def test_it_says_that_whoever_holds_the_slots_waits_for_chunks_too() -> None:
    full = Surroundings("default", workers=1, slots=1, taken=1, holders=("a",), all_wait=True)
    of_chunk = explain(run("Scheduled"), full, now=NOW)
    assert of_chunk.sentence.endswith("queue default are taken. Whoever holds them waits for chunks of its own tasks.")
    of_flow = explain(run("Running"), replace(full, chunks=("c",)), now=NOW)
    assert of_flow.sentence.endswith("; all slots are held by flows that wait for such chunks.")
    assert "queue of their own" in of_flow.hint
    assert of_flow.hint == of_chunk.hint


def test_it_says_that_chunks_of_a_run_wait_for_a_slot() -> None:
    for home in ("worker", "inline"):
        reason = explain(run("Running", home=home), replace(FREE, chunks=("a", "b")), now=NOW)
        assert reason.sentence.endswith("and 2 chunks of its tasks wait for a slot.")
        assert "hub runs why a" in reason.hint
