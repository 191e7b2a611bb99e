"""Assets over the API."""

from __future__ import annotations

from hub.store import Store, assets
from hub.store.assets import Tried
from hub.types import Scope, new_id
from starlette.testclient import TestClient


def test_assets_are_listed_and_shown_with_their_neighbours(client: TestClient, memory: Store) -> None:
    run = new_id()
    with memory.write() as tx:
        for key, upstream in (("s3://a/1", ()), ("s3://a/2", ("s3://a/1", "s3://a/0")), ("s3://a/3", ("s3://a/2",))):
            assets.record(tx, Scope(), Tried((key,), upstream, run, new_id(), "f", "t", 1, details={key: {"n": 1}}))
        assets.record(tx, Scope(), Tried(("s3://a/3",), (), run, new_id(), "f", "t", 1, error="ValueError: no"))
    listed = client.get("/api/v1/assets").json()["items"]
    assert {row["key"]: row["state"] for row in listed} == {
        "s3://a/0": None, "s3://a/1": "materialized", "s3://a/2": "materialized", "s3://a/3": "failed",
    }  # fmt: skip
    (two,) = client.get("/api/v1/assets", params={"key": "s3://a/2"}).json()["items"]
    shown = client.get(f"/api/v1/assets/{two['id']}").json()
    assert [near["key"] for near in shown["upstream"]] == ["s3://a/0", "s3://a/1"]
    assert [(near["key"], near["state"]) for near in shown["downstream"]] == [("s3://a/3", "failed")]
    assert (shown["metadata"], shown["run_id"]) == ({"n": 1}, run)
    three = shown["downstream"][0]["id"]
    history = client.get(f"/api/v1/assets/{three}/materializations", params={"limit": 1}).json()
    assert [row["error"] for row in history["items"]] == ["ValueError: no"]
    rest = client.get(f"/api/v1/assets/{three}/materializations", params={"cursor": history["next_cursor"]}).json()
    assert [row["upstream"] for row in rest["items"]] == [["s3://a/2"]]
    for address in (f"/api/v1/assets/{new_id()}", f"/api/v1/assets/{new_id()}/materializations"):
        assert client.get(address).status_code == 404
