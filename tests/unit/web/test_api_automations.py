"""What automations made of events, over the API."""

from __future__ import annotations

from typing import Any

from hub.store import Store
from starlette.testclient import TestClient
from tests.planes import automating as a


def get(client: TestClient, path: str, **query: Any) -> Any:
    answer = client.get(f"/api/v1{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def put(client: TestClient, name: str, trigger: dict[str, Any], *actions: dict[str, Any]) -> Any:
    return client.put(f"/api/v1/automations/{name}", json={"trigger": trigger, "actions": list(actions)})


def test_evaluations_say_what_came_of_an_event_and_why(client: TestClient, memory: Store) -> None:
    a.make_deployment(memory)
    trigger = {"expect": ["hub.worker.lost"], "threshold": 2, "within": 60, "for_each": ["name"]}
    made = put(client, "two", trigger, {"run_deployment": "ci"}, {"cancel_run": "nothing"})
    assert made.json()["trigger"] == {
        "kind": "event", "types": ["hub.worker.lost"], "match": "", "threshold": 2, "within": 60.0,
        "for_each": ["name"],
    }  # fmt: skip
    events = [a.happen(memory) for _ in range(3)]
    a.work(memory)
    page = get(client, "/automations/two/evaluations")
    last, fired, first = page["items"]
    assert (first["outcome"], first["reason"], first["key"]) == ("counted", "1 of 2 within 60 s", "w1")
    assert (fired["event_id"], fired["events"], last["outcome"]) == (events[1], events[:2], "filtered")
    started, cancelled = fired["actions"]
    assert (started["status"], started["target"]) == ("done", fired["run_id"])
    assert (cancelled["status"], "nothing" in cancelled["error"]) == ("failed", True)
    assert fired["outcome"] == "error"
    assert get(client, "/automations/two/evaluations", outcome="counted")["items"] == [first]
    assert len(get(client, "/automations/two/evaluations", limit=2)["items"]) == 2
    assert [row["event_id"] for row in get(client, "/automations/two/firings")] == [events[1]]


def test_what_makes_no_sense_is_refused_with_its_place(client: TestClient, memory: Store) -> None:
    a.make_deployment(memory)
    answer = put(client, "x", {"threshold": 2}, {"run_deployment": "ci"})
    assert (answer.status_code, "needs `within`" in answer.text) == (422, True)
    answer = put(client, "x", {}, {"cancel_run": "a", "retry": {"times": 99}})
    assert (answer.status_code, "retry" in answer.text) == (422, True)
    assert client.get("/api/v1/automations/x/evaluations").status_code == 404


def test_it_is_tried_on_stored_events_and_changes_nothing(client: TestClient, memory: Store) -> None:
    a.make_deployment(memory)
    put(client, "lost", {"types": ["hub.worker.lost"], "match": "event.name == 'w1'"}, {"run_deployment": "ci"})
    one, other = a.happen(memory), a.happen(memory, name="w2")
    a.stamp(memory)
    first, second = get(client, "/automations/lost/test")
    assert (first["event_id"], first["outcome"], first["actions"][0]["op"]) == (one, "fired", "run.create")
    assert (second["event_id"], second["outcome"], second["actions"]) == (other, "no_match", [])
    assert get(client, "/automations/lost/test", event=other) == [second]
    assert get(client, "/automations/lost/test", last=1) == [second]
    assert client.get("/api/v1/automations/lost/test?event=nothing").status_code == 404
    assert get(client, "/runs")["items"] == []
    assert get(client, "/automations/lost/evaluations")["items"] == []
