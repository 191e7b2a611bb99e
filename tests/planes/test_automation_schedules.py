"""Automations at set times, on every store: each planned time once, whoever is killed, and no storm after a pause."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import Any

import pytest
from hub.errors import UsageError
from hub.runtime import simulating, ticking
from hub.runtime.commands import Command, apply
from hub.runtime.scheduler import TICKS, Scheduler
from hub.store import Store, automations
from hub.types import SECOND, new_id, now_us
from tests.planes import automating as a

EVERY = {"kind": "schedule", "interval": 60}


def make(store: Store, name: str = "rule", *, missed: int = 1, do: list[dict[str, Any]] | None = None) -> str:
    """An automation whose next time was that many minutes ago."""
    rule = a.automate(store, name, do=do, **EVERY)
    with store.write() as tx:
        past = {"next_at": tx.now - missed * 60 * SECOND}
        tx.conn.execute(ticking.TABLE.update().where(ticking.TABLE.c.automation_id == rule).values(**past))
    return rule


def ticked(store: Store) -> list[dict[str, Any]]:
    with store.read() as tx:
        query = a.EVENTS.select().where(a.EVENTS.c.type == "hub.automation.ticked").order_by(a.EVENTS.c.at)
        return [dict(row) for row in tx.conn.execute(query).mappings()]


def planned(store: Store, rule: str) -> int | None:
    with store.read() as tx:
        return ticking.next_times(tx, [rule]).get(rule)


def test_a_set_time_fires_the_automation_with_the_time_it_was_planned_for(store: Store) -> None:
    a.make_deployment(store)
    rule = make(store, do=[{"run_deployment": "ci", "parameters": {"planned": "=event.planned_for"}}])
    other = make(store, "other", missed=-5)
    Scheduler(store).step()
    a.work(store)
    (event,) = ticked(store)
    (run,) = a.made_runs(store)
    assert run["parameters"] == {"planned": event["body"]["planned_for"]}
    assert (event["subject"], event["actor"]) == (rule, f"schedule:{rule}")
    assert (a.outcomes(store, rule), a.outcomes(store, other)) == (["fired"], [])
    assert (planned(store, rule) or 0) > now_us()


def test_only_the_last_missed_time_is_made_up_for(store: Store) -> None:
    a.make_deployment(store)
    rule = make(store, missed=500)
    for _ in range(3):
        Scheduler(store).step()
    a.work(store)
    assert len(ticked(store)) == len(a.made_runs(store)) == 1
    assert a.outcomes(store, rule) == ["fired"]


def test_four_schedulers_fire_once(store: Store) -> None:
    a.make_deployment(store)
    rules = [make(store, f"rule-{number}") for number in range(4)]
    threads = [threading.Thread(target=Scheduler(store).step) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(event["subject"] for event in ticked(store)) == sorted(rules)
    with store.read() as tx:
        assert len(tx.conn.execute(TICKS.select()).all()) == 4


@pytest.mark.parametrize("after", [False, True])
def test_a_process_that_dies_at_any_commit_leaves_one_firing(store: Store, after: bool) -> None:
    a.make_deployment(store)
    make(store)
    at = 1
    while _killed(store, at, after=after):
        at += 1
    assert at > 2
    a.work(store)
    assert len(ticked(store)) == len(a.made_runs(store)) == 1


def _killed(store: Store, at: int, *, after: bool) -> bool:
    """Schedule, then do what follows, until the process dies; False when it had less to do."""
    mortal: Any = a.Mortal(store, at, after=after)
    try:
        Scheduler(mortal).step()
        a.work(mortal)
    except a.Killed:
        return True
    return False


def test_it_rests_while_it_is_switched_off_and_what_it_missed_stays_missed(store: Store) -> None:
    a.make_deployment(store)
    rule = make(store)
    apply(store, Command("automation.update", a.SCOPE, rule, {"enabled": False}))
    assert planned(store, rule) is None
    Scheduler(store).step()
    apply(store, Command("automation.update", a.SCOPE, rule, {"enabled": True}))
    Scheduler(store).step()
    assert ticked(store) == []
    assert (planned(store, rule) or 0) > now_us()
    a.automate(store, types=["hub.worker.lost"])  # it fires on events from now on
    assert planned(store, rule) is None
    make(store)
    apply(store, Command("automation.delete", a.SCOPE, rule))
    Scheduler(store).step()
    assert ticked(store) == []


def test_cron_times_are_those_of_the_time_zone(store: Store) -> None:
    a.make_deployment(store)
    trigger = {"kind": "schedule", "cron": "30 9 * * *", "timezone": "Asia/Kolkata"}
    rule = a.automate(store, **trigger)
    at = planned(store, rule)
    assert at is not None
    assert at // SECOND % 86_400 == 4 * 3600  # half past nine is four o'clock, UTC


def test_one_that_cannot_be_planned_any_more_says_so_and_rests(store: Store) -> None:
    a.make_deployment(store)
    rule = make(store)
    with store.write() as tx:
        broken = {"kind": "cron", "spec": "0 9 * * *", "timezone": "Atlantis/Lost"}
        tx.conn.execute(ticking.TABLE.update().values(**broken))
    Scheduler(store).step()
    assert (planned(store, rule), ticked(store)) == (None, [])
    with store.read() as tx:
        said = tx.conn.execute(a.EVENTS.select().where(a.EVENTS.c.type == "hub.automation.failed")).mappings().one()
    assert "Atlantis" in str(said["private"])


def test_the_simulator_looks_ahead(store: Store) -> None:
    a.make_deployment(store)
    does = [{"run_deployment": "ci", "parameters": {"planned": "=event.planned_for"}}]
    rule = a.automate(store, do=does, **EVERY)
    apply(store, Command("automation.update", a.SCOPE, rule, {"enabled": False}))
    with store.read() as tx:
        row, now = automations.find(tx, a.SCOPE, rule), tx.now
    assert row is not None
    batch = simulating.batch_of(store, a.SCOPE, row, 3, now)
    trials = simulating.simulate(store, row, batch, now)
    assert [trial.outcome for trial in trials] == ["fired"] * 3
    assert [later.at - sooner.at for sooner, later in pairwise(trials)] == [60 * SECOND] * 2
    assert trials[0].at > now
    assert [trial.actions[0]["args"]["parameters"]["planned"] for trial in trials] == [
        event["body"]["planned_for"] for event in batch
    ]
    assert ticked(store) == []


@pytest.mark.parametrize(
    "trigger",
    [
        {"kind": "schedule"},
        {"kind": "schedule", "cron": "0 9 * * *", "interval": 60},
        {"kind": "schedule", "cron": "99 9 * * *"},
        {"kind": "schedule", "interval": 0.5},
        {"kind": "schedule", "cron": "0 9 * * *", "timezone": "Atlantis"},
        {"kind": "schedule", "interval": 60, "match": "true"},
        {"kind": "compound", "triggers": [{"kind": "schedule", "interval": 60}, {"types": ["a.b"]}]},
    ],
    ids=str,
)
def test_times_that_cannot_be_are_refused_when_saved(store: Store, trigger: dict[str, Any]) -> None:
    a.make_deployment(store)
    with pytest.raises(UsageError):
        a.automate(store, f"r{new_id()[:8]}", **trigger)
