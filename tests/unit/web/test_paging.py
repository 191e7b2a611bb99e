"""Every listing, whatever it lists, is paged in the same way."""

from __future__ import annotations

from hub.store import Store, cache, receipts
from hub.store.cache import Holder
from hub.store.tables import Worker
from hub.types import DEFAULT_WORKSPACE, SECOND, Scope, new_id
from tests.unit.web.conftest import MakeClient
from tests.unit.web.test_api import DEPLOYMENT, automation, get, post, stamp
from tests.unit.web.ui.left import shown_artifacts, shown_assets
from tests.unit.web.ui.seed import Seed


def test_every_list_pages_to_its_end_without_gaps(make_client: MakeClient, memory: Store) -> None:
    client = make_client(plugins="only:storage,webhooks")  # which bring kinds of connections and of sources
    client.put("/api/v1/deployments/nightly", json=DEPLOYMENT)
    seed = Seed(memory)
    with memory.write() as seed.tx:
        shown_artifacts(seed)
        shown_assets(seed)
    for number in range(5):
        client.put(f"/api/v1/variables/v{number}", json={"value": number})
        client.put(f"/api/v1/deployments/d{number}", json=DEPLOYMENT)
        post(client, "/deployments/nightly/runs")
        post(client, "/schedules", {"deployment": "nightly", "kind": "interval", "spec": "60"})
        client.put(f"/api/v1/queues/q{number}", json={})
        client.put(f"/api/v1/automations/a{number}", json=automation())
        client.put(f"/api/v1/limits/l{number}", json={"slots": 1})
        client.put(f"/api/v1/secrets/S{number}", json={"value": "v"})
        client.put(f"/api/v1/connections/c{number}", json={"kind": "files", "fields": {"path": "/tmp"}})
        post(client, "/tokens", {"name": f"t{number}"})
        post(client, "/users", {"name": f"u{number}", "kind": "service"})
        post(client, "/invitations", {"name": f"i{number}"})
        source = post(client, "/sources", {"name": f"w{number}", "preset": "github"}).json()
        with memory.write() as tx:
            row = {"id": new_id(), "workspace_id": DEFAULT_WORKSPACE, "name": "w", "host": "h", "boot_id": "b",
                   "pid": 1, "version": "0", "queues": [], "slots": 1, "status": "ready", "started_at": tx.now,
                   "lease_until": tx.now + 60 * SECOND}  # fmt: skip
            tx.insert(Worker.__table__, row)  # type: ignore[attr-defined]
            cache.take(tx, Scope(), f"k{number}", Holder("a", "r", "t"), task_key="t", task_name="t", parts={})
            kept = {"id": new_id(), "workspace_id": DEFAULT_WORKSPACE, "source_id": source["id"], "received_at": tx.now}
            receipts.insert(tx, [receipts.complete(kept)])
        endpoint = {"name": f"e{number}", "url": "https://203.0.113.7/hooks"}
        assert post(client, "/endpoints", endpoint).is_success
        assert post(client, f"/endpoints/e{number}/send", {"type": "a.b", "data": {}}).is_success
        client.put(f"/api/v1/bookmarks/b{number}", json={"receipt": kept["id"]})
    stamp(memory)
    lists = ["/runs", "/deployments", "/schedules", "/queues", "/workers", "/events", "/automations", "/secrets",
             "/connections", "/cache", "/tokens", "/audit", "/sources", "/receipts", "/limits", "/artifacts", "/assets",
             "/variables", "/bookmarks", "/endpoints", "/outgoing", "/users",
             "/invitations"]  # fmt: skip
    document = get(client, "/openapi.json")
    paged = {
        path.removeprefix("/api/v1") for path, item in document["paths"].items()
        if "cursor" in {parameter["name"] for parameter in item.get("get", {}).get("parameters", [])}
    }  # fmt: skip
    assert {path for path in paged if "{" not in path} == set(lists)
    for path in lists:
        whole = [item["id"] for item in get(client, path, limit=200)["items"]]
        pages, cursor = [], None
        while True:
            page = get(client, path, limit=2, **({"cursor": cursor} if cursor else {}))
            assert len(page["items"]) <= 2
            pages += [item["id"] for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert pages == whole
        assert len(whole) >= 5
        for wrong in ("!!", "AA", "__8", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "a" * 400):
            answer = client.get(f"/api/v1{path}", params={"cursor": wrong})
            assert answer.status_code in (200, 422), answer.text
        assert client.get(f"/api/v1{path}", params={"cursor": "!!"}).status_code == 422
