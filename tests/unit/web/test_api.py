"""The resources, one by one, on a real store."""

from __future__ import annotations

from typing import Any

import pytest
from hub.runtime.sequencer import Sequencer
from hub.store import Store
from hub.store.tables import Log, StateRow, TaskRunRow, Worker
from hub.types import DEFAULT_WORKSPACE, SECOND, new_id, now_us
from starlette.testclient import TestClient

DEPLOYMENT = {"flow_name": "f", "entrypoint": "flows.py:f", "parameters": {"day": "today"}}


@pytest.fixture
def deployment(client: TestClient) -> str:
    assert client.put("/api/v1/deployments/nightly", json=DEPLOYMENT).status_code == 200
    return "nightly"


@pytest.fixture
def run(client: TestClient, deployment: str) -> str:
    answer = client.post("/api/v1/deployments/nightly/runs", json={"parameters": {"n": 1}, "tags": ["x"]})
    assert answer.status_code == 201
    return str(answer.json()["id"])


def get(client: TestClient, path: str, **query: Any) -> Any:
    answer = client.get(f"/api/v1{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def post(client: TestClient, path: str, body: Any = None, **headers: str) -> Any:
    return client.post(f"/api/v1{path}", json=body or {}, headers=headers)


# --- runs --------------------------------------------------------------------------------------------------------


def test_a_run_is_started_and_shown(client: TestClient, run: str) -> None:
    shown = get(client, f"/runs/{run}")
    assert shown["parameters"] == {"day": "today", "n": 1}
    assert (shown["state_type"], shown["deployment_name"], shown["tags"]) == ("SCHEDULED", "nightly", ["x"])
    assert shown["created_at"].endswith("Z")
    assert [state["name"] for state in get(client, f"/runs/{run}/states")] == ["Scheduled"]


def test_runs_are_filtered(client: TestClient, run: str) -> None:
    def ids(**query: Any) -> list[str]:
        return [item["id"] for item in get(client, "/runs", **query)["items"]]

    assert ids(state="SCHEDULED", deployment="nightly", flow="f") == [run]
    assert ids(state=["RUNNING", "SCHEDULED"]) == [run]
    assert ids(name=get(client, f"/runs/{run}")["name"]) == [run]
    assert ids(state="RUNNING") == ids(flow="g") == ids(name="g") == ids(parent_run_id=new_id()) == []
    assert client.get("/api/v1/runs?deployment=unknown").status_code == 404
    assert client.get("/api/v1/runs?state=Running").status_code == 422


def test_a_run_is_paused_resumed_and_cancelled(client: TestClient, run: str) -> None:
    assert post(client, f"/runs/{run}/pause").json()["state_name"] == "Paused"
    assert post(client, f"/runs/{run}/pause").status_code == 409
    assert post(client, f"/runs/{run}/resume").json()["state_type"] == "SCHEDULED"
    cancelled = post(client, f"/runs/{run}/cancel", {"message": "not today"})
    assert cancelled.json()["state_type"] == "CANCELLED"
    assert get(client, f"/runs/{run}")["state_message"] == "not today"
    again = post(client, f"/runs/{run}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "already_final")


def test_a_run_is_restarted_as_a_new_run(client: TestClient, run: str) -> None:
    post(client, f"/runs/{run}/cancel")
    made = post(client, f"/runs/{run}/restart")
    assert made.status_code == 201
    new = get(client, f"/runs/{made.json()['id']}")
    assert (new["restart_of"], new["parameters"], new["state_type"]) == (run, {"day": "today", "n": 1}, "SCHEDULED")
    assert get(client, f"/runs/{run}")["state_type"] == "CANCELLED"


def test_the_same_idempotency_key_starts_one_run(client: TestClient, deployment: str) -> None:
    first = post(client, "/deployments/nightly/runs", {}, **{"idempotency-key": "k"}).json()
    second = post(client, "/deployments/nightly/runs", {}, **{"idempotency-key": "k"}).json()
    assert first["id"] == second["id"]
    by_body = [post(client, "/deployments/nightly/runs", {"idempotency_key": "b"}).json() for _ in range(2)]
    assert by_body[0]["id"] == by_body[1]["id"]
    assert [made["created"] for made in by_body] == [True, False]
    assert len(get(client, "/runs")["items"]) == 2


def test_a_run_with_wrong_parameters_is_refused(client: TestClient) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    client.put("/api/v1/deployments/typed", json={**DEPLOYMENT, "parameters": {}, "parameter_schema": schema})
    answer = post(client, "/deployments/typed/runs", {"parameters": {"n": "one"}})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-parameters")
    assert post(client, "/deployments/typed/runs", {"parameters": {"n": 1}}).status_code == 201


def test_a_run_may_wait_until_it_is_due(client: TestClient, deployment: str) -> None:
    made = post(client, "/deployments/nightly/runs", {"due_at": "2030-01-01T00:00:00+02:00"}).json()
    assert get(client, f"/runs/{made['id']}")["due_at"] == "2029-12-31T22:00:00.000000Z"


def test_log_lines_come_oldest_first_and_can_be_followed(client: TestClient, run: str, memory: Store) -> None:
    def write(*messages: str, level: int = 20) -> None:
        with memory.write() as tx:
            rows = [
                {"workspace_id": DEFAULT_WORKSPACE, "run_id": run, "task_run_id": None, "attempt": 1, "at": tx.now,
                 "level": level, "logger": "flow", "message": message}
                for message in messages
            ]  # fmt: skip
            tx.insert(Log.__table__, rows)  # type: ignore[attr-defined]

    write("one", "two", "three")
    page = get(client, f"/runs/{run}/logs", limit=2)
    assert [line["message"] for line in page["items"]] == ["one", "two"]
    rest = get(client, f"/runs/{run}/logs", limit=2, cursor=page["next_cursor"])
    assert [line["message"] for line in rest["items"]] == ["three"]
    write("four\x00")
    write("five", level=40)
    seen = rest["items"][-1]["id"]
    assert [line["message"] for line in get(client, f"/runs/{run}/logs", after=seen)["items"]] == ["four\x00", "five"]
    assert [line["message"] for line in get(client, f"/runs/{run}/logs", level=30)["items"]] == ["five"]


def test_task_runs_are_listed_in_the_order_they_were_made(client: TestClient, run: str, memory: Store) -> None:
    with memory.write() as tx:
        for number in range(3):
            row = {"id": new_id(), "workspace_id": DEFAULT_WORKSPACE, "run_id": run, "journal_key": f"k{number}",
                   "task_name": "t", "name": f"t-{number}", "upstream": [], "state_type": "COMPLETED",
                   "state_name": "Completed", "state_message": "", "version": 1, "run_attempt": 1, "attempt": 1,
                   "retries_used": 0, "created_at": tx.now}  # fmt: skip
            tx.insert(TaskRunRow.__table__, row)  # type: ignore[attr-defined]
    page = get(client, f"/runs/{run}/tasks", limit=2)
    rest = get(client, f"/runs/{run}/tasks", limit=2, cursor=page["next_cursor"])
    assert [item["name"] for item in page["items"] + rest["items"]] == ["t-0", "t-1", "t-2"]


def test_states_of_tasks_are_not_mixed_with_the_runs_own(client: TestClient, run: str, memory: Store) -> None:
    with memory.write() as tx:
        row = {"workspace_id": DEFAULT_WORKSPACE, "run_id": run, "task_run_id": new_id(), "type": "RUNNING",
               "name": "Running", "message": "", "attempt": 1, "at": tx.now, "actor": "system"}  # fmt: skip
        tx.insert(StateRow.__table__, row)  # type: ignore[attr-defined]
    assert len(get(client, f"/runs/{run}/states")) == 1


@pytest.mark.parametrize("path", ["", "/tasks", "/states", "/logs"])
def test_an_unknown_run_is_not_found(client: TestClient, path: str) -> None:
    assert client.get(f"/api/v1/runs/{new_id()}{path}").status_code == 404


# --- deployments and schedules -------------------------------------------------------------------------------------


def test_a_deployment_is_made_changed_and_removed(client: TestClient, deployment: str) -> None:
    same = client.put("/api/v1/deployments/nightly", json=DEPLOYMENT).json()
    assert same["version"] == 1
    changed = client.put("/api/v1/deployments/nightly", json={**DEPLOYMENT, "tags": ["b", "a", "a"]}).json()
    assert (changed["version"], changed["tags"], changed["id"]) == (2, ["a", "b"], same["id"])
    assert get(client, f"/deployments/{same['id']}")["name"] == "nightly"
    assert client.delete("/api/v1/deployments/nightly").status_code == 204
    assert client.get("/api/v1/deployments/nightly").status_code == 404
    assert client.delete("/api/v1/deployments/nightly").status_code == 404


def test_a_deployment_needs_a_queue_that_is_there(client: TestClient) -> None:
    body = {**DEPLOYMENT, "queue": "big"}
    refused = client.put("/api/v1/deployments/x", json=body)
    assert refused.status_code == 404
    assert "hub queues set big" in refused.json()["hint"]
    assert client.put("/api/v1/queues/big", json={"slots": 2}).json() == {
        "name": "big", "priority": 1, "slots": 2, "paused": False,
    }  # fmt: skip
    assert client.put("/api/v1/deployments/x", json=body).status_code == 200


def test_a_deployment_is_paused_and_resumed(client: TestClient, deployment: str) -> None:
    assert post(client, "/deployments/nightly/pause").json()["paused"] is True
    assert get(client, "/deployments/nightly")["paused"] is True
    assert post(client, "/deployments/nightly/resume").json()["paused"] is False


def test_the_schedule_of_a_deployment_follows_its_declaration(client: TestClient, deployment: str) -> None:
    def put(**more: Any) -> None:
        assert client.put("/api/v1/deployments/nightly", json={**DEPLOYMENT, **more}).status_code == 200

    def specs() -> list[str]:
        return [item["spec"] for item in get(client, "/schedules", deployment="nightly")["items"]]

    put(schedule={"kind": "cron", "spec": "0 8 * * *", "timezone": "Europe/Berlin"})
    put(schedule={"kind": "interval", "spec": "60"})
    assert specs() == ["60"]
    put()
    assert specs() == ["60"]
    put(schedule=None)
    assert specs() == []


def test_a_schedule_is_made_paused_resumed_and_removed(client: TestClient, deployment: str) -> None:
    made = post(client, "/schedules", {"deployment": "nightly", "kind": "cron", "spec": "*/5 * * * *"}).json()
    assert made["deployment_name"] == "nightly"
    assert made["next_at"] > "2026"
    assert post(client, f"/schedules/{made['id']}/pause").json()["next_at"] is None
    assert post(client, f"/schedules/{made['id']}/resume").json()["active"] is True
    assert client.delete(f"/api/v1/schedules/{made['id']}").status_code == 204
    assert client.get(f"/api/v1/schedules/{made['id']}").status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"spec": "every day"}, {"spec": "0 25 * * *"}, {"kind": "interval", "spec": "0"}, {"spec": "0 0 30 2 *"},
        {"kind": "interval", "spec": "nan"}, {"spec": "* * * * *", "timezone": "Mars/Base"}, {"spec": "\x00"},
        {"spec": "* * * * *", "timezone": "../../etc/passwd"},
    ],
)  # fmt: skip
def test_a_schedule_that_can_never_be_planned_is_refused(
    client: TestClient, deployment: str, wrong: dict[str, str]
) -> None:
    answer = post(client, "/schedules", {"deployment": "nightly", **wrong})
    assert answer.status_code == 422, answer.text


