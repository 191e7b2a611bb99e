"""Who may do what: every route with every kind of asker."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hub.runtime.commands import Command, apply
from hub.runtime.commands.identity import digest
from hub.runtime.commands.registry import find
from hub.runtime.scopes import ROLES, allows, may_grant
from hub.settings import Settings, local_without_login
from hub.store import Store, identity, open_store
from hub.store.tables import Workspace
from hub.types import DEFAULT_WORKSPACE, Actor, Scope, new_id, now_us
from hub.web import login
from hub.web.api.op import Op
from hub.web.app import build_app, core_api
from hub.web.auth import LOCAL
from hub.web.login import COOKIE
from starlette.routing import Mount
from starlette.testclient import TestClient
from tests.unit.web.conftest import HERE, MakeClient

OPS = [op for op in core_api().ops if op.scope is not None]
OWN_PLUGINS = "only:hybrid,notifications,webhooks,dashboard,storage,brokers,secrets"


def _with_plugins() -> list[Op]:
    store = open_store("sqlite://")
    store.migrate()
    ops: list[Op] = build_app(Settings(plugins=OWN_PLUGINS), store).state.api.ops
    store.close()
    return [op for op in ops if op.scope is not None]


def token(store: Store, *scopes: str, workspace: str = DEFAULT_WORKSPACE, **args: Any) -> dict[str, Any]:
    scope = Scope(workspace, LOCAL)
    given = {"name": "t", "scopes": list(scopes) or ["*"], **args}
    return apply(store, Command("token.create", scope, args=given)).result


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


def call(client: TestClient, op: Any, **headers: str) -> Any:
    path = re.sub(r"{\w+_id}", new_id(), op.path)
    path = re.sub(r"{\w+}", "thing", path)
    return client.request(op.method if op.path != "/api/v1/stream" else "HEAD", path, headers=headers)


@pytest.fixture(scope="module")
def shared() -> Iterator[Store]:
    """One store for the tests that walk all operations: nothing they do may change it."""
    store = open_store("sqlite://")
    store.migrate()
    yield store
    store.close()


@pytest.fixture(scope="module")
def everything(shared: Store) -> Iterator[TestClient]:
    """A hub that others can reach, with the operations of its own plugins."""
    app = build_app(Settings(public_url="http://hub.example.org", plugins=OWN_PLUGINS), shared)
    with TestClient(app, base_url="http://hub.example.org", raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("op", _with_plugins(), ids=lambda op: op.name)
def test_every_operation_refuses_who_is_not_known_or_may_not(op: Any, everything: TestClient, shared: Store) -> None:
    assert call(everything, op).status_code == 401
    assert call(everything, op, **bearer("hub_api_no-such-token")).status_code == 401
    expired = token(shared, expires_in=0.000001)
    assert call(everything, op, **bearer(expired["token"])).status_code == 401
    revoked = token(shared)
    apply(shared, Command("token.revoke", Scope(actor=LOCAL), revoked["id"]))
    assert call(everything, op, **bearer(revoked["token"])).status_code == 401
    if op.scope:
        answer = call(everything, op, **bearer(token(shared, "nothing:here")["token"]))
        assert answer.status_code == 403
        assert op.path == "/api/v1/stream" or answer.json()["needs"] == op.scope
    right = token(shared, op.scope or "*")["token"]
    assert call(everything, op, **bearer(right)).status_code not in (401, 403, 500) or op.name == "put_owner"


@pytest.fixture(scope="module")
def things(shared: Store) -> dict[str, str]:
    """The ids of one thing of each kind, in the first workspace."""
    return _a_thing_of_each_kind(shared)


NAMED = [op for op in OPS if "{" in op.path and op.name != "plan_project"]
"""A plan changes nothing, and of whose things it tells is tested in test_projects."""


@pytest.mark.parametrize("op", NAMED, ids=lambda op: op.name)
def test_no_operation_touches_a_foreign_workspaces_things(
    op: Any, everything: TestClient, shared: Store, things: dict[str, str]
) -> None:
    # A new one each time: in one that is used again, an earlier operation may have made a thing of that name.
    elsewhere = new_id()
    with shared.write() as tx:
        tx.insert(Workspace.__table__, {"id": elsewhere, "name": elsewhere, "created_at": tx.now})  # type: ignore[attr-defined]
    foreign = bearer(token(shared, workspace=elsewhere)["token"])
    path = op.path
    for name, value in things.items():
        path = path.replace(f"{{{name}}}", value)
    path = path.replace("{name}", _noun(op.path))
    before = _everything(shared)
    body = _valid_body(op.name)
    path += {"get_schema": "?type=push", "delete_schema": "?type=push"}.get(op.name, "")
    answer = everything.request(op.method, path, headers=foreign, json=body)
    if op.method == "PUT":
        # Names are a workspace's own: theirs is another thing, or cannot be made for want of a queue or deployment.
        assert answer.status_code in (200, 404)
    else:
        assert answer.status_code == 404, answer.text
    assert _everything(shared) == before


def test_every_mutation_asks_for_the_scope_that_its_command_needs(memory: Store) -> None:
    pairs = {
        "cancel_run": "run.cancel", "pause_run": "run.pause", "resume_run": "run.resume",
        "answer_run": "run.answer", "send_to_run": "run.send", "restart_run": "run.restart", "emit_event": "event.emit",
        "start_deployment": "run.create", "put_deployment": "deployment.set", "delete_deployment": "deployment.delete",
        "pause_deployment": "deployment.pause", "resume_deployment": "deployment.resume",
        "create_schedule": "schedule.create", "delete_schedule": "schedule.delete",
        "pause_schedule": "schedule.pause", "resume_schedule": "schedule.resume", "put_queue": "queue.set",
        "put_automation": "automation.set", "delete_automation": "automation.delete",
        "pause_automation": "automation.update", "resume_automation": "automation.update", "put_secret": "secret.set",
        "delete_secret": "secret.delete", "rotate_secrets": "secret.rotate", "create_token": "token.create",
        "create_source": "source.create", "update_source": "source.update", "rotate_source": "source.rotate",
        "delete_source": "source.delete", "replay_receipt": "receipt.replay", "replay_receipts": "receipt.replay",
        "trigger_source": "source.sign", "sign_receipt": "source.sign",
        "pause_source": "source.pause", "put_bookmark": "bookmark.set",
        "delete_bookmark": "bookmark.delete", "resume_source": "source.resume",
        "put_schema": "source.schema_set", "delete_schema": "source.schema_remove",
        "revoke_token": "token.revoke",
        "create_endpoint": "endpoint.create", "update_endpoint": "endpoint.update", "send_webhook": "endpoint.send",
        "delete_endpoint": "endpoint.delete", "rotate_endpoint": "endpoint.rotate",
        "resend_webhook": "endpoint.resend", "resend_webhooks": "endpoint.resend",
        "put_connection": "connection.set", "delete_connection": "connection.delete",
        "test_connection": "connection.test", "clear_cache": "cache.clear", "collect_results": "result.collect",
        "create_limit": "limit.create", "put_limit": "limit.set", "delete_limit": "limit.delete",
        "put_owner": "user.owner", "delete_artifact": "artifact.delete",
        "configure_plugin": "plugin.configure", "enable_plugin": "plugin.enable", "disable_plugin": "plugin.disable",
        "reset_plugin": "plugin.reset",
        "put_variable": "variable.set", "delete_variable": "variable.unset", "log_out": "user.end_sessions",
    }  # fmt: skip
    by_name = {op.name: op for op in core_api().ops}
    elsewhere = {"log_in", "plan_project", "put_project_item", "delete_project_item"}  # by the section: test_projects
    assert {op.name for op in by_name.values() if op.method != "GET"} - elsewhere == set(pairs)
    for name, command in pairs.items():
        assert by_name[name].scope == find(command).needs


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


@pytest.mark.parametrize("role", list(ROLES))
def test_a_role_may_do_what_it_says_and_no_more(role: str, console: TestClient, memory: Store) -> None:
    user = new_id()
    with memory.write() as tx:
        row = {"id": user, "workspace_id": DEFAULT_WORKSPACE, "name": role, "role": role, "session_epoch": 0}
        tx.insert(identity.USERS, {**row, "created_at": tx.now})
    cookie = f"{COOKIE}={login.seal(memory.keyring, login.Session(user, 0, now_us()))}"
    for op in OPS:
        if op.name == "log_out":
            continue
        answer = call(console, op, cookie=cookie, **HERE)
        may = not op.scope or allows(ROLES[role], op.scope)
        assert (answer.status_code != 403) == may or op.name == "put_owner", op.name


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


# --- helpers -----------------------------------------------------------------------------------------------------


def _a_thing_of_each_kind(store: Store) -> dict[str, str]:
    scope = Scope(actor=LOCAL)

    def do(op: str, target: str = "", **args: Any) -> str:
        return str(apply(store, Command(op, scope, target, args)).result.get("id", ""))

    do("deployment.set", name="deployments", flow_name="f", entrypoint="f.py:f")
    run = do("run.create", "deployments")
    schedule = do("schedule.create", deployment="deployments", kind="interval", spec="60")
    do("automation.set", name="automations", actions=[{"run_deployment": "deployments"}])
    do("secret.set", name="secrets", value="s")
    do("limit.set", "limits", name="limits", slots=1)
    do("connection.set", name="connections", kind="files", fields={"path": "/tmp"})
    do("endpoint.create", name="endpoints", url="https://example.com/")
    webhook = do("endpoint.send", "endpoints", type="a")
    made = do("token.create", name="t")
    with store.read() as tx:
        event = tx.conn.exec_driver_sql("SELECT id FROM events LIMIT 1").scalar_one()
    return {"run_id": run, "schedule_id": schedule, "token_id": made, "webhook_id": webhook, "event_id": str(event)}


def _noun(path: str) -> str:
    return path.split("/")[3]


def _valid_body(name: str) -> Any:
    return {
        "put_deployment": {"flow_name": "f", "entrypoint": "f.py:f"},
        "put_automation": {"actions": [{"run_deployment": "deployments"}]},
        "put_secret": {"value": "other"},
        "put_connection": {"kind": "files", "fields": {"path": "/tmp"}},
        "put_queue": {},
        "put_limit": {"slots": 1},
        "put_bookmark": {"receipt": new_id()},
        "sign_receipt": {"url": "http://localhost/"},
        "put_schema": {"type": "push", "document": {}},
        "answer_run": {"value": 1},
        "emit_event": {"type": "order.paid"},
        "send_webhook": {"type": "a"},
    }.get(name)


def _everything(store: Store) -> dict[str, Any]:
    """Every row of the first workspace, but for what using a token leaves behind."""
    found: dict[str, Any] = {}
    with store.read() as tx:
        for table in identity.USERS.metadata.sorted_tables:
            if "workspace_id" in table.c:
                query = table.select().where(table.c.workspace_id == DEFAULT_WORKSPACE)
                found[table.name] = [tuple(row) for row in tx.conn.execute(query)]
    return found


# --- everything that is no operation of the API --------------------------------------------------------------------

OPEN = {
    "/healthz",
    "/readyz",
    "/in/{token}",
    "/ui/static/{name}",
    "/ui/login",
    "/ui/answers/{token}",
    "/ui/alert-links/{action}/{token}",
    "/ui/theme",
    "/api/v1/openapi.json",
    "/",
}
"""What anybody may ask for: health, the door, the login page and what it is drawn with, signed links, the
API's description."""


def test_every_other_route_needs_somebody_who_is_known(everything: TestClient) -> None:
    described = {op.path for op in everything.app.state.api.ops}  # type: ignore[attr-defined]
    walked = 0
    for path, methods in _walk(everything.app.routes):  # type: ignore[attr-defined]
        if path in described or path in OPEN:
            continue
        real = re.sub(r"{\w+(:\w+)?}", "thing", re.sub(r"{\w+:int}", "1", re.sub(r"{\w+_id}", new_id(), path)))
        for method in methods:
            answer = everything.request(method, real, params={"topics": "runs"}, headers=HERE, follow_redirects=False)
            to_login = answer.status_code == 303 and answer.headers["location"].startswith("/ui/login")
            assert to_login or answer.status_code in (401, 403), f"{method} {path}: {answer.status_code}"
            walked += 1
    assert walked > 50


def _walk(routes: Iterable[Any], prefix: str = "") -> Iterator[tuple[str, set[str]]]:
    for route in routes:
        if isinstance(route, Mount):
            yield from _walk(route.routes, prefix + route.path)
        else:
            yield prefix + route.path, route.methods or {"POST"}
