"""Artifacts over the API."""

from __future__ import annotations

from pathlib import Path

from hub.runtime.executor import artifacts as making
from hub.runtime.executor.places import Places
from hub.store import Store
from hub.types import Actor, Scope, new_id
from starlette.testclient import TestClient


def leave(store: Store, folder: Path, kind: str, content: object, key: str | None = None) -> str:
    """An artifact of no run."""
    scope = Scope(actor=Actor("local"))
    return making.create_outside(store, scope, Places(folder), making.checked(kind, content, key, None))


def test_artifacts_are_listed_shown_and_removed(client: TestClient, memory: Store, tmp_path: Path) -> None:
    ids = [leave(memory, tmp_path, "table", [[n]], "report") for n in range(3)]
    text = leave(memory, tmp_path, "markdown", "<b>")
    listed = client.get("/api/v1/artifacts", params={"key": "report", "limit": 2}).json()
    assert [row["id"] for row in listed["items"]] == [ids[2], ids[1]]
    rest = client.get("/api/v1/artifacts", params={"key": "report", "cursor": listed["next_cursor"]}).json()
    assert [row["id"] for row in rest["items"]] == [ids[0]]
    latest = client.get("/api/v1/artifacts", params={"latest": "true"}).json()["items"]
    assert [row["id"] for row in latest] == [text, ids[2]]
    assert client.get("/api/v1/artifacts", params={"kind": "drawing"}).status_code == 422
    one = client.get(f"/api/v1/artifacts/{ids[1]}").json()
    assert (one["content"], one["kind"], one["key"]) == ({"columns": [], "rows": [[1]]}, "table", "report")
    assert client.get(f"/api/v1/artifacts/{text}").json()["content"] == "<b>"
    assert client.delete(f"/api/v1/artifacts/{text}").status_code == 204
    for answer in (client.get(f"/api/v1/artifacts/{text}"), client.delete(f"/api/v1/artifacts/{text}")):
        assert answer.status_code == 404
    assert client.get(f"/api/v1/artifacts/{new_id()}").status_code == 404
    audit = client.get("/api/v1/audit").json()["items"]
    assert [row["target"] for row in audit if row["op"] == "artifact.delete"] == [text]
