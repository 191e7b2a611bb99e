"""API tokens, scopes, and the local owner."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from hub.runtime.commands import Command, apply
from hub.runtime.commands.identity import digest
from hub.runtime.scopes import ROLES, allows, both, may_grant
from hub.settings import Settings, local_without_login
from hub.store import Store, identity
from hub.types import DEFAULT_WORKSPACE, Actor, Scope, new_id
from hub.web.auth import LOCAL
from starlette.testclient import TestClient
from tests.unit.web.conftest import MakeClient


def token(store: Store, *scopes: str, workspace: str = DEFAULT_WORKSPACE, **args: Any) -> dict[str, Any]:
    scope = Scope(workspace, LOCAL)
    given = {"name": "t", "scopes": list(scopes) or ["*"], **args}
    return apply(store, Command("token.create", scope, args=given)).result


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


# --- the local owner ---------------------------------------------------------------------------------------------


def test_on_loopback_asking_is_owning(client: TestClient) -> None:
    assert client.get("/api/v1/me").json()["scopes"] == ["*"]


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip"])
def test_whatever_came_through_a_proxy_is_not_local(client: TestClient, header: str) -> None:
    assert client.get("/api/v1/me", headers={header: "198.51.100.7"}).status_code == 401


@pytest.mark.parametrize(
    "settings",
    [
        {"web_host": "0.0.0.0"},
        {"web_host": "192.0.2.1"},
        {"public_url": "https://hub.example.org"},
        {"web_login": "always"},
    ],
)
def test_a_hub_that_others_may_reach_needs_a_login_even_from_here(
    make_client: MakeClient, settings: dict[str, Any]
) -> None:
    assert not local_without_login(Settings(**settings))
    assert make_client(**settings).get("/api/v1/me").status_code == 401


def test_a_header_cannot_make_a_request_look_in_process(make_client: MakeClient) -> None:
    client = make_client(web_host="0.0.0.0")
    assert client.get("/api/v1/me", headers={"hub.inprocess": "true"}).status_code == 401


def test_a_token_that_is_not_valid_is_refused_on_loopback_too(client: TestClient) -> None:
    assert client.get("/api/v1/me", headers=bearer("hub_api_wrong")).status_code == 401
    assert client.get("/api/v1/me", headers={"authorization": "Basic abc"}).status_code == 401
    assert client.get("/api/v1/me", headers={"authorization": ""}).status_code == 401


# --- tokens ------------------------------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_kept_as_a_digest(client: TestClient, memory: Store) -> None:
    made = client.post("/api/v1/tokens", json={"name": "ci", "scopes": ["runs:read"]}).json()
    assert re.fullmatch(r"hub_api_[\w-]{43}", made["token"])
    assert made["token"].startswith(made["prefix"])
    assert len(made["prefix"]) < 14
    listed = client.get("/api/v1/tokens").json()["items"]
    assert [item["id"] for item in listed] == [made["id"]]
    with memory.read() as tx:
        rows = [str(dict(row)) for table in identity.USERS.metadata.sorted_tables
                for row in tx.conn.execute(table.select()).mappings()]  # fmt: skip
    assert not any(made["token"] in row for row in rows)
    assert any(digest(made["token"]) in row for row in rows)


def test_a_repeated_request_makes_no_second_token_and_tells_nothing(client: TestClient) -> None:
    headers = {"idempotency-key": "once"}
    first = client.post("/api/v1/tokens", json={"name": "ci"}, headers=headers).json()
    second = client.post("/api/v1/tokens", json={"name": "ci"}, headers=headers).json()
    assert first["id"] == second["id"]
    assert second["token"] is None


def test_nobody_gives_away_more_than_they_have(console: TestClient, memory: Store) -> None:
    mine = bearer(token(memory, "tokens:write", "runs:*")["token"])
    for scopes, status in ((["runs:read"], 201), (["runs:*"], 201), (["*"], 403), (["*:read"], 403), (["x:y"], 403)):
        assert console.post("/api/v1/tokens", json={"name": "t", "scopes": scopes}, headers=mine).status_code == status
    assert console.post("/api/v1/tokens", json={"name": "t", "scopes": ["A B"]}, headers=mine).status_code == 422


def test_a_token_cannot_take_over_the_owners_account(owner: str, console: TestClient, memory: Store) -> None:
    everything = bearer(token(memory, "*")["token"])
    body = {"name": "ann", "password": "stolen password"}
    assert console.post("/api/v1/owner", json=body, headers=everything).status_code == 403


def test_use_of_a_token_is_noted(console: TestClient, memory: Store) -> None:
    made = token(memory)
    console.get("/api/v1/me", headers=bearer(made["token"]))
    with memory.read() as tx:
        assert identity.tokens(tx, Scope()).items[0]["last_used_at"] is not None


@pytest.mark.parametrize(
    ("held", "needs", "may"),
    [
        ({"*"}, "runs:read", True), ({"runs:*"}, "runs:write", True), ({"*:read"}, "events:read", True),
        ({"runs:read"}, "runs:write", False), ({"*:read"}, "runs:write", False), (set(), "runs:read", False),
        ({"run:*"}, "runs:read", False),
    ],
)  # fmt: skip
def test_scopes_mean_what_they_say(held: set[str], needs: str, may: bool) -> None:
    assert allows(held, needs) == may


def test_roles_grow() -> None:
    order = [ROLES[name] for name in ("viewer", "operator", "developer", "admin")]
    assert all(less < more for less, more in itertools.pairwise(order))
    assert not any(may_grant(Actor("user", "x", role), "*") for role in order)


@pytest.mark.parametrize(
    ("some", "others", "shared"),
    [
        ({"*"}, {"runs:read"}, {"runs:read"}), ({"runs:*"}, {"*:read"}, {"runs:read"}), ({"*"}, {"*"}, {"*"}),
        ({"runs:read"}, {"events:read"}, set()), ({"*:read"}, {"*"}, {"*:read"}), ({"sync"}, {"*"}, {"sync"}),
        ({"runs:read", "x:y"}, {"runs:*"}, {"runs:read"}), ({"runs:write"}, {"*:read"}, set()),
    ],
)  # fmt: skip
def test_what_two_sets_of_scopes_have_in_common(some: set[str], others: set[str], shared: set[str]) -> None:
    assert both(some, others) == both(others, some) == shared


def test_an_accounts_token_can_do_no_more_than_the_account_may_now(console: TestClient, memory: Store) -> None:
    made = token(memory)
    users, tokens = identity.USERS, identity.TOKENS
    with memory.write() as tx:
        row = {"id": new_id(), "workspace_id": DEFAULT_WORKSPACE, "name": "ben", "role": "operator", "session_epoch": 0}
        tx.insert(users, {**row, "created_at": tx.now})
        tx.conn.execute(tokens.update().values(user_id=row["id"]))
    mine = bearer(made["token"])
    assert console.get("/api/v1/runs", headers=mine).status_code == 200
    assert console.get("/api/v1/tokens", headers=mine).status_code == 403
    with memory.write() as tx:
        tx.conn.execute(users.update().values(role="owner"))
    assert console.get("/api/v1/tokens", headers=mine).status_code == 200
    with memory.write() as tx:
        tx.conn.execute(users.update().values(disabled_at=tx.now))
    assert console.get("/api/v1/runs", headers=mine).status_code == 401
