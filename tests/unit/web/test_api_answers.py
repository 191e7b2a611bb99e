"""What runs wait for, over the API."""

from __future__ import annotations

from hub.store import Store
from hub.types import new_id
from starlette.testclient import TestClient
from tests.unit.web.ui.asking import ask, asking_run, state_of


def test_an_input_is_listed_and_answered(client: TestClient, memory: Store) -> None:
    run_id, _ = asking_run(memory)
    path = f"/api/v1/runs/{run_id}"
    (listed,) = client.get(f"{path}/waits").json()
    assert (listed["key"], listed["kind"], listed["description"]) == ("approval", "input", "May release 7 go out?")
    assert listed["answer_schema"]["required"] == ["approved"]
    refused = client.post(f"{path}/answer", json={"value": {"approved": "perhaps"}})
    assert refused.status_code == 422
    assert "approved: expected true or false; got a text" in refused.json()["detail"]
    assert client.post(f"{path}/answer", json={"value": {}, "key": "other"}).status_code == 409
    done = client.post(f"{path}/answer", json={"value": {"approved": False}})
    assert (done.status_code, done.json()["state_name"], done.json()["key"]) == (200, "Scheduled", "approval")
    assert state_of(memory, run_id) == [("answered", {"approved": False}, "local")]
    assert client.get(f"{path}/waits").json() == []
    assert client.post(f"{path}/answer", json={"value": {"approved": True}}).status_code == 409
    assert client.get(f"/api/v1/runs/{new_id()}/waits").status_code == 404
    assert client.post(f"/api/v1/runs/{new_id()}/answer", json={"value": 1}).status_code == 404


def test_of_several_one_is_named(client: TestClient, memory: Store) -> None:
    run_id, _ = asking_run(memory)
    ask(memory, run_id, key="second")
    path = f"/api/v1/runs/{run_id}/answer"
    unclear = client.post(path, json={"value": {"approved": True}})
    assert (unclear.status_code, unclear.json()["hint"]) == (409, "Say which: approval, second.")
    assert client.post(path, json={"value": {"approved": True}, "key": "second"}).status_code == 200


def test_a_message_is_sent(client: TestClient, memory: Store) -> None:
    run_id, _ = asking_run(memory)
    path = f"/api/v1/runs/{run_id}/messages"
    assert client.post(path, json={"name": "orders", "value": [1]}).json() == {"id": run_id, "name": "orders"}
    assert client.post(path, json={"value": "x" * 70_000}).status_code == 422
    assert client.post(path, json={"name": ""}).status_code == 422
    assert client.post(f"/api/v1/runs/{new_id()}/messages", json={}).status_code == 404
    client.post(f"/api/v1/runs/{run_id}/cancel", json={})
    assert client.post(path, json={"value": 1}).status_code == 409
