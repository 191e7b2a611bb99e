"""Every route with every asker, against the table in the manual. A new route is in the table, or this fails."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from hub.runtime.commands import Command, apply
from hub.runtime.commands.registry import find
from hub.runtime.scopes import ROLES
from hub.settings import Settings
from hub.store import identity, open_store, tables
from hub.types import DEFAULT_WORKSPACE, Scope, new_id
from hub.web.app import build_app, core_api
from hub.web.auth import LOCAL
from hub.web.matrix import ASKERS, BAD, OWN, STRANGER, entries, table
from starlette.testclient import TestClient
from tests.unit.web.conftest import HERE
from tests.unit.web.ui.workspace import fill
from tests.unit.web.walking import MANUAL, OWN_PLUGINS, ROWS, SITES_TOKEN, World, met, more

from hub_hybrid.credentials import GRANT
from hub_hybrid.joining import plane_id
from hub_hybrid.keys import Keys

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    store = open_store("sqlite://")
    store.migrate()
    more(fill(store))
    app = build_app(Settings(public_url="http://hub.example.org", plugins=OWN_PLUGINS), store)
    with TestClient(app, base_url="http://hub.example.org", raise_server_exceptions=False) as client:
        yield World(store, client)
    store.close()


def test_the_manual_has_the_table_of_this_version(world: World) -> None:
    made = table(world.client.app.routes)  # type: ignore[attr-defined]
    assert made in MANUAL.read_text(encoding="utf-8"), "put what `HUB_SAFE_MODE=1 hub openapi --access` prints there"
    assert len(ROWS) > 300


def test_every_route_says_who_may_ask_it_and_why_if_anybody_may(world: World) -> None:
    for entry in entries(world.client.app.routes):  # type: ignore[attr-defined]
        assert entry.access is not None, entry
        assert entry.access.needs is not None or entry.access.trusts, entry


def test_every_mutation_asks_for_the_scope_that_its_command_needs() -> None:
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
        "dismiss_proposal": "source.dismiss", "reconsider_proposal": "source.reconsider",
        "revoke_token": "token.revoke",
        "create_endpoint": "endpoint.create", "update_endpoint": "endpoint.update", "send_webhook": "endpoint.send",
        "delete_endpoint": "endpoint.delete", "rotate_endpoint": "endpoint.rotate",
        "resend_webhook": "endpoint.resend", "resend_webhooks": "endpoint.resend",
        "put_connection": "connection.set", "delete_connection": "connection.delete",
        "test_connection": "connection.test", "clear_cache": "cache.clear", "collect_results": "result.collect",
        "create_limit": "limit.create", "put_limit": "limit.set", "delete_limit": "limit.delete",
        "put_owner": "user.owner", "create_user": "user.create", "update_user": "user.update",
        "set_password": "user.password", "create_invitation": "invitation.create",
        "revoke_invitation": "invitation.revoke", "delete_artifact": "artifact.delete",
        "configure_plugin": "plugin.configure", "enable_plugin": "plugin.enable", "disable_plugin": "plugin.disable",
        "reset_plugin": "plugin.reset",
        "put_variable": "variable.set", "delete_variable": "variable.unset", "log_out": "user.end_sessions",
    }  # fmt: skip
    by_name = {op.name: op for op in core_api().ops}
    elsewhere = {
        "log_in",
        "change_password",
        "plan_project",
        "put_project_item",
        "delete_project_item",
    }  # by the section: test_projects
    assert {op.name for op in by_name.values() if op.method != "GET"} - elsewhere == set(pairs)
    for name, command in pairs.items():
        assert by_name[name].scope == find(command).needs


def _bad_tokens(world: World) -> dict[str, dict[str, str]]:
    revoked, off = world.token(), world.account("owner")
    apply(world.store, Command("token.revoke", Scope(actor=LOCAL), revoked["id"]))
    of_account = world.token()
    with world.store.write() as tx:
        tx.conn.execute(identity.USERS.update().where(identity.USERS.c.id == off).values(disabled_at=tx.now))
        tx.conn.execute(identity.TOKENS.update().where(identity.TOKENS.c.id == of_account["id"]).values(user_id=off))
    return {
        "unknown": {"authorization": "Bearer hub_api_no-such-token"},
        "expired": world.token(expires_in=0.000001),
        "revoked": revoked,
        "of an account that is off": of_account,
        "a session of an account that is off": world.session(off),
    }


@pytest.mark.parametrize("asker", [asker for asker in ASKERS if asker != STRANGER])
def test_every_route_meets_everybody_as_the_manual_says(world: World, asker: str) -> None:
    if asker == BAD:
        headers = _bad_tokens(world)
    elif asker in ROLES:
        user = world.account(asker)
        headers = {asker: {}}
    else:
        headers = {asker: world.token(kind="site", scopes=["sync"]) if asker == SITES_TOKEN else {}}
    wrong = []
    for row in ROWS:
        for kind, given in headers.items():
            sent = world.session(user) if asker in ROLES else given
            how = met(world.ask(row, sent, body={} if row.method != "GET" else None))
            # A token of a site that was struck off is known to nobody; what a site may do is walked below.
            said = row.answers[asker] if row.answers[asker] != OWN else "401"
            if how != said:
                wrong.append(f"{row.method} {row.path}: {kind}: {how}, the manual says {said}")
    assert not wrong, "\n".join(wrong)
    assert len(ROWS) > 300


def test_a_token_for_other_things_opens_nothing_that_needs_a_scope(world: World) -> None:
    headers = world.token(scopes=["nothing:here"])
    for row in ROWS:
        scoped = re.fullmatch(r"`\w+:\w+`", row.needs)
        if scoped and row.needs != "`owner:write`":
            answer = world.ask(row, {**headers, **HERE}, body={} if row.method != "GET" else None)
            assert answer.status_code == 403, row
            assert row.path.startswith(("/ui", "/metrics", "/api/v1/stream")) or answer.json()["needs"] in row.needs


# --- another workspace -------------------------------------------------------------------------------------------

THINGS: dict[str, Any] = {
    "address_id": tables.LinkAddress, "alert_id": tables.Alert, "artifact_id": tables.Artifact,
    "asset_id": tables.Asset, "automation_id": tables.Automation, "channel_id": tables.Channel,
    "channel": tables.Channel,
    "command_id": tables.PlaneCommand, "delivery_id": tables.Delivery, "deployment_id": tables.Deployment,
    "endpoint_id": tables.Endpoint, "event_id": tables.Event, "inhibition_id": tables.AlertInhibition,
    "inhibition": tables.AlertInhibition, "link": tables.Link, "receipt_id": tables.Receipt,
    "route_id": tables.AlertRoute, "route": tables.AlertRoute, "run_id": tables.RunRow,
    "schedule_id": tables.Schedule, "silence_id": tables.AlertSilence, "site": tables.PlaneSite, "sla": tables.SlaRow,
    "source_id": tables.Source, "token_id": tables.ApiToken, "user_id": tables.User,
    "invitation_id": tables.Invitation, "webhook_id": tables.OutgoingWebhook,
}  # fmt: skip
"""Of which table the names in paths that are ids are."""
NAMED: dict[str, Any] = {
    "automations": tables.Automation, "bookmarks": tables.Bookmark, "connections": tables.Connection,
    "deployments": tables.Deployment, "endpoints": tables.Endpoint, "limits": tables.Limit, "secrets": tables.Secret,
    "sources": tables.Source, "users": tables.User, "variables": tables.Variable, "queues": tables.WorkQueue,
}  # fmt: skip
"""Of which table `{name}` is, by the noun before it."""
VALID: dict[str, Any] = {
    "POST /api/v1/receipts/{receipt_id}/sign": {"url": "http://localhost/"},
    "POST /api/v1/runs/{run_id}/answer": {"value": 1},
    "POST /api/v1/runs/{run_id}/messages": {"name": "t", "value": 1},
    "POST /api/v1/endpoints/{name}/send": {"type": "a"},
    "PUT /api/v1/automations/{name}": {"actions": [{"run_deployment": "github-ci"}]},
    "PUT /api/v1/bookmarks/{name}": {"receipt": new_id()},
    "PUT /api/v1/connections/{name}": {"kind": "files", "fields": {"path": "/tmp"}},
    "PUT /api/v1/deployments/{name}": {"flow_name": "f", "entrypoint": "f.py:f"},
    "PUT /api/v1/limits/{name}": {"slots": 1},
    "PUT /api/v1/secrets/{name}": {"value": "other"},
    "POST /api/v1/links/{link}/addresses": {"source": "github"},
    "POST /api/v1/links/{link}/rejoin": {"token": "hub_join_of-nobody"},
    "PUT /api/v1/sources/{name}/schema": {"document": {}},
    "PUT /api/v1/sources/{name}/dismissal": {"kind": "schema", "about": "push"},
    "POST /api/v1/sites/{site}/work": {"to": "pause"},
    "PUT /api/v1/variables/{name}": {"value": 1},
}
"""Bodies that are right, where a wrong one is refused before the thing is looked for."""
QUERIES = {
    "/api/v1/sources/{name}/schema": "?type=order.paid",
    "/api/v1/sources/{name}/dismissal": "?kind=schema&about=push",
}
UNOWNED = "/ui/static/{name}", "/in/{token}", "/ui/{rest:path}"


@pytest.fixture(scope="module")
def theirs(world: World) -> dict[str, Any]:
    """Of each table the rows of the first workspace."""
    with world.store.read() as tx:
        return {
            table.name: [dict(row) for row in tx.conn.execute(table.select().where(_first(table))).mappings()]
            for table in identity.USERS.metadata.sorted_tables
            if "workspace_id" in table.c
        }


def _first(table_: Any) -> Any:
    return table_.c.workspace_id == DEFAULT_WORKSPACE


def _of_theirs(path: str, theirs: dict[str, Any]) -> str:
    """The path with ids and names of the first workspace in it."""
    noun = path.removeprefix("/api/v1").removeprefix("/ui").split("/")[1:2]
    for name in re.findall(r"{(\w+)}", path):
        if name == "name" and noun != ["projects"]:
            value = theirs[NAMED[noun[0]].__tablename__][0]["name"]
        elif name in ("name", "scheme", "section", "item", "action", "token"):
            value = {"section": "variables", "item": "batch-size", "name": "project"}.get(name, "thing")
        else:
            value = theirs[THINGS[name].__tablename__][0]["id"]
        path = path.replace(f"{{{name}}}", value)
    return path


def _snapshot(world: World) -> dict[str, Any]:
    """Every row of the first workspace."""
    with world.store.read() as tx:
        return {
            table.name: [tuple(row) for row in tx.conn.execute(table.select().where(_first(table)))]
            for table in identity.USERS.metadata.sorted_tables
            if "workspace_id" in table.c
        }


def test_somebody_of_another_workspace_sees_and_changes_nothing_of_the_first(
    world: World, theirs: dict[str, Any]
) -> None:
    elsewhere = new_id()
    with world.store.write() as tx:
        tx.insert(tables.Workspace.__table__, {"id": elsewhere, "name": elsewhere, "created_at": tx.now})  # type: ignore[attr-defined]
    owner = world.account("owner", elsewhere)
    ids = {str(row["id"]) for rows in theirs.values() for row in rows if "id" in row}
    assert len(ids) > 300
    before = _snapshot(world)
    wrong = []
    # What is made under a name of theirs comes last: until then that name is nobody's here.
    for row in sorted(ROWS, key=lambda row: row.method == "PUT"):
        said = row.answers[STRANGER]
        if said not in (OWN, "404") or row.path in UNOWNED:
            continue
        path = _of_theirs(row.path, theirs) + QUERIES.get(row.path, "")
        body = VALID.get(f"{row.method} {row.path}", {} if row.method != "GET" else None)
        answer = world.ask(row, world.session(owner), path, body)
        shown = set(UUID.findall(answer.text)) & ids - set(path.split("/"))
        found = answer.status_code != 404
        if said == "404" and (found or answer.status_code == 500):
            wrong.append(f"{row.method} {row.path}: {answer.status_code} {answer.text[:200]}")
        if found and shown:
            wrong.append(f"{row.method} {row.path} shows {shown}")
        if row.method != "GET":
            after = _snapshot(world)
            changed = [name for name in after if after[name] != before[name]]
            if changed:
                wrong.append(f"{row.method} {row.path} changed {changed}")
                before = after
    assert not wrong, "\n".join(wrong)


# --- sites -------------------------------------------------------------------------------------------------------


def joining_audience(world: World) -> str:
    """Who the plane is in what sites sign."""
    with world.store.read() as tx:
        return plane_id(tx)


def grant(assertion: str) -> dict[str, str]:
    """A request for an access token."""
    return {**GRANT, "client_assertion": assertion}


def test_a_site_speaks_for_itself_only(world: World) -> None:
    """What one site says with its own token, naming another's ids and session, is never about the other."""

    def made(name: str) -> Any:
        made = apply(world.store, Command("site.create", Scope(actor=LOCAL), name, {"name": name})).result
        keys, site_id, join = Keys.new(), new_id(), made["token"]
        proof = keys.proof(site_id, sha256(join.encode()).hexdigest(), time.time())
        message = {"site_id": site_id, "sign_key": keys.public, "seal_key": keys.seal_public, "proof": proof}
        joined = call(made, "POST", "/register", message).json()
        assertion = keys.assertion(joined["site"], joined["audience"], time.time())
        return {"id": made["id"], "site_id": site_id, **call(made, "POST", "/token", grant(assertion)).json()}

    def call(site: Any, method: str, path: str, body: Any = None) -> Any:
        headers = {"authorization": f"Bearer {site.get('access_token') or site['token']}"}
        return world.client.request(method, f"/sync/v1{path}", headers=headers, json=body)

    mine, foreign = made("mine"), made("foreign")
    hello = {"site_id": mine["site_id"], "stream_epoch": new_id(), "head_seq": 0}
    fence = call(mine, "POST", "/sessions", hello).json()["fence"]
    before = _snapshot(world)
    with world.store.read() as tx:
        sites = tables.PlaneSite.__table__  # type: ignore[attr-defined]
        mine_row = dict(tx.conn.execute(sites.select().where(sites.c.id == mine["id"])).mappings().one())
    run = {"id": new_id(), "run": {"state_type": "RUNNING"}}
    part = {"stream_epoch": mine_row["stream_epoch"], "head_seq": 0, "head_hash": "", "last": True, "runs": [run]}
    event = {"seq": 1, "hash": "0" * 64}
    batch = {"stream_epoch": mine_row["stream_epoch"], "first_seq": 1, "prev_hash": "", "events": [event]}
    for method, path, body in (
        ("POST", "events", batch),
        ("PUT", "snapshot", part),
        ("POST", "heartbeat", {"head_seq": 7}),
        ("POST", "logs", {"log_epoch": new_id(), "start": 0, "after": 0, "upto": 9}),
        ("GET", "commands?after=0&wait=0", None),
        ("PUT", "addresses", {"items": []}),
        ("GET", "webhooks?after=&wait=0", None),
        ("POST", "webhooks", {"ids": [new_id()]}),
    ):
        answer = call(foreign, method, f"/sessions/{fence}/{path}", body)
        assert answer.status_code in (403, 409, 410), answer.text
    call(foreign, "DELETE", f"/sessions/{fence}")
    theirs = Keys.new()
    proof = theirs.proof(mine["site_id"], "", time.time())
    assert call(foreign, "POST", "/keys", {"sign_key": theirs.public, "proof": proof}).is_success
    said = theirs.assertion(mine["id"], joining_audience(world), time.time())
    assert call(foreign, "POST", "/token", grant(said)).json()["code"] == "invalid-client"
    after = _snapshot(world)
    assert [row for row in after["plane_sites"] if mine["id"] in row] == [
        row for row in before["plane_sites"] if mine["id"] in row
    ]
    assert (after["plane_runs"], after["plane_commands"]) == (before["plane_runs"], before["plane_commands"])
    assert call(mine, "POST", f"/sessions/{fence}/heartbeat", {}).is_success
