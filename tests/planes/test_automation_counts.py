"""Automations that count: thresholds, windows, absence, cool-down, loops; on every store, through crashes."""

from __future__ import annotations

import pytest
from hub.errors import UsageError
from hub.runtime.automations import DEEPEST, Automations
from hub.runtime.commands import Command, apply
from hub.store import Store, automation_state, automations, events, trimming
from hub.types import SECOND, now_us
from tests.planes import automating as a

EVERY = {"run_deployment": "ci", "parameters": {"names": "=events.map(e, e.name)", "key": "=event.key"}}


def test_it_fires_once_enough_events_came_for_one_value_and_hands_on_all_of_them(store: Store) -> None:
    a.make_deployment(store)
    rule = a.automate(
        store, types=["hub.worker.*"], threshold=3, within=60, for_each=["subject"], do=[EVERY]
    )  # fmt: skip
    for number in range(3):
        a.happen(store, subject="here", name=f"n{number}")
        a.happen(store, subject="there", name=f"n{number}") if number < 2 else None
    a.work(store)
    assert [run["parameters"] for run in a.made_runs(store)] == [{"names": ["n0", "n1", "n2"], "key": "here"}]
    assert a.outcomes(store, rule) == ["counted"] * 4 + ["fired"]
    last = a.evaluations(store, rule)[-1]
    assert (last["key"], last["reason"], len(last["events"])) == ("here", "3 of 3 within 60 s", 3)
    assert last["run_id"] == a.made_runs(store)[0]["id"]


@pytest.mark.parametrize("after", [False, True])
def test_it_counts_and_fires_exactly_once_wherever_its_process_is_killed(store: Store, *, after: bool) -> None:
    a.make_deployment(store)
    rule = a.automate(store, types=["hub.worker.lost"], threshold=2, within=60, do=[EVERY, EVERY])
    at, expected = 0, 0
    while True:
        at += 1
        apply(store, Command("automation.set", a.SCOPE, args=_again("rule")))  # counts anew
        for number in range(3):
            a.happen(store, name=f"n{number}")
        died = a.killed(store, at, after=after)
        a.work(store)
        expected += 2
        assert len(a.made_runs(store)) == expected, f"commit {at}"
        assert a.outcomes(store, rule)[-3:] == ["counted", "fired", "filtered"]
        if not died:
            break
    assert at > 5


def _again(name: str) -> dict[str, object]:
    trigger = {"types": ["hub.worker.lost"], "threshold": 2, "within": 60}
    return {"name": name, "trigger": trigger, "actions": [EVERY, EVERY]}


@pytest.mark.parametrize("after", [False, True])
def test_what_did_not_come_is_told_once_wherever_the_process_is_killed(store: Store, *, after: bool) -> None:
    a.make_deployment(store)
    rule = a.automate(
        store, posture="Proactive", after=["hub.worker.started"], expect=["hub.worker.stopped"], within=10,
        for_each=["name"], do=[{"run_deployment": "ci", "parameters": {"opener": "=events[0].name"}}],
    )  # fmt: skip
    at = 0
    while True:
        at += 1
        a.happen(store, "hub.worker.started", ago=30, name=f"quiet-{at}", slots=1, queues=["q"])
        a.happen(store, "hub.worker.started", ago=30, name=f"well-{at}", slots=1, queues=["q"])
        a.happen(store, "hub.worker.stopped", ago=25, name=f"well-{at}")
        died = a.killed(store, at, after=after)
        a.work(store)
        a.work(store)
        names = {run["parameters"]["opener"] for run in a.made_runs(store)}
        assert names == {f"quiet-{number}" for number in range(1, at + 1)}
        assert len(a.made_runs(store)) == at
        if not died:
            break
    fired = [row for row in a.evaluations(store, rule) if row["outcome"] == "fired"]
    assert fired[0]["reason"].startswith("0 of 1 came between")
    with store.read() as tx:
        event = events.get(tx, a.SCOPE, fired[0]["event_id"])
    assert event is not None
    assert (event["type"], event["private"]) == ("hub.automation.missed", {"params": {"key": "quiet-1"}})
    assert not automation_state_left(store, rule)


def automation_state_left(store: Store, rule: str) -> list[dict[str, object]]:
    with store.read() as tx:
        return automation_state.windows(tx, rule)


def test_a_window_that_is_not_over_is_left_alone(store: Store) -> None:
    a.make_deployment(store)
    rule = a.automate(store, posture="proactive", types=["hub.worker.stopped"], within=10)
    a.work(store)
    assert a.outcomes(store, rule) == []
    assert len(automation_state_left(store, rule)) == 1
    _age(store, 30)
    a.work(store)
    assert a.outcomes(store, rule) == ["fired"]
    a.work(store)
    assert a.outcomes(store, rule) == ["fired"], "the next one begins with the next event"
    apply(store, Command("automation.update", a.SCOPE, "rule", {"enabled": False}))
    assert not automation_state_left(store, rule)
    apply(store, Command("automation.update", a.SCOPE, "rule", {"enabled": True}))
    assert len(automation_state_left(store, rule)) == 1


