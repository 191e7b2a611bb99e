"""Automations whose triggers are made of triggers: on every store, through crashes, simulated."""

from __future__ import annotations

from typing import Any

import pytest
from hub.errors import UsageError
from hub.runtime.commands import Command, apply
from hub.runtime.simulating import simulate
from hub.store import Store, automation_state, automations, events
from hub.types import SECOND, now_us
from tests.planes import automating as a

NAMES = {"run_deployment": "ci", "parameters": {"names": "=events.map(e, e.name)", "key": "=event.key"}}
LOST, STARTED, STOPPED = ({"types": [f"hub.worker.{word}"]} for word in ("lost", "started", "stopped"))


def started(store: Store, name: str, ago: float = 0) -> None:
    a.happen(store, "hub.worker.started", ago=ago, name=name, slots=1, queues=["q"])


def left(store: Store) -> list[dict[str, Any]]:
    """What is remembered of all automations."""
    with store.read() as tx:
        return [dict(row) for row in tx.conn.execute(automation_state.WINDOWS.select()).mappings()]


def parameters(store: Store) -> list[Any]:
    return [run["parameters"] for run in a.made_runs(store)]


def test_a_sequence_fires_in_order_for_each_value(store: Store) -> None:
    a.make_deployment(store)
    rule = a.automate(store, kind="sequence", triggers=[STARTED, LOST], within=60, for_each=["name"], do=[NAMES])
    a.happen(store, name="w1")
    started(store, "w1")
    started(store, "w2")
    a.work(store)
    assert a.made_runs(store) == []
    a.happen(store, name="w1")
    a.work(store)
    assert parameters(store) == [{"names": ["w1", "w1"], "key": "w1"}]
    assert a.outcomes(store, rule) == ["counted", "counted", "counted", "fired"]
    reasons = [row["reason"] for row in a.evaluations(store, rule)]
    assert reasons[0] == "part 2 fired: part 1 has not fired before it"
    assert reasons[1] == "part 1 fired: 1 of 2 parts, in order"
    assert reasons[3] == "all 2 parts, in order"
    assert [row["key"] for row in left(store)] == ["w2"], "what has fired is forgotten"


def test_a_compound_wants_as_many_parts_as_it_says(store: Store) -> None:
    a.make_deployment(store)
    a.automate(store, kind="compound", triggers=[STARTED, LOST, STOPPED], require=2, within=60, do=[NAMES])
    a.happen(store, ago=100, name="too early")
    a.happen(store, "hub.worker.stopped", ago=20, name="w1")
    a.work(store)
    assert a.made_runs(store) == []
    started(store, "w2")
    a.work(store)
    assert parameters(store) == [{"names": ["w1", "w2"], "key": ""}]


@pytest.mark.parametrize("after", [False, True])
def test_it_fires_exactly_once_wherever_its_process_is_killed(store: Store, *, after: bool) -> None:
    a.make_deployment(store)
    twice = {**LOST, "threshold": 2, "within": 60}
    rule = a.automate(
        store, kind="sequence", triggers=[STARTED, twice, STOPPED], within=600, for_each=["subject"], do=[NAMES]
    )
    at = 0
    while True:
        at += 1
        a.happen(store, "hub.worker.started", subject=f"r{at}", name="w", slots=1, queues=["q"])
        a.happen(store, subject=f"r{at}", name="x")
        a.happen(store, subject=f"r{at}", name="y")
        a.happen(store, "hub.worker.stopped", subject=f"r{at}", name="z")
        died = a.killed(store, at, after=after)
        a.work(store)
        assert len(a.made_runs(store)) == at
        assert parameters(store)[0] == {"names": ["w", "x", "y", "z"], "key": f"r{at}"}
        if not died:
            break
    assert at > 3
    assert a.outcomes(store, rule).count("fired") == at


