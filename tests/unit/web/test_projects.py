"""Definitions over the API: who may, whose things they are, and what a plan tells."""

from __future__ import annotations

from typing import Any

import pytest
from hub.runtime.commands import Command, apply
from hub.runtime.commands.registry import find
from hub.runtime.definitions.registry import sections
from hub.settings import Settings
from hub.store import Store
from hub.store.tables import Workspace
from hub.types import Scope, new_id
from hub.web.app import build_app
from hub.web.auth import LOCAL
from starlette.testclient import TestClient
from tests.unit.web.conftest import MakeClient
from tests.unit.web.test_tokens import bearer, token
from tests.unit.web.walking import OWN_PLUGINS

REGION = {"variables": {"region": {"value": "eu"}}}


def plan(client: TestClient, document: Any, project: str = "shop", **more: Any) -> Any:
    answer = client.post(f"/api/v1/projects/{project}/plan", json={"document": document, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def put(client: TestClient, path: str, definition: Any, project: str = "shop", **more: Any) -> Any:
    return client.put(f"/api/v1/projects/{project}/{path}", json={"definition": definition, **more})


def actions(found: Any) -> dict[str, str]:
    return {f"{item['section']}.{item['name']}": item["action"] for item in found["items"]}


def test_a_thing_is_planned_made_unchanged_changed_and_removed(client: TestClient) -> None:
    assert actions(plan(client, REGION)) == {"variables.region": "create"}
    assert put(client, "variables/region", {"value": "eu"}).json()["action"] == "create"
    assert put(client, "variables/region", {"value": "eu"}).json()["action"] == "unchanged"
    changed = put(client, "variables/region", {"value": "us"}).json()
    assert (changed["action"], changed["changes"]) == (
        "change", [{"field": "value", "before": "eu", "after": "us", "hidden": False}],
    )  # fmt: skip
    assert actions(plan(client, {})) == {"variables.region": "left"}
    assert actions(plan(client, {}, prune=True)) == {"variables.region": "remove"}
    assert client.delete("/api/v1/projects/shop/variables/region").json()["action"] == "remove"
    assert client.delete("/api/v1/projects/shop/variables/region").json()["action"] == "gone"
    assert actions(plan(client, {}, prune=True)) == {}


def test_only_what_the_project_has_made_is_removed(client: TestClient) -> None:
    client.put("/api/v1/variables/region", json={"value": "eu"})
    assert put(client, "variables/region", {"value": "us"}).json()["action"] == "change"
    assert actions(plan(client, {}, prune=True)) == {}, "it was there before"
    assert client.delete("/api/v1/projects/shop/variables/region").status_code == 403
    put(client, "variables/region", {"value": "us"}, adopt=True)
    assert actions(plan(client, {}, prune=True)) == {"variables.region": "remove"}
    # Somebody removes it and makes one of the same name: that one is not the project's.
    client.delete("/api/v1/variables/region")
    client.put("/api/v1/variables/region", json={"value": "by hand"})
    assert actions(plan(client, {}, prune=True)) == {"variables.region": "gone"}
    assert client.delete("/api/v1/projects/shop/variables/region").status_code == 403
    assert client.get("/api/v1/variables/region").json()["value"] == "by hand"


def test_what_belongs_to_another_project_is_left_alone_until_it_is_adopted(client: TestClient) -> None:
    put(client, "variables/region", {"value": "eu"}, project="first")
    found = plan(client, REGION, project="second")
    assert found["faults"] == [
        {"path": ["variables", "region"], "message": "it belongs to the project 'first'",
         "hint": "Take it over with --adopt, or rename it."}
    ]  # fmt: skip
    assert put(client, "variables/region", {"value": "us"}, project="second").status_code == 409
    assert plan(client, REGION, project="second", adopt=True)["faults"] == []
    assert (
        put(client, "variables/region", {"value": "eu"}, project="second", adopt=True).json()["action"] == "unchanged"
    )
    assert actions(plan(client, {}, project="first", prune=True)) == {}
    assert actions(plan(client, {}, project="second", prune=True)) == {"variables.region": "remove"}


@pytest.mark.parametrize("method", ["plan", "put", "delete"])
def test_each_section_needs_its_own_scope(method: str, console: TestClient, memory: Store) -> None:
    def call(*scopes: str) -> Any:
        headers = bearer(token(memory, *scopes)["token"])
        if method == "plan":
            return console.post("/api/v1/projects/shop/plan", json={"document": REGION}, headers=headers)
        path = "/api/v1/projects/shop/variables/region"
        if method == "delete":
            return console.delete(path, headers=headers)
        return console.put(path, json={"definition": {"value": "eu"}}, headers=headers)

    refused = call("sources:write", "deployments:write", "variables:read")
    assert (refused.status_code, refused.json()["needs"]) == (403, "variables:write")
    answer = call("variables:write")
    assert answer.status_code == 200
    if method == "plan":
        assert actions(answer.json()) == {"variables.region": "create"}
    assert console.post("/api/v1/projects/shop/plan", json={}).status_code == 401


def test_a_stored_secret_is_used_only_by_those_who_may_set_it(console: TestClient, memory: Store) -> None:
    apply(memory, Command("secret.set", Scope(actor=LOCAL), args={"name": "A", "value": "s3cret-of-the-tests"}))
    endpoint = {"url": {"secret": "A"}}

    def call(*scopes: str) -> list[int]:
        headers = bearer(token(memory, *scopes)["token"])
        body = {"document": {"endpoints": {"a": endpoint}}}
        planned = console.post("/api/v1/projects/shop/plan", json=body, headers=headers)
        path = "/api/v1/projects/shop/endpoints/a"
        return [planned.status_code, console.put(path, json={"definition": endpoint}, headers=headers).status_code]

    assert call("endpoints:write", "secrets:read") == [403, 403]
    assert call("endpoints:write", "secrets:write") == [200, 422], "it is no address, as the command finds"


def test_every_command_of_a_section_needs_no_more_than_the_section_does(memory: Store) -> None:
    app = build_app(Settings(plugins=OWN_PLUGINS), memory)
    for section in sections(app.state.services.plugins.hooks).values():
        noun = {"variables": "variable", "secrets": "secret", "queues": "queue"}.get(section.name, section.name[:-1])
        names = [name for name in _all_ops() if name.startswith(f"{noun}.")]
        assert names
        assert not section.remove or section.remove in names
        changing = {"create", "set", "update", "rotate", "delete", "pause", "resume", "add", "rm", "unset", "configure"}
        used = {find(name).needs for name in names if name.rpartition(".")[2] in changing}
        assert used == {f"{section.scope}:write"}, section.name


def _all_ops() -> list[str]:
    from hub.runtime.commands.registry import names

    return names()


def test_the_same_names_in_another_workspace_are_other_things(
    make_client: MakeClient, console: TestClient, client: TestClient, memory: Store
) -> None:
    put(client, "variables/region", {"value": "eu"})
    elsewhere = new_id()
    with memory.write() as tx:
        tx.insert(Workspace.__table__, {"id": elsewhere, "name": "other", "created_at": tx.now})  # type: ignore[attr-defined]
    headers = bearer(token(memory, workspace=elsewhere)["token"])
    body: dict[str, Any] = {"document": {}, "prune": True}
    assert console.post("/api/v1/projects/shop/plan", json=body, headers=headers).json()["items"] == []
    gone = console.delete("/api/v1/projects/shop/variables/region", headers=headers)
    assert gone.json()["action"] == "gone"
    assert client.get("/api/v1/variables/region").json()["value"] == "eu"
    assert actions(plan(client, {})) == {"variables.region": "left"}


def test_what_is_wrong_is_told_with_its_path(client: TestClient) -> None:
    document = {
        "variables": {"a": {"valeu": 1}, "b c": {"value": 1}},
        "queues": {"q": {"slots": "2"}},
        "nothing": {},
        "deployments": [],
    }
    faults = {tuple(fault["path"]): fault["message"] for fault in plan(client, document)["faults"]}
    assert set(faults) == {
        ("variables", "a", "valeu"), ("variables", "a"), ("variables", "b c"), ("queues", "q", "slots"), ("nothing",),
        ("deployments",),
    }  # fmt: skip
    assert put(client, "variables/a", {"valeu": 1}).status_code == 422
    assert put(client, "nothing/a", {}).status_code == 404
    assert put(client, "variables/a", {"value": 1}, project="no way").status_code == 422
    deployment = put(client, "deployments/a", {"entrypoint": "flows.py:f"})
    assert (deployment.status_code, deployment.json()["field"]) == (422, "entrypoint")


def test_a_secret_is_not_told_by_a_plan_a_fault_or_an_audit_row(client: TestClient, memory: Store) -> None:
    secret = "never-to-be-seen"
    given = {"secrets": {"A": {"value": {"env": "A", "value": secret}}}}
    texts = [str(plan(client, given))]
    texts.append(put(client, "secrets/A", {"value": {"env": "A", "value": secret}}).text)
    texts.append(put(client, "secrets/A", {"value": {"env": "A", "value": secret + "2"}}).text)
    texts.append(str(plan(client, given)))
    texts.append(put(client, "secrets/A", {"value": {"env": 1, "value": secret}}).text)
    texts.append(put(client, "secrets/A", {"value": secret}).text)
    texts.append(client.get("/api/v1/audit").text)
    assert "written" not in texts[0]
    assert [secret in text for text in texts] == [False] * len(texts)
    assert "a secret never stands in the file itself" in texts[5]


def test_claiming_and_releasing_are_commands(memory: Store) -> None:
    scope = Scope(actor=LOCAL)
    made = apply(memory, Command("variable.set", scope, "a", {"name": "a", "value": 1})).result
    args = {"section": "variables", "name": "a"}
    apply(memory, Command("project.claim", scope, "shop", {**args, "item_id": made["id"], "refs": {}}))
    apply(memory, Command("project.release", scope, "other", args))
    apply(memory, Command("project.release", scope, "shop", args))
