"""The simulator says what the automation then does, and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hub.runtime import simulating
from hub.runtime.counting import Trigger
from hub.store import Store, automations, events
from hub.types import SECOND, now_us
from sqlalchemy import MetaData, func, select
from tests.planes import automating as a


def simulated(store: Store, name: str = "rule", limit: int = 100) -> list[simulating.Trial]:
    with store.read() as tx:
        row = automations.find(tx, a.SCOPE, name)
    assert row is not None
    batch = simulating.last_of(store, a.SCOPE, Trigger.of(row["trigger"]), limit)
    return simulating.simulate(store, row, batch, now_us())


def contents(store: Store) -> dict[str, int]:
    with store.read() as tx:
        known = MetaData()
        known.reflect(tx.conn)
        return {
            name: tx.conn.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in known.tables.items()
        }


@pytest.mark.parametrize(
    "trigger",
    [
        {},
        {"match": "event.name == 'w1'"},
        {"match": "event.nothing == 1"},
        {"threshold": 3, "within": 60, "for_each": ["name"]},
        {"threshold": 2, "within": 30},
        {"cool_down": 25},
        {"posture": "proactive", "within": 15, "for_each": ["name"]},
        {"posture": "proactive", "within": 10, "after": ["hub.worker.started"], "for_each": ["name"]},
    ],
)
def test_it_foretells_what_then_happens(store: Store, trigger: dict[str, Any]) -> None:
    a.make_deployment(store)
    rule = a.automate(store, **{"types": ["hub.worker.lost"], **trigger})
    a.work(store)
    for number in range(24):
        kind = "hub.worker.started" if number % 5 == 0 else "hub.worker.lost"
        more = {"slots": 1, "queues": []} if kind.endswith("started") else {}
        a.happen(store, kind, ago=300 - 10 * number, name=f"w{number % 2}", **more)
    a.stamp(store)
    before = contents(store)
    trials = [trial for trial in simulated(store) if trial.outcome != "no_match"]
    assert contents(store) == before
    a.work(store)
    done = a.evaluations(store, rule)
    told = sorted((trial.outcome, trial.reason, trial.key, trial.error or "") for trial in trials)
    assert told == sorted((row["outcome"], row["reason"] or "", row["key"] or "", row["error"] or "") for row in done)
    assert len(a.made_runs(store)) == sum(trial.outcome == "fired" for trial in trials)


def test_it_shows_the_commands_with_their_values(store: Store) -> None:
    a.make_deployment(store)
    run = {"run_deployment": "ci", "parameters": {"names": "=events.map(e, e.name)"}}
    a.automate(store, types=["hub.worker.*"], do=[run, {"cancel_run": "=event.run_id"}, {"pause_deployment": "ci"}])
    a.happen(store)
    a.stamp(store)
    (trial,) = simulated(store)
    assert trial.actions == [
        {"op": "run.create", "target": "ci", "args": {"parameters": {"names": ["w1"]}}},
        {"error": "cancel_run gave None, it must give an id or a name"},
        {"op": "deployment.pause", "target": "ci", "args": {}},
    ]


def test_it_takes_the_last_events_of_the_types_in_question(store: Store) -> None:
    a.make_deployment(store)
    a.automate(store, types=["hub.worker.lost"])
    ids = [a.happen(store, name=f"n{number}") for number in range(5)]
    a.happen(store, "hub.worker.stopped")
    a.stamp(store)
    assert [trial.event_id for trial in simulated(store, limit=3)] == ids[2:]
    with store.read() as tx:
        other = events.before(tx, a.SCOPE, seq=None, limit=1)
        rule = automations.find(tx, a.SCOPE, "rule")
    assert rule is not None
    (trial,) = simulating.simulate(store, rule, other, now_us() + SECOND)
    assert (trial.outcome, trial.reason) == ("no_match", "it does not listen to this type")
