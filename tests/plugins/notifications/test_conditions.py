"""What is wrong with the hub itself becomes an alert, once, and ends when it is over; on every store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hub.engine.run import Claim, Complete, Dispatch
from hub.plugins import Context
from hub.runtime.commands import Command, apply, register
from hub.runtime.orchestrator import handle
from hub.settings import load_settings
from hub.store import Store, endpoints, outgoing, runs, workers
from hub.store.tables import PlaneSite, SiteValue, TaskRunRow
from hub.types import SECOND, Scope, new_id, now_us
from sqlalchemy import update
from tests.planes.doors import make
from tests.planes.test_inbox import keep

from hub_notifications import channels, conditions, facts, firing, notices
from hub_notifications.plugin import hub_commands, hub_run_state
from hub_notifications.watching import of_the_hub

SCOPE = Scope()
MINUTE = 60 * SECOND


@pytest.fixture(autouse=True)
def _operations() -> None:
    register(*hub_commands())


def look(store: Store) -> dict[str, str]:
    """Kind and state of all alerts after a process that has just started looked twice: what it knows is in rows."""
    for _ in range(2):
        replace(of_the_hub(store), holder="watcher").step()
    with store.read() as tx:
        rows = firing.list_alerts(tx, SCOPE, status=None, limit=50, cursor=None).items
    assert len({row["kind"] for row in rows}) == len(rows)
    return {row["kind"]: row["status"] for row in rows}


def alert(store: Store, kind: str) -> dict[str, Any]:
    with store.read() as tx:
        rows = firing.list_alerts(tx, SCOPE, status=None, limit=50, cursor=None).items
    return next(row for row in rows if row["kind"] == kind)


def new_run(store: Store, **more: Any) -> str:
    run_id = new_id()
    row = {"id": run_id, "name": f"nightly-{run_id[-4:]}", "flow_name": "nightly", **more}
    with store.write() as tx:
        runs.create(tx, SCOPE, row)
    return run_id


def change(store: Store, table: Any, key: str, **values: Any) -> None:
    with store.write() as tx:
        tx.conn.execute(update(table).where(table.c.id == key).values(**values))


def new_worker(store: Store, name: str) -> str:
    row = {"id": new_id(), "workspace_id": SCOPE.workspace_id, "name": name, "host": "h", "boot_id": "b", "pid": 1,
           "pid_started": "1", "version": "1", "queues": ["default"], "slots": 2}  # fmt: skip
    with store.write() as tx:
        workers.register(tx, row, lease_s=600)
        workers.ready(tx, row["id"])
    return str(row["id"])


def test_refused_requests_are_told_when_they_are_many_and_over_when_there_are_none(store: Store) -> None:
    source = make(store)
    for _ in range(conditions.SIGNATURES - 1):
        keep(store, source, verdict="rejected", reason="no signature")
    assert look(store) == {}
    last = keep(store, source, verdict="rejected", reason="the signature does not match")
    assert look(store) == {"signatures-failing": "firing"}
    found = alert(store, "signatures-failing")
    assert (found["labels"]["source"], "10 of 10" in found["body"]) == (source.name, True)
    assert "the signature does not match" in found["body"]
    with store.write() as tx:
        tx.conn.exec_driver_sql(f"DELETE FROM receipts WHERE id <> '{last}'")
    assert look(store) == {"signatures-failing": "firing"}, "one more keeps it"
    with store.write() as tx:
        tx.conn.exec_driver_sql("DELETE FROM receipts")
    assert look(store) == {"signatures-failing": "resolved"}


def test_a_few_refused_among_many_that_are_taken_are_no_alert() -> None:
    row = {"workspace_id": "w", "id": "s", "name": "shop", "refused": 50, "total": 251, "reason": ""}
    assert list(conditions.signatures([row], set())) == []
    assert [one.key for one in conditions.signatures([{**row, "total": 250}], set())]


def test_a_queue_that_nobody_empties_is_told_until_its_runs_are_taken(store: Store) -> None:
    old = now_us() - 11 * MINUTE
    for held in ({"lane": "l"}, {"due_at": now_us() - 9 * MINUTE}, {"home": "inline"}, {"queue": "other"}):
        new_run(store, **{"due_at": old, **held})
    assert look(store) == {}
    run_id = new_run(store, due_at=old)
    assert look(store) == {"queue-waiting": "firing"}
    found = alert(store, "queue-waiting")
    assert (found["labels"]["queue"], found["severity"], "no worker serves it" in found["body"]) == (
        "default",
        "error",
        True,
    )
    handle(store, SCOPE, run_id, Dispatch(new_worker(store, "w1")))
    assert look(store) == {"queue-waiting": "resolved"}


def test_a_worker_that_is_lost_is_told_until_its_name_is_back(store: Store) -> None:
    lost, stopped = new_worker(store, "w1"), new_worker(store, "w2")
    with store.write() as tx:
        workers.leave(tx, stopped, lost=False)
        workers.leave(tx, lost, lost=True)
    assert look(store) == {"worker-lost": "firing"}
    assert alert(store, "worker-lost")["labels"]["worker"] == "w1"
    new_worker(store, "w1")
    assert look(store) == {"worker-lost": "resolved"}


def test_a_lost_worker_is_gone_for_good_after_an_hour() -> None:
    row = {"workspace_id": "w", "name": "w1", "at": 0}
    assert list(conditions.lost_workers([row], {}, conditions.LOST_FOR - 1))
    assert not list(conditions.lost_workers([row], {}, conditions.LOST_FOR))


def test_a_site_that_is_silent_is_told_at_the_plane(store: Store) -> None:
    table = PlaneSite.__table__  # type: ignore[attr-defined]
    row = {"id": new_id(), "workspace_id": SCOPE.workspace_id, "site_id": "s", "name": "berlin", "token_id": "t",
           "stream_epoch": "", "acked_seq": 0, "chain_hash": "", "fence": 0, "authority_id": "", "command_head": 0,
           "command_delivered": 0, "plane_epoch": "", "status": {}, "last_seen_at": None, "created_at": 0}  # fmt: skip
    with store.write() as tx:
        tx.insert(table, row)
    assert look(store) == {}, "it has never reported"
    change(store, table, row["id"], last_seen_at=now_us() - 6 * MINUTE)
    assert look(store) == {"site-silent": "firing"}
    change(store, table, row["id"], last_seen_at=now_us())
    assert look(store) == {"site-silent": "resolved"}


def test_alerts_that_do_not_arrive_are_told_on_another_channel(store: Store) -> None:
    for name in ("mail", "chat"):
        args = {"name": name, "address": f"slack+http://127.0.0.1:9/{name}"}
        apply(store, Command("channel.add", SCOPE, args=args))
    with store.write() as tx:
        mail = channels.find(tx, SCOPE, "mail")["id"]
        for number, status in enumerate(("dead", "sent")):
            given = {"id": new_id(), "workspace_id": SCOPE.workspace_id, "notification_id": new_id(), "alert_id": "a"}
            ended = {
                "channel_id": mail,
                "attempt": 1,
                "status": status,
                "due_at": tx.now,
                "ended_at": tx.now - 9 + number,
            }
            tx.insert(notices.DELIVERIES, {**given, **ended, "title": "", "provider_id": ""})
    assert look(store) == {}, "a later one has arrived"
    with store.write() as tx:
        tx.conn.exec_driver_sql("DELETE FROM deliveries WHERE status = 'sent'")
    assert look(store) == {"deliveries-dead": "firing"}
    found = alert(store, "deliveries-dead")
    assert (found["labels"]["channel"], found["context"]["to"]) == ("mail", ["chat"])
    with store.write() as tx:
        tx.conn.exec_driver_sql("DELETE FROM deliveries")
    assert look(store) == {"deliveries-dead": "resolved"}


def test_webhooks_that_were_given_up_are_told_until_one_goes_well(store: Store) -> None:
    made = apply(store, Command("endpoint.create", SCOPE, args={"name": "partner", "url": "https://example.com/x"}))
    sent = apply(store, Command("endpoint.send", SCOPE, "partner", {"type": "a"})).result["id"]
    with store.write() as tx:
        endpoints.failed(tx, made.result["id"])
    assert look(store) == {}, "it is tried again"
    change(store, outgoing.TABLE, str(sent), status="failed", ended_at=now_us(), error="it answered 500")
    assert look(store) == {"webhooks-dead": "firing"}
    assert "it answered 500" in alert(store, "webhooks-dead")["body"]
    with store.write() as tx:
        endpoints.went_well(tx, made.result["id"])
    assert look(store) == {"webhooks-dead": "resolved"}


def test_a_plugin_that_fails_is_told_until_it_does_not(store: Store) -> None:
    table = SiteValue.__table__  # type: ignore[attr-defined]
    row = {
        "name": "echo",
        "state": "loaded",
        "problem": "",
        "last_error": "boom",
        "breakers": [{"hook": "hub_run_state"}],
    }

    def report(**more: Any) -> None:
        with store.write() as tx:
            value = {"at": tx.now, "process": "upkeep", "rows": [{**row, **more}]}
            tx.upsert(table, {"name": "plugins/upkeep/h/1", "value": value}, keys=["name"])

    report()
    assert look(store) == {"plugin-failing": "firing"}
    assert "hub_run_state failed too often" in alert(store, "plugin-failing")["body"]
    report(breakers=[])
    assert look(store) == {"plugin-failing": "resolved"}


def test_a_late_run_is_told_where_its_flow_asks_for_it(store: Store) -> None:
    old = now_us() - 2 * MINUTE
    new_run(store, due_at=old)
    assert look(store) == {}
    asks = {"on": ["late"], "to": ["mail"], "severity": "critical"}
    late = [new_run(store, due_at=old, alerts=asks) for _ in range(2)]
    assert look(store) == {"run-late": "firing"}
    found = alert(store, "run-late")
    assert (found["severity"], found["context"]["to"], found["labels"]["flow"]) == ("critical", ["mail"], "nightly")
    handle(store, SCOPE, late[0], Dispatch(new_worker(store, "w1")))
    assert look(store) == {"run-late": "firing"}, "another one is late"
    handle(store, SCOPE, late[1], Dispatch("w"))
    assert look(store) == {"run-late": "resolved"}


def test_a_stuck_run_is_told_where_its_flow_asks_for_it(store: Store) -> None:
    now = now_us()

    def executes(**more: Any) -> str:
        run_id = new_run(store, **more)
        handle(store, SCOPE, run_id, Dispatch("w"))
        handle(store, SCOPE, run_id, Claim(1, 1))
        return run_id

    for number in range(conditions.STUCK_RUNS):
        done = executes()
        handle(store, SCOPE, done, Complete(1, 1, "Completed"))
        change(store, runs.TABLE, done, started_at=now - number * MINUTE - 5 * MINUTE, ended_at=now - number * MINUTE)
    plain, asks = executes(), executes(alerts={"on": ["stuck"]})
    for run_id in (plain, asks):
        change(store, runs.TABLE, run_id, started_at=now - 16 * MINUTE)
    assert look(store) == {"run-stuck": "firing"}
    assert alert(store, "run-stuck")["run_id"] == asks
    with store.write() as tx:
        line = {"workspace_id": SCOPE.workspace_id, "run_id": asks, "attempt": 1, "at": tx.now, "level": 20,
                "logger": "", "message": "here I am"}  # fmt: skip
        tx.insert(facts.LOGS, line)
    assert look(store) == {"run-stuck": "resolved"}


@pytest.mark.parametrize(
    ("ran", "idle", "earlier", "is_it"),
    [
        (31, 11, [10] * 5, True), (30, 11, [10] * 5, False), (31, 10, [10] * 5, False), (31, 31, [10] * 4, False),
        (100, 100, [1] * 90 + [40] * 10, True), (11, 11, [1] * 20, True), (10, 10, [1] * 20, False),
    ],
)  # fmt: skip
def test_stuck_is_far_beyond_what_it_ever_took(ran: int, idle: int, earlier: list[int], is_it: bool) -> None:
    assert conditions.is_stuck(ran * MINUTE, idle * MINUTE, [one * MINUTE for one in earlier]) is is_it


def test_a_task_that_failed_in_a_run_that_went_on_is_told_where_its_flow_asks_for_it(store: Store) -> None:
    context = Context("upkeep", load_settings({}, environ={}), None, store)  # type: ignore[arg-type]

    def ends(failed: bool, **more: Any) -> None:
        run_id = new_run(store, **more)
        handle(store, SCOPE, run_id, Dispatch("w"))
        handle(store, SCOPE, run_id, Claim(1, 1))
        with store.write() as tx:
            row = {
                "id": new_id(), "workspace_id": SCOPE.workspace_id, "run_id": run_id, "journal_key": "k",
                "task_name": "load", "name": "load-0", "upstream": [], "state_name": "", "state_message": "",
                "state_type": "FAILED" if failed else "COMPLETED", "version": 1, "run_attempt": 1, "attempt": 1,
                "retries_used": 0, "created_at": tx.now, "error_type": "ValueError", "error_message": "boom",
            }  # fmt: skip
            tx.insert(TaskRunRow.__table__, row)  # type: ignore[attr-defined]
        handle(store, SCOPE, run_id, Complete(1, 1, "Completed"))
        with store.read() as tx:
            run = runs.row(tx, SCOPE, run_id)
        assert run is not None
        for _ in range(2):  # as an outbox does that repeats itself
            hub_run_state(ctx=context, event={"type": "hub.run.completed"}, run=run)

    ends(True)
    assert look(store) == {}
    asks = {"on": ["failed", "task_failed"]}
    ends(True, alerts=asks)
    assert look(store) == {"task-failed": "firing"}
    found = alert(store, "task-failed")
    error = found["context"]["error"]["message"]
    assert (found["title"], error, found["count"]) == ("Task load of nightly failed", "boom", 1)
    ends(False, alerts=asks)
    assert look(store) == {"task-failed": "resolved"}


def test_only_one_process_at_a_time_looks(store: Store) -> None:
    one, two = (replace(of_the_hub(store), holder=name) for name in ("one", "two"))
    one.step()
    new_run(store, due_at=now_us() - 11 * MINUTE)
    two.step()
    with store.read() as tx:
        assert not firing.anything_firing(tx, SCOPE)
    one.step()
    with store.read() as tx:
        assert firing.anything_firing(tx, SCOPE)
