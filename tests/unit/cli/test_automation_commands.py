"""`hub automations` beyond one event, one run."""

from __future__ import annotations

import json

from hub.settings import load_settings
from hub.store import open_hub
from tests.planes import automating as a

from .conftest import Shell


def test_counting_and_other_actions_are_said_in_options(hub: Shell, flow_file: str) -> None:
    hub("deploy", flow_file)
    said = hub(
        "automations", "create", "stuck", "--after", "hub.run.started", "--on", "hub.run.completed", "--absent",
        "--within", "1800", "--for-each", "run_id", "--cool-down", "60", "--retry", "2",
        "--do", "cancel_run==event.run_id", "--do", "alert=${event.run_id} is stuck", "--run", "twice",
    )  # fmt: skip
    assert "when these do not come: hub.run.completed" in said
    made = hub.json("automations", "show", "stuck")
    assert made["trigger"] == {
        "kind": "event", "types": ["hub.run.completed"], "match": "", "after": ["hub.run.started"],
        "for_each": ["run_id"], "within": 1800.0, "cool_down": 60.0, "posture": "proactive",
    }  # fmt: skip
    assert [next(iter(set(action) - {"retry", "parameters"})) for action in made["actions"]][1] == "cancel_run"
    assert made["actions"][2]["retry"] == {"times": 2, "delay": 10.0}
    assert "cancel run =event.run_id" in hub("automations", "ls")


def test_nothing_to_do_is_a_mistake(hub: Shell) -> None:
    assert "nothing to do" in hub("automations", "create", "idle", "--on", "x", code=2)
    assert "kind=value" in hub("automations", "create", "idle", "--do", "alert", code=2)


def test_evaluations_are_listed_with_their_reasons(hub: Shell, flow_file: str) -> None:
    hub("deploy", flow_file)
    words = ["--on", "hub.worker.lost", "--run", "twice", "--threshold", "2", "--within", "60"]
    hub("automations", "create", "lost", *words)
    assert hub.json("automations", "evaluations", "lost") == []
    store = open_hub(load_settings())
    try:
        for _ in range(2):
            a.happen(store)
        a.work(store)
    finally:
        store.close()
    shown = hub("automations", "evaluations", "lost")
    assert "1 of 2 within 60 s" in shown
    assert "starts twice: done" in shown
    (fired,) = hub.json("automations", "evaluations", "lost", "--outcome", "fired")
    assert len(fired["events"]) == 2


def test_an_automation_is_tried_on_what_is_stored(hub: Shell, flow_file: str) -> None:
    hub("deploy", flow_file)
    hub("automations", "create", "lost", "--on", "hub.worker.lost", "--run", "twice")
    assert hub.json("automations", "test", "lost") == []
    store = open_hub(load_settings())
    try:
        event = a.happen(store)
        a.stamp(store)
    finally:
        store.close()
    shown = hub("automations", "test", "lost")
    assert "run.create twice" in shown
    assert "It would have fired 1 times on 1 events. Nothing was changed." in shown
    assert hub.json("automations", "test", "lost", "--event", event)[0]["outcome"] == "fired"
    assert hub.json("runs", "ls") == []


def test_one_fires_at_set_times(hub: Shell, flow_file: str) -> None:
    hub("deploy", flow_file)
    said = hub(
        "automations", "create", "morning", "--cron", "0 9 * * *", "--timezone", "Europe/Berlin", "--run", "twice"
    )
    assert said == "Automation morning starts twice at 0 9 * * * (Europe/Berlin).\n"
    hub("automations", "create", "pulse", "--interval", "90", "--run", "twice", "-p", "code==event.planned_for")
    pulse, morning = hub.json("automations", "ls")
    assert pulse["trigger"] == {"kind": "schedule", "interval": 90}
    assert pulse["next_at"] < morning["next_at"] or morning["next_at"][11:16] in ("07:00", "08:00")
    assert "every 90 s" in hub("automations", "ls")
    trials = hub.json("automations", "test", "pulse", "--last", "2")
    assert [trial["outcome"] for trial in trials] == ["fired", "fired"]
    assert trials[0]["at"] == pulse["next_at"]
    assert "run.create twice" in hub("automations", "test", "pulse")
    assert "is about events" in hub(
        "automations", "create", "x", "--cron", "0 9 * * *", "--on", "a.b", "--run", "twice", code=2
    )
    rule = "FREQ=WEEKLY;BYDAY=MO;BYHOUR=9;BYMINUTE=0"
    assert f"at {rule} (UTC)" in hub("automations", "create", "weekly", "--rrule", rule, "--run", "twice")
    assert hub.json("automations", "show", "weekly")["next_at"][11:16] == "09:00"
    assert "time zone" in hub(
        "automations", "create", "x", "--cron", "0 9 * * *", "--timezone", "Mars", "--run", "twice", code=2
    )
    assert "not a cron expression" in hub(
        "automations", "create", "x", "--cron", "0 0 30 2 *", "--run", "twice", code=2
    )


def test_an_action_with_more_to_say_is_json(hub: Shell) -> None:
    does = '{"set_state": "=event.run_id", "state": "FAILED", "message": "gone"}'
    said = hub("automations", "create", "gone", "--on", "hub.worker.lost", "--do", does)
    assert said == "Automation gone set state of =event.run_id to FAILED on hub.worker.lost.\n"
    assert hub.json("automations", "show", "gone")["actions"] == [json.loads(does)]
    assert "no JSON" in hub("automations", "create", "gone", "--on", "a.b", "--do", "{set_state", code=2)
