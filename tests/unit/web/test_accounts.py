"""Accounts: made, invited, given roles, switched off; what that does to sessions and tokens; and the audit trail."""

from __future__ import annotations

from typing import Any

import pytest
from hub.runtime.commands import Command, apply
from hub.settings import Settings
from hub.store import Store, identity
from hub.types import Scope
from hub.web.auth import LOCAL
from hub.web.serve import first_owner_link
from starlette.testclient import TestClient
from tests.unit.web.conftest import HERE, PASSWORD, MakeClient
from tests.unit.web.test_sessions import sign_in
from tests.unit.web.test_tokens import bearer

OWN = "dashboard,notifications,hybrid,webhooks"


@pytest.fixture
def ann(owner: str, make_client: MakeClient) -> TestClient:
    """A browser in which the owner is signed in, on a hub with its dashboard."""
    client = make_client("http://hub.example.org", public_url="http://hub.example.org", plugins=f"only:{OWN}")
    client.headers.update(HERE)
    assert sign_in(client).status_code == 204
    return client


def browser(ann: TestClient) -> TestClient:
    """Another browser for the same hub, nobody signed in."""
    return TestClient(ann.app, base_url="http://hub.example.org", headers=HERE, follow_redirects=False)


def signed_in(ann: TestClient, name: str, password: str = PASSWORD) -> TestClient:
    client = browser(ann)
    assert sign_in(client, name, password).status_code == 204
    return client