def _age(store: Store, seconds: int) -> None:
    """As if the windows had been opened before."""
    past = now_us() - seconds * SECOND
    table = automation_state.WINDOWS
    with store.write() as tx:
        tx.conn.execute(table.update().values(opened_at=past, until_at=past + SECOND, due_at=past + SECOND))


def test_absence_waits_for_what_is_not_stamped_yet(store: Store) -> None:
    a.make_deployment(store)
    rule = a.automate(store, posture="proactive", types=["hub.worker.stopped"], within=3600)
    _age(store, 30)
    a.happen(store, "hub.worker.stopped", ago=29.5)
    Automations(store).step()  # not stamped: it may be the one
    assert a.outcomes(store, rule) == []
    a.work(store)
    assert a.outcomes(store, rule) == ["counted"]


def test_two_processes_count_an_event_once(store: Store) -> None:
    a.make_deployment(store)
    rule = a.automate(store, types=["hub.worker.*"], threshold=2, within=60)
    first, second = Automations(store), Automations(store)
    for _ in range(4):
        a.happen(store)
        a.stamp(store)
        first.step()
        second.step()
    assert a.outcomes(store, rule) == ["counted", "fired", "filtered", "filtered"]
    assert len(a.made_runs(store)) == 1


def test_it_rests_after_it_fired(store: Store) -> None:
    a.make_deployment(store)
    rule = a.automate(store, types=["hub.worker.*"], cool_down=60)
    for ago in (200, 150, 130, 1):
        a.happen(store, ago=ago)
    a.work(store)
    assert sorted(a.outcomes(store, rule)) == ["cooled_down", "fired", "fired", "fired"]
    assert len(a.made_runs(store)) == 3


def test_automations_that_follow_from_one_another_stop_after_eight(store: Store) -> None:
    a.make_deployment(store)
    a.make_deployment(store, "other")
    create = ["hub.run.created"]
    ping = a.automate(
        store, "ping", types=create, match="event.deployment_name == 'ci'", do=[{"run_deployment": "other"}]
    )
    pong = a.automate(store, "pong", types=create, match="event.deployment_name == 'other'")
    apply(store, Command("run.create", a.SCOPE, "ci"))
    a.work(store)
    assert len(a.made_runs(store)) == 1 + DEEPEST
    stopped = [row for rule in (ping, pong) for row in a.evaluations(store, rule) if row["outcome"] == "loop_stopped"]
    assert [row["reason"] for row in stopped] == [
        "it would be number 9 of automations that follow from one another; at most 8 may"
    ]


def test_a_loop_by_events_that_flows_write_themselves_stops_too(store: Store) -> None:
    a.make_deployment(store)
    rule = a.automate(store, types=["orders.new"])
    run_id = None
    for _ in range(DEEPEST + 3):  # each run that was started writes the event again
        command = Command("event.emit", a.SCOPE, args={"type": "orders.new", "run_id": run_id})
        apply(store, command)
        a.work(store)
        run_id = a.made_runs(store)[0]["id"]
    assert a.outcomes(store, rule) == ["fired"] * DEEPEST + ["loop_stopped"] * 3


def test_an_automation_that_errs_on_everything_does_not_err_on_its_own_errors(store: Store) -> None:
    a.make_deployment(store)
    rules = [a.automate(store, name, match="event.nothing == 1") for name in ("one", "two", "three")]
    a.work(store)
    before = [len(a.outcomes(store, rule)) for rule in rules]
    a.happen(store)
    a.work(store)
    for rule, known in zip(rules, before, strict=True):
        assert a.outcomes(store, rule)[known:] == ["error"] * 3  # the event, and the errors of the two others


def test_a_filter_that_says_no_leaves_no_row_and_old_rows_are_trimmed(store: Store) -> None:
    a.make_deployment(store)
    quiet = a.automate(store, "quiet", types=["hub.worker.*"], match="event.name == 'x'")
    rule = a.automate(store, types=["hub.worker.*"], cool_down=5)
    a.happen(store)
    a.work(store)
    assert a.outcomes(store, quiet) == []
    assert a.outcomes(store, rule) == ["fired"]
    with store.write() as tx:
        later = tx.now + 100 * SECOND
        for trim in (trimming.firings, trimming.actions, trimming.windows):
            assert trim(tx, before=later, limit=500) == 1
        assert automations.firings(tx, a.SCOPE, automation_id=rule) == []


@pytest.mark.parametrize(
    ("trigger", "said"),
    [
        ({"threshold": 2}, "a threshold above 1 needs `within`"),
        ({"posture": "proactive", "within": 5}, "a proactive trigger needs `within`, 10 seconds or more"),
        ({"after": ["a"]}, "`after` needs `within`"),
        ({"for_each": ["event.("]}, "is not a CEL expression"),
        ({"posture": "sideways"}, "'reactive' or 'proactive'"),
    ],
)
def test_triggers_that_make_no_sense_are_refused(store: Store, trigger: dict[str, object], said: str) -> None:
    a.make_deployment(store)
    with pytest.raises(UsageError, match=said.replace("(", r"\(")):
        a.automate(store, **trigger)