def test_removing_a_deployment_removes_its_schedules(client: TestClient, deployment: str) -> None:
    post(client, "/schedules", {"deployment": "nightly", "kind": "interval", "spec": "60"})
    client.delete("/api/v1/deployments/nightly")
    assert get(client, "/schedules")["items"] == []


# --- queues, workers, plugins --------------------------------------------------------------------------------------


def test_queues_say_what_waits(client: TestClient, run: str) -> None:
    found = get(client, "/queues")["items"]
    assert [(queue["name"], queue["waiting"], queue["running"]) for queue in found] == [("default", 1, 0)]


def test_limits_are_made_changed_listed_and_removed(client: TestClient) -> None:
    assert post(client, "/limits", {"name": "db", "slots": 2}).status_code == 201
    assert post(client, "/limits", {"name": "db", "slots": 2}).status_code == 409
    assert client.put("/api/v1/limits/db", json={"rate": 5, "period_s": 60.0}).json()["period_s"] == 60.0
    assert client.put("/api/v1/limits/db", json={}).status_code == 422
    shown = get(client, "/limits/db")
    assert (shown["slots"], shown["rate"], shown["held"], shown["holders"], shown["waiters"]) == (None, 5, 0, [], [])
    assert [limit["name"] for limit in get(client, "/limits")["items"]] == ["db"]
    assert client.delete("/api/v1/limits/db").status_code == 204
    assert client.get("/api/v1/limits/db").status_code == 404


