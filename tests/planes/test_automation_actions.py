"""What automations do: each action, its retries and its outcome; on every store."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import Any

import pytest
from hub.errors import ExpressionError, UnavailableError, UsageError
from hub.runtime import acting
from hub.runtime.commands import Command, apply, register_given
from hub.store import Store, automation_state, runs
from hub.store.tables import Alert, Deployment, Schedule
from hub.types import new_id
from tests.planes import automating as a

from hub_notifications.alert_ops import OPS


def actions(store: Store, rule: str) -> list[dict[str, Any]]:
    ids = [row["event_id"] for row in a.evaluations(store, rule)]
    with store.read() as tx:
        found = automation_state.actions_of(tx, a.SCOPE, rule, ids)
    return [row for rows in found.values() for row in rows]


def make_due(store: Store) -> None:
    with store.write() as tx:
        tx.conn.execute(automation_state.ACTIONS.update().values(due_at=0))


def test_it_cancels_the_run_of_the_event(store: Store) -> None:
    a.make_deployment(store)
    rule = a.automate(store, types=["hub.run.created"], do=[{"cancel_run": "=event.run_id"}])
    run_id = apply(store, Command("run.create", a.SCOPE, "ci")).result["id"]
    a.work(store)
    with store.read() as tx:
        run = runs.row(tx, a.SCOPE, run_id)
    assert run is not None
    assert run["state_type"] in ("CANCELLED", "CANCELLING")
    (done,) = actions(store, rule)
    assert (done["status"], done["target"], done["tries"]) == ("done", run_id, 1)


@pytest.mark.parametrize(
    ("state", "becomes"),
    [("PAUSED", ("PAUSED", "Paused")), ("FAILED", ("FAILED", "Failed")), ("CANCELLED", ("CANCELLED", "Cancelled"))],
)
def test_it_sets_the_state_of_a_run_by_the_rules(store: Store, state: str, becomes: tuple[str, str]) -> None:
    a.make_deployment(store)
    action = {"set_state": "=event.run_id", "state": state, "message": "=event.type + ' said so'"}
    rule = a.automate(store, types=["hub.run.created"], do=[action])
    run_id = apply(store, Command("run.create", a.SCOPE, "ci")).result["id"]
    at = 1
    while a.killed(store, at, after=True):
        at += 1
    a.work(store)
    with store.read() as tx:
        run = runs.row(tx, a.SCOPE, run_id)
    assert run is not None
    assert (run["state_type"], run["state_name"]) == becomes
    assert run["state_message"] == "hub.run.created said so"
    assert [(row["status"], row["target"]) for row in actions(store, rule)] == [("done", run_id)]


def test_what_the_rules_refuse_is_the_reason_of_the_action(store: Store) -> None:
    a.make_deployment(store)
    wanted = ("COMPLETED", "SCHEDULED", "CANCELLED", "FAILED")
    does = [{"set_state": "=event.run_id", "state": state} for state in wanted]
    rule = a.automate(store, types=["hub.run.created"], do=does)
    run_id = apply(store, Command("run.create", a.SCOPE, "ci")).result["id"]
    a.work(store)
    said = [(row["status"], row["error"]) for row in actions(store, rule)]
    assert said == [
        ("failed", "Complete does not apply to a run that is Scheduled"),
        ("failed", "Resume does not apply to a run that is Scheduled"),
        ("done", None),
        ("failed", "the run is already Cancelled"),
    ]
    with store.read() as tx:
        run = runs.row(tx, a.SCOPE, run_id)
    assert run is not None
    assert run["state_name"] == "Cancelled"


def test_it_pauses_and_resumes_deployments_and_schedules(store: Store) -> None:
    deployment = a.make_deployment(store)
    args = {"deployment": "ci", "kind": "interval", "spec": "3600"}
    schedule = apply(store, Command("schedule.create", a.SCOPE, args=args)).result["id"]
    rest = [{"pause_deployment": "=event.name"}, {"pause_schedule": schedule}]
    rule = a.automate(store, types=["hub.worker.lost"], do=rest)
    a.happen(store, name="ci")
    a.work(store)
    assert [row["target"] for row in actions(store, rule)] == [deployment, schedule]
    assert _resting(store, schedule) == (True, False)
    a.automate(
        store, "back", types=["hub.worker.started"],
        do=[{"resume_deployment": "ci"}, {"resume_schedule": schedule}],
    )  # fmt: skip
    a.happen(store, "hub.worker.started", slots=1, queues=[])
    a.work(store)
    assert _resting(store, schedule) == (False, True)


def _resting(store: Store, schedule: str) -> tuple[bool, bool]:
    with store.read() as tx:
        table = Schedule.__table__
        active = tx.conn.execute(table.select().where(table.c.id == schedule)).mappings().one()["active"]
        paused = tx.conn.exec_driver_sql("SELECT paused FROM deployments").scalar_one()
    return bool(paused), bool(active)


def test_it_raises_an_alert_once(store: Store) -> None:
    register_given(OPS)
    rule = a.automate(
        store, types=["hub.worker.lost"],
        do=[{"alert": "Worker ${event.name} is gone", "body": "=events[0].type", "severity": "warning"}],
    )  # fmt: skip
    a.happen(store, name="w9")
    at = 1
    while a.killed(store, at, after=True):
        at += 1
    a.work(store)
    with store.read() as tx:
        (alert,) = tx.conn.execute(Alert.__table__.select()).mappings().all()  # type: ignore[attr-defined]
    assert (alert["title"], alert["body"], alert["severity"]) == ("Worker w9 is gone", "hub.worker.lost", "warning")
    assert actions(store, rule)[0]["target"] == alert["id"]


def test_an_action_that_fails_is_tried_again_and_then_given_up_with_its_reason(store: Store) -> None:
    retry = {"times": 2, "delay": 100}
    rule = a.automate(store, types=["hub.worker.lost"], do=[{"pause_deployment": "nowhere", "retry": retry}])
    a.happen(store)
    for tries in (1, 2, 3):
        make_due(store)
        a.work(store)
        (row,) = actions(store, rule)
        assert (row["tries"], row["status"]) == (tries, "failed" if tries == 3 else "pending")
        assert "nowhere" in row["error"]
    (found,) = a.evaluations(store, rule)
    assert (found["outcome"], "nowhere" in found["error"]) == ("error", True)
    with store.read() as tx:
        types = [row["type"] for row in tx.conn.execute(a.EVENTS.select()).mappings()]
    assert types.count("hub.automation.failed") == 1


def test_an_action_that_comes_right_in_time_is_done(store: Store) -> None:
    rule = a.automate(
        store, types=["hub.worker.lost"], do=[{"pause_deployment": "ci", "retry": {"times": 2, "delay": 0}}]
    )  # fmt: skip
    a.happen(store)
    a.work(store, once=True)
    a.make_deployment(store)
    a.work(store)
    (row,) = actions(store, rule)
    assert (row["status"], row["tries"], row["error"]) == ("done", 2, None)


def test_a_mistake_in_an_expression_is_not_tried_again(store: Store) -> None:
    rule = a.automate(store, types=["hub.worker.lost"], do=[{"cancel_run": "=event.run_id", "retry": {}}])
    a.happen(store)
    a.work(store)
    (row,) = actions(store, rule)
    assert (row["status"], row["error"]) == ("failed", "cancel_run gave None, it must give an id or a name")


def test_one_action_that_breaks_does_not_hold_up_the_others(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise KeyError("what")

    a.make_deployment(store)
    rule = a.automate(store, types=["hub.worker.lost"], do=[{"cancel_run": "x"}, {"run_deployment": "ci"}])
    monkeypatch.setitem(__import__("hub.runtime.acting", fromlist=["KINDS"]).KINDS, "cancel_run", broken)
    a.happen(store)
    a.work(store)
    assert [(row["status"], row["error"]) for row in actions(store, rule)] == [
        ("failed", "KeyError: 'what'"), ("done", None),
    ]  # fmt: skip
    assert len(a.made_runs(store)) == 1


def test_runs_that_are_made_together_are_made_once_and_one_that_cannot_be_is_alone_with_it(store: Store) -> None:
    a.make_deployment(store)
    gone = a.make_deployment(store, "gone")
    rule = a.automate(
        store, types=["hub.worker.lost"], do=[{"run_deployment": "ci"}, {"run_deployment": gone, "retry": {"times": 1}}]
    )
    with store.write() as tx:
        tx.conn.execute(Deployment.__table__.delete().where(Deployment.__table__.c.id == gone))  # type: ignore[attr-defined]
    for _ in range(60):
        a.happen(store)
    a.work(store)
    make_due(store)
    a.work(store)
    found = actions(store, rule)
    assert [row["status"] for row in found if row["number"] == 0] == ["done"] * 60
    failed = [row for row in found if row["number"] == 1]
    assert {(row["status"], row["tries"]) for row in failed} == {("failed", 2)}
    assert all("there is no deployment" in row["error"] for row in failed)
    assert sorted(run["id"] for run in a.made_runs(store)) == sorted(
        row["target"] for row in found if row["number"] == 0
    )


def test_runs_that_were_made_before_their_maker_died_are_not_made_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    a.make_deployment(store)
    rule = a.automate(store, types=["hub.worker.lost"], do=[{"run_deployment": "ci"}] * 3)
    for _ in range(40):
        a.happen(store)

    noted, calls = acting._note_made, count(1)

    def died(*given: Any) -> None:
        if next(calls) == 70:
            raise UnavailableError("it died here")
        noted(*given)

    with monkeypatch.context() as patched:
        patched.setattr("hub.runtime.acting._note_made", died)
        patched.setattr("hub.store.portions.HOLD_S", 0)
        with pytest.raises(UnavailableError):
            a.work(store)
    assert len(a.made_runs(store)) == 69
    assert Counter(row["status"] for row in actions(store, rule)) == {"done": 69, "pending": 51}
    a.work(store)
    assert {row["status"] for row in actions(store, rule)} == {"done"}
    assert len(a.made_runs(store)) == 120


@pytest.mark.parametrize(
    ("action", "error"),
    [
        ({}, UsageError),
        ({"cancel_run": ""}, UsageError),
        ({"cancel_run": "=event.("}, ExpressionError),
        ({"alert": "${nothing}"}, ExpressionError),
        ({"set_state": "=event.run_id"}, UsageError),
        ({"set_state": "=event.run_id", "state": "RUNNING"}, UsageError),
        ({"set_state": "=event.run_id", "state": "FAILED", "message": "=event.("}, ExpressionError),
        ({"alert": "x", "severity": "loud"}, UsageError),
        ({"cancel_run": "x", "pause_run": "y"}, UsageError),
        ({"cancel_run": new_id(), "retry": {"times": 0}}, UsageError),
    ],
)
def test_actions_that_cannot_work_are_refused_when_saved(
    store: Store, action: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        a.automate(store, do=[action])