def test_what_does_not_come_may_be_a_part(store: Store) -> None:
    a.make_deployment(store)
    quiet = {"posture": "proactive", "after": ["hub.worker.started"], "types": ["hub.worker.stopped"], "within": 10}
    rule = a.automate(store, kind="compound", triggers=[quiet, LOST], within=600, for_each=["name"])
    for name in ("w1", "w2"):
        started(store, name, ago=40)
        a.happen(store, ago=35, name=name)
    a.happen(store, "hub.worker.stopped", ago=34, name="w2")
    a.work(store)
    a.work(store)
    fired = [row for row in a.evaluations(store, rule) if row["outcome"] == "fired"]
    assert [row["key"] for row in fired] == ["w1"]
    assert len(a.made_runs(store)) == 1
    with store.read() as tx:
        event = events.get(tx, a.SCOPE, fired[0]["event_id"])
    assert event is not None
    assert event["type"] == "hub.automation.missed"


def test_changing_it_or_deleting_it_forgets_all_parts(store: Store) -> None:
    a.make_deployment(store)
    a.automate(store, kind="sequence", triggers=[LOST, STARTED, STOPPED])
    a.happen(store)
    a.work(store)
    assert left(store)
    a.automate(store, types=["hub.worker.lost"])
    assert not left(store)
    quiet = {"posture": "proactive", "types": ["hub.worker.stopped"], "within": 10}
    a.automate(store, kind="compound", triggers=[quiet, {**quiet, "within": 20}], require="any")
    assert len(left(store)) == 2, "it waits from now on"
    apply(store, Command("automation.update", a.SCOPE, "rule", {"enabled": False}))
    assert not left(store)
    apply(store, Command("automation.update", a.SCOPE, "rule", {"enabled": True}))
    apply(store, Command("automation.delete", a.SCOPE, "rule"))
    assert not left(store)


def test_a_simulation_says_the_same(store: Store) -> None:
    a.make_deployment(store)
    rule = a.automate(store, kind="sequence", triggers=[STARTED, LOST], for_each=["name"])
    for name in ("w1", "w2"):
        started(store, name)
    a.happen(store, name="w1")
    a.work(store)
    with store.read() as tx:
        row = automations.find(tx, a.SCOPE, rule)
        batch = events.after(tx, seq=0, limit=100)
    assert row is not None
    batch = [event for event in batch if event["type"].startswith("hub.worker.")]
    trials = simulate(store, row, batch, now_us() + SECOND)
    assert [trial.outcome for trial in trials] == a.outcomes(store, rule) == ["counted", "counted", "fired"]
    assert trials[-1].actions[0]["op"] == "run.create"


def test_a_part_on_a_filter_that_fails_is_an_error(store: Store) -> None:
    a.make_deployment(store)
    rule = a.automate(store, kind="compound", triggers=[{**LOST, "match": "event.nothing == 1"}, STARTED])
    a.happen(store)
    a.work(store)
    (row,) = a.evaluations(store, rule)
    assert (row["outcome"], "nothing" in row["error"]) == ("error", True)


@pytest.mark.parametrize(
    ("trigger", "said"),
    [
        ({"kind": "compound", "triggers": [LOST]}, "at least 2 items"),
        ({"kind": "compound", "triggers": [LOST, STARTED], "require": 3}, "only 2 parts"),
        ({"kind": "compound", "triggers": [LOST, {**LOST, "for_each": ["name"]}]}, "belong to the whole"),
        ({"kind": "sequence", "triggers": [LOST, STARTED], "require": 1}, "require"),
        ({"kind": "sequence", "triggers": [LOST, {**LOST, "match": "1 +"}]}, "expression"),
        ({"kind": "concert", "triggers": [LOST, STARTED]}, "concert"),
    ],
)
def test_what_cannot_be_is_refused(store: Store, trigger: dict[str, Any], said: str) -> None:
    a.make_deployment(store)
    with pytest.raises(UsageError) as caught:
        a.automate(store, **trigger)
    assert said in f"{caught.value.detail} {caught.value.hint} {caught.value.fields}"


def test_wholes_are_not_endless(store: Store) -> None:
    a.make_deployment(store)
    nested: dict[str, Any] = LOST
    for _ in range(4):
        nested = {"kind": "compound", "triggers": [nested, STARTED]}
    with pytest.raises(UsageError, match="deep"):
        a.automate(store, **nested)