def test_workers_are_listed_while_they_live(client: TestClient, memory: Store) -> None:
    with memory.write() as tx:
        for name, lease in (("alive", 30), ("dead", -1)):
            row = {"id": new_id(), "workspace_id": DEFAULT_WORKSPACE, "name": name, "host": "h", "boot_id": "b",
                   "pid": 1, "version": "0", "queues": ["default"], "slots": 2, "status": "ready",
                   "started_at": tx.now, "lease_until": now_us() + lease * SECOND}  # fmt: skip
            tx.insert(Worker.__table__, row)  # type: ignore[attr-defined]
    assert [worker["name"] for worker in get(client, "/workers")["items"]] == ["alive"]
    assert len(get(client, "/workers", gone=True)["items"]) == 2


def test_plugins_are_listed(client: TestClient) -> None:
    assert {plugin["state"] for plugin in get(client, "/plugins")["items"]} == {"disabled"}


# --- automations and secrets ---------------------------------------------------------------------------------------


def automation(**more: Any) -> dict[str, Any]:
    return {"trigger": {"types": ["github.push"]}, "actions": [{"run_deployment": "nightly"}], **more}


def test_an_automation_is_made_changed_switched_and_removed(client: TestClient, deployment: str) -> None:
    first = client.put("/api/v1/automations/on-push", json=automation()).json()
    second = client.put("/api/v1/automations/on-push", json=automation(description="d")).json()
    assert (second["id"], second["version"], second["description"]) == (first["id"], 2, "d")
    assert post(client, "/automations/on-push/pause").json()["enabled"] is False
    assert post(client, "/automations/on-push/resume").json()["enabled"] is True
    assert get(client, "/automations/on-push/firings") == []
    assert client.delete("/api/v1/automations/on-push").status_code == 204
    assert get(client, "/automations")["items"] == []


