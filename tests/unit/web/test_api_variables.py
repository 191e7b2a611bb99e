"""Variables over the API."""

from __future__ import annotations

from starlette.testclient import TestClient


def test_variables_are_set_read_and_removed(client: TestClient) -> None:
    body = {"value": {"a": [1, None]}, "tags": ["x"]}
    made = client.put("/api/v1/variables/limits", json=body)
    assert (made.status_code, made.json()["value"], made.json()["tags"]) == (200, {"a": [1, None]}, ["x"])
    assert client.put("/api/v1/variables/limits", json=body).status_code == 409
    assert client.put("/api/v1/variables/limits", json={"value": 5, "overwrite": True}).json()["value"] == 5
    assert client.put("/api/v1/variables/big", json={"value": "x" * 70_000}).status_code == 422
    assert client.put("/api/v1/variables/a%20b", json={"value": 1}).status_code == 422
    assert [row["name"] for row in client.get("/api/v1/variables").json()["items"]] == ["limits"]
    assert client.get("/api/v1/variables/limits").json()["updated_by"] == "local"
    assert client.delete("/api/v1/variables/limits").status_code == 204
    assert client.delete("/api/v1/variables/limits").status_code == 404
    assert client.get("/api/v1/variables/limits").status_code == 404
