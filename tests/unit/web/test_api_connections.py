"""Connections over the API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from starlette.testclient import TestClient

MakeClient = Callable[..., TestClient]


def test_connections_go_in_and_their_secrets_never_come_out(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(plugins="only:storage")
    body = {"kind": "http", "fields": {"url": "http://127.0.0.1:9/", "token": "s3cret-value"}}
    made = client.put("/api/v1/connections/crm", json=body)
    assert (made.json()["secret_fields"], made.json()["ready"]) == (["token"], True)
    assert client.put("/api/v1/connections/crm", json=body).status_code == 409
    assert client.put("/api/v1/connections/crm", json={**body, "replace": True}).status_code == 200
    wrong = client.put("/api/v1/connections/x", json={"kind": "http", "fields": {"tokn": "s3cret-value"}})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid")
    tried = client.post("/api/v1/connections/crm/test")
    assert tried.json()["ok"] is False
    answers = [made.text, wrong.text, tried.text, client.get("/api/v1/connections/crm").text]
    answers += [client.get(f"/api/v1/{name}").text for name in ("connections", "connection-kinds", "audit", "events")]
    assert not any("s3cret-value" in answer for answer in answers)
    folder = {"kind": "files", "fields": {"path": str(tmp_path)}}
    client.put("/api/v1/connections/disk", json=folder)
    assert client.post("/api/v1/connections/disk/test").json()["ok"] is True
    kinds = {kind["name"]: kind for kind in client.get("/api/v1/connection-kinds").json()}
    assert {"files", "http", "postgresql", "s3"} <= set(kinds)
    assert client.delete("/api/v1/connections/crm").status_code == 204
    assert client.delete("/api/v1/connections/crm").status_code == 404