def test_an_automation_that_could_not_work_is_refused(client: TestClient, deployment: str) -> None:
    unknown = automation(actions=[{"run_deployment": "no-such"}])
    assert client.put("/api/v1/automations/a", json=unknown).status_code == 404
    broken = automation(trigger={"match": "event.("})
    answer = client.put("/api/v1/automations/a", json=broken)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-expression")


def test_secrets_go_in_and_never_come_out(client: TestClient, memory: Store) -> None:
    value = "s3cret-value"
    assert client.put("/api/v1/secrets/API_KEY", json={"value": value}).json() == {"name": "API_KEY"}
    answers = [client.get("/api/v1/secrets").text, client.get("/api/v1/audit").text, client.get("/api/v1/events").text]
    answers.append(client.put("/api/v1/secrets/API_KEY", json={"value": value, "x": 1}).text)
    answers.append(client.put("/api/v1/secrets/API_KEY", json={"value": value * 10_000}).text)
    assert not any(value in answer for answer in answers)
    assert post(client, "/secrets/rotate").json()["resealed"] == 0
    assert client.delete("/api/v1/secrets/API_KEY").status_code == 204
    assert client.delete("/api/v1/secrets/API_KEY").status_code == 404


# --- events --------------------------------------------------------------------------------------------------------


def stamp(memory: Store) -> None:
    sequencer = Sequencer(memory)
    sequencer.step()
    sequencer.close()


def test_events_are_shown_once_they_have_their_place(client: TestClient, run: str, memory: Store) -> None:
    assert get(client, "/events")["items"] == []
    stamp(memory)
    found = get(client, "/events", type="hub.run")["items"]
    assert [event["type"] for event in found] == ["hub.run.created"]
    assert found[0]["private"]["params"]["parameters"] == {"day": "today", "n": 1}
    assert get(client, f"/events/{found[0]['id']}")["seq"] == found[0]["seq"]
    post(client, f"/runs/{run}/cancel")
    stamp(memory)
    after = get(client, "/events", after=found[0]["seq"], type="hub.run.*")["items"]
    assert [event["type"] for event in after] == ["hub.run.cancelled"]
    assert get(client, "/events", run_id=new_id())["items"] == []


# --- health --------------------------------------------------------------------------------------------------------


def test_health_answers_under_any_host(client: TestClient) -> None:
    assert client.get("/healthz", headers={"host": "10.0.0.7"}).json() == {"status": "ok"}
    ready = client.get("/readyz", headers={"host": "10.0.0.7"})
    assert {check["name"]: check["ok"] for check in ready.json()["checks"]}["database"] is True


def test_ready_says_that_nobody_keeps_the_loops_going(client: TestClient, run: str, memory: Store) -> None:
    with memory.write() as tx:
        tx.conn.exec_driver_sql("UPDATE events SET at = at - 60000000")
    assert {"name": "loops", "ok": False} in client.get("/readyz").json()["checks"]
    stamp(memory)
    assert {"name": "loops", "ok": True} in client.get("/readyz").json()["checks"]


def test_metrics_count_what_waits(client: TestClient, run: str) -> None:
    text = client.get("/metrics").text
    assert 'hub_runs{state="SCHEDULED"} 1' in text
    assert "# TYPE hub_runs gauge" in text
    assert client.get("/metrics", headers={"x-forwarded-for": "1.2.3.4"}).status_code == 401