def user(ann: TestClient, name: str, role: str, **more: Any) -> dict[str, Any]:
    answer = ann.post("/api/v1/users", json={"name": name, "role": role, "password": PASSWORD, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()  # type: ignore[no-any-return]


def press(client: TestClient, page: str, **typed: str) -> Any:
    """Send the form of a page to the page itself."""
    html = client.get(page).text
    hidden = {name: html.partition(f'name="{name}" value="')[2].partition('"')[0] for name in ("csrf", "command_id")}
    return client.post(page, data={**hidden, **typed})


def link_of(answer: Any) -> str:
    return str(answer.json()["link"]).removeprefix("http://hub.example.org")


def test_a_person_is_made_signs_in_and_may_what_the_role_may(ann: TestClient) -> None:
    assert user(ann, "ben", "operator")["kind"] == "person"
    ben = signed_in(ann, "ben")
    assert ben.get("/api/v1/runs").status_code == 200
    assert ben.get("/api/v1/users").status_code == 403
    assert ann.patch("/api/v1/users/ben", json={"role": "admin"}).json()["role"] == "admin"
    assert ben.get("/api/v1/users").status_code == 200
    assert ann.patch("/api/v1/users/ben", json={"disabled": True}).json()["disabled_at"]
    assert ben.get("/api/v1/runs").status_code == 401
    assert sign_in(browser(ann), "ben").status_code == 401
    ann.patch("/api/v1/users/ben", json={"disabled": False})
    assert sign_in(browser(ann), "ben").status_code == 204


def test_nobody_makes_or_changes_an_account_that_may_do_more_than_they_may(ann: TestClient) -> None:
    user(ann, "ben", "admin")
    ben = signed_in(ann, "ben")
    made = {"name": "eve", "role": "owner", "password": PASSWORD}
    assert ben.post("/api/v1/users", json=made).status_code == 403
    assert ben.post("/api/v1/invitations", json={"role": "owner"}).status_code == 403
    assert ben.patch("/api/v1/users/ben", json={"role": "owner"}).status_code == 403
    assert ben.patch("/api/v1/users/ann", json={"disabled": True}).status_code == 403
    assert ben.put("/api/v1/users/ann/password", json={"password": "a new password"}).status_code == 403
    assert ben.post("/api/v1/invitations", json={"user": "ann"}).status_code == 403
    assert ben.post("/api/v1/users", json={**made, "role": "admin"}).status_code == 201


def test_the_last_owner_stays_one(ann: TestClient) -> None:
    for change in ({"role": "admin"}, {"disabled": True}):
        answer = ann.patch("/api/v1/users/ann", json=change)
        assert (answer.status_code, answer.json()["code"]) == (409, "last-owner")
    user(ann, "ben", "owner")
    assert ann.patch("/api/v1/users/ann", json={"role": "admin"}).status_code == 200


def test_a_service_has_tokens_that_can_do_no_more_than_it_may(ann: TestClient) -> None:
    made = {"name": "deployer", "role": "operator", "kind": "service"}
    assert ann.post("/api/v1/users", json={**made, "password": PASSWORD}).status_code == 422
    assert ann.post("/api/v1/users", json=made).status_code == 201
    assert ann.post("/api/v1/users", json=made).status_code == 409
    token = ann.post("/api/v1/tokens", json={"name": "ci", "account": "deployer"}).json()["token"]
    mine = bearer(token)
    other = browser(ann)
    assert other.get("/api/v1/runs", headers=mine).status_code == 200
    assert other.get("/api/v1/users", headers=mine).status_code == 403
    assert ann.put("/api/v1/users/deployer/password", json={"password": PASSWORD}).status_code == 422
    assert ann.post("/api/v1/tokens", json={"name": "x", "account": "ann"}).status_code == 422
    ann.patch("/api/v1/users/deployer", json={"disabled": True})
    assert other.get("/api/v1/runs", headers=mine).status_code == 401


def test_a_token_made_with_a_token_dies_with_the_same_account(ann: TestClient) -> None:
    user(ann, "ben", "admin")
    first = (
        signed_in(ann, "ben")
        .post("/api/v1/tokens", json={"name": "t", "scopes": ["tokens:read", "tokens:write"]})
        .json()["token"]
    )
    second = browser(ann).post("/api/v1/tokens", json={"name": "u", "scopes": ["tokens:read"]}, headers=bearer(first))
    ann.patch("/api/v1/users/ben", json={"disabled": True})
    assert browser(ann).get("/api/v1/tokens", headers=bearer(second.json()["token"])).status_code == 401


def test_people_change_their_own_password_and_stay_signed_in_here_only(ann: TestClient) -> None:
    user(ann, "ben", "viewer")
    here, there = signed_in(ann, "ben"), signed_in(ann, "ben")
    wrong = {"current": "not my password", "new": "another password"}
    assert here.put("/api/v1/me/password", json=wrong).status_code == 401
    assert here.put("/api/v1/me/password", json={**wrong, "current": PASSWORD}).status_code == 204
    assert here.get("/api/v1/me").status_code == 200
    assert there.get("/api/v1/me").status_code == 401
    assert sign_in(browser(ann), "ben", "another password").status_code == 204


def test_people_change_their_password_on_their_own_page(ann: TestClient) -> None:
    typed = {"current": PASSWORD, "password": "another password", "again": "another password"}
    assert press(ann, "/ui/me", **{**typed, "again": "not the same"}).status_code == 422
    assert press(ann, "/ui/me", **{**typed, "current": "wrong password"}).status_code == 401
    assert "You have another password" in press(ann, "/ui/me", **typed).text
    assert sign_in(browser(ann), "ann", "another password").status_code == 204


# --- invitations -------------------------------------------------------------------------------------------------


def test_an_invitation_makes_an_account_once_and_signs_in(ann: TestClient) -> None:
    page = link_of(ann.post("/api/v1/invitations", json={"role": "operator"}))
    guest = browser(ann)
    assert "invited as operator" in guest.get(page).text
    for typed in (
        {"password": PASSWORD, "again": "another one", "name": "ben"},
        {"password": "short", "again": "short"},
    ):
        assert press(guest, page, **typed).status_code == 422
    answer = press(guest, page, name="ben", password=PASSWORD, again=PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui?done=welcome")
    assert "runs:write" in guest.get("/api/v1/me").json()["scopes"]
    late = browser(ann)
    assert late.get(page).status_code == 404
    assert press(late, page, name="eve", password=PASSWORD, again=PASSWORD).status_code in (403, 404)
    assert [one["name"] for one in ann.get("/api/v1/users").json()["items"]] == ["ben", "ann"]
    assert ann.get("/api/v1/invitations").json()["items"] == []


@pytest.mark.parametrize("end", ["revoked", "expired", "maker disabled", "maker demoted"])
def test_an_invitation_ends_when_it_is_taken_back_or_its_maker_may_not_any_more(
    ann: TestClient, memory: Store, end: str
) -> None:
    user(ann, "ben", "admin")
    ben = signed_in(ann, "ben")
    made = ben.post("/api/v1/invitations", json={"role": "admin", "name": "eve"})
    page = link_of(made)
    guest = browser(ann)
    assert guest.get(page).status_code == 200
    if end == "revoked":
        assert ann.delete(f"/api/v1/invitations/{made.json()['id']}").status_code == 204
    elif end == "expired":
        with memory.write() as tx:
            tx.conn.execute(identity.INVITATIONS.update().values(expires_at=tx.now))
    else:
        ann.patch("/api/v1/users/ben", json={"disabled": True} if end == "maker disabled" else {"role": "operator"})
    assert guest.get(page).status_code == 404


def test_a_link_gives_an_account_a_new_password(ann: TestClient) -> None:
    user(ann, "ben", "viewer")
    before = signed_in(ann, "ben")
    page = link_of(ann.post("/api/v1/invitations", json={"user": "ben"}))
    assert press(browser(ann), page, password="another password", again="another password").status_code == 303
    assert before.get("/api/v1/me").status_code == 401
    assert sign_in(browser(ann), "ben", "another password").status_code == 204


def test_guessing_links_is_slowed_down(ann: TestClient) -> None:
    guest = browser(ann)
    answers = [guest.get(f"/ui/invitations/guess-{number}").status_code for number in range(22)]
    assert answers[:20] == [404] * 20
    assert answers[20:] == [429, 429]


def test_the_first_owner_is_made_by_a_link_that_is_good_once(make_client: MakeClient, memory: Store) -> None:
    settings = Settings(public_url="http://hub.example.org", plugins=f"only:{OWN}")
    assert first_owner_link(Settings(), memory, "http://127.0.0.1:4300") is None
    old, link = (first_owner_link(settings, memory, "") or "" for _ in range(2))
    client = make_client("http://hub.example.org", public_url=settings.public_url, plugins=settings.plugins)
    client.headers.update(HERE)
    paths = [one.removeprefix("http://hub.example.org") for one in (old, link)]
    assert client.get(paths[0]).status_code == 404
    answer = press(client, paths[1], name="ann", password=PASSWORD, again=PASSWORD)
    assert client.get("/api/v1/me").json()["scopes"] == ["*"], answer.text
    assert first_owner_link(settings, memory, "") is None


def test_whoever_was_not_first_gets_nothing(memory: Store, make_client: MakeClient) -> None:
    settings = Settings(public_url="http://hub.example.org", plugins=f"only:{OWN}")
    link = (first_owner_link(settings, memory, "") or "").removeprefix("http://hub.example.org")
    apply(memory, Command("user.owner", Scope(actor=LOCAL), args={"name": "ann", "password_hash": "x" * 30}))
    client = make_client("http://hub.example.org", public_url=settings.public_url, plugins=settings.plugins)
    assert client.get(link).status_code == 404


# --- pages -------------------------------------------------------------------------------------------------------


def test_an_admin_invites_changes_and_switches_off_on_the_dashboard(ann: TestClient) -> None:
    shown = press(ann, "/ui/users/new", name="ben", role="operator")
    assert "It is shown this once" in shown.text
    path = shown.text.partition("http://hub.example.org")[2].partition("<")[0]
    guest = browser(ann)
    assert press(guest, path, password=PASSWORD, again=PASSWORD).status_code == 303
    ben = next(one for one in ann.get("/api/v1/users").json()["items"] if one["name"] == "ben")
    assert "ben" in press(ann, f"/ui/users/{ben['id']}/edit", role="viewer").text
    assert guest.get("/ui/users").status_code == 403
    html = ann.get(f"/ui/users/{ben['id']}/edit").text
    csrf = html.partition('name="csrf" value="')[2].partition('"')[0]
    assert "account is switched off" in ann.post(f"/ui/users/{ben['id']}/switch", data={"csrf": csrf, "to": "off"}).text
    assert guest.get("/ui").headers["location"].startswith("/ui/login")
    audit = ann.get("/ui/audit?op=user.update").text
    assert "disabled_at" in audit
    assert "operator" in audit


# --- the audit trail ---------------------------------------------------------------------------------------------


def test_the_audit_trail_says_who_what_from_where_and_what_was_otherwise(ann: TestClient) -> None:
    user(ann, "ben", "operator")
    ann.patch("/api/v1/users/ben", json={"role": "viewer"}, headers={"x-forwarded-for": "198.51.100.9"})
    ann.put("/api/v1/users/ben/password", json={"password": "another password"})
    ann.put("/api/v1/variables/limit", json={"value": 5, "tags": ["a"]})
    ann.put("/api/v1/variables/limit", json={"value": 6, "tags": ["b"], "overwrite": True})
    ann.put("/api/v1/queues/bulk", json={"slots": 3})
    ann.put("/api/v1/queues/bulk", json={"slots": 4})
    entries = ann.get("/api/v1/audit").json()["items"]
    by_op = {(one["op"], tuple(one["changes"])): one for one in entries}
    role = by_op["user.update", ("role",)]
    me = ann.get("/api/v1/me").json()["id"]
    assert (role["actor"], role["via"], role["address"]) == (f"user:{me}", "api", "testclient")
    assert role["changes"] == {"role": ["operator", "viewer"]}
    assert by_op["queue.set", ("slots",)]["changes"] == {"slots": [3, 4]}
    assert by_op["variable.set", ("value", "tags")]["changes"]["tags"] == [["a"], ["b"]]
    text = str(entries)
    assert "another password" not in text
    assert "argon2" not in text
    assert by_op["user.password", ("password_hash",)]["changes"] == {"password_hash": ["(not told)"] * 2}


def test_signing_in_is_in_the_trail_and_failed_tries_are_in_the_log(
    ann: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    sign_in(browser(ann), "my password by mistake", "ann")
    entries = ann.get("/api/v1/audit", params={"op": "user.sign_in"}).json()["items"]
    me = ann.get("/api/v1/me").json()["id"]
    assert [(one["actor"], one["address"]) for one in entries] == [(f"user:{me}", "testclient")]
    assert "a login from testclient failed" in caplog.text
    assert "by mistake" not in caplog.text


def test_the_audit_trail_is_asked_by_actor_operation_target_and_time(ann: TestClient) -> None:
    user(ann, "ben", "operator")
    ann.put("/api/v1/queues/bulk", json={})
    ops = [one["op"] for one in ann.get("/api/v1/audit", params={"op": "user."}).json()["items"]]
    assert ops == ["user.create", "user.sign_in", "user.owner"]
    assert len(ann.get("/api/v1/audit", params={"target": "bulk"}).json()["items"]) == 1
    assert ann.get("/api/v1/audit", params={"since": "2999-01-01T00:00:00Z"}).json()["items"] == []
    assert ann.get("/api/v1/audit", params={"since": "2026-13"}).status_code == 422
    assert len(ann.get("/api/v1/audit", params={"actor": "local"}).json()["items"]) == 1
