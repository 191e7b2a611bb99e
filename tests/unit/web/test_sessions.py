"""Passwords and sessions: few guesses, equal work, a signed cookie that can be taken back."""

from __future__ import annotations

from typing import Any

import pytest
from argon2 import PasswordHasher
from hub.crypto import Keyring
from hub.store import Store, identity
from hub.store.tables import User
from hub.types import DEFAULT_WORKSPACE, new_id, now_us
from hub.web import login
from hub.web.login import COOKIE, Guesses
from starlette.testclient import TestClient
from tests.unit.web.conftest import HERE, PASSWORD, MakeClient


def sign_in(console: TestClient, name: str = "ann", password: str = PASSWORD) -> Any:
    return console.post("/api/v1/login", json={"name": name, "password": password}, headers=HERE)


def test_the_owner_can_sign_in_and_out(owner: str, console: TestClient) -> None:
    answer = sign_in(console)
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    me = console.get("/api/v1/me").json()
    assert (me["kind"], me["scopes"]) == ("user", ["*"])
    kept = console.cookies[COOKIE]
    assert console.post("/api/v1/logout", headers=HERE).status_code == 204
    console.cookies.set(COOKIE, kept)
    assert console.get("/api/v1/me").status_code == 401


def test_the_cookie_is_secure_where_the_hub_is_reached_by_https(owner: str, make_client: MakeClient) -> None:
    client = make_client("https://hub.example.org", public_url="https://hub.example.org")
    headers = {"origin": "https://hub.example.org"}
    answer = client.post("/api/v1/login", json={"name": "ann", "password": PASSWORD}, headers=headers)
    assert "Secure" in answer.headers["set-cookie"]


def test_a_wrong_name_and_a_wrong_password_look_alike(owner: str, console: TestClient) -> None:
    wrong_name, wrong_password = sign_in(console, "bob"), sign_in(console, password="no")
    assert wrong_name.status_code == wrong_password.status_code == 401
    assert wrong_name.json() == wrong_password.json()


def test_an_unknown_name_costs_the_same_work() -> None:
    checked: list[str] = []
    passwords = login.Passwords()

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            checked.append(str(hash))
            return super().verify(hash, password)

    passwords._hasher = Counting(time_cost=1, memory_cost=64, parallelism=1)
    assert not passwords.verify(None, "x" * 12)
    assert not passwords.verify(passwords.hash("y" * 12), "x" * 12)
    assert not passwords.verify(None, "no account has this password")
    assert len(checked) == 3


def test_guessing_is_slowed_down_by_address_and_nobody_locks_the_owner_out(owner: str, console: TestClient) -> None:
    for _ in range(5):
        assert sign_in(console, password="wrong").status_code == 401
    refused = sign_in(console)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    guesses = console.app.state.services.auth.guesses  # type: ignore[attr-defined]
    guesses.check(name="ann", address="another")


def test_the_memory_of_failed_logins_is_bounded() -> None:
    guesses = Guesses()
    guesses.ROOM = 50  # type: ignore[misc]
    for number in range(500):
        guesses.failed(name=str(number), address=str(number))
    assert len(guesses._seen) <= 50


def test_a_new_password_ends_the_sessions(owner: str, client: TestClient, console: TestClient) -> None:
    sign_in(console)
    answer = client.post("/api/v1/owner", json={"name": "ann", "password": "another password"})
    assert answer.json()["created"] is False
    assert console.get("/api/v1/me").status_code == 401
    assert sign_in(console, password="another password").status_code == 204


@pytest.mark.parametrize("change", ["", "x", "a.b", "{}.{}"])
def test_a_forged_or_damaged_cookie_is_no_session(owner: str, console: TestClient, change: str) -> None:
    sign_in(console)
    text, _, signature = console.cookies[COOKIE].partition(".")
    console.cookies.clear()
    forged = change or f"{text}A.{signature}"
    assert console.get("/api/v1/me", headers={"cookie": f"{COOKIE}={forged}"}).status_code == 401


def test_a_session_ends_after_a_week(owner: str, console: TestClient, memory: Store) -> None:
    with memory.read() as tx:
        user = identity.user_named(tx, DEFAULT_WORKSPACE, "ann")
    assert user is not None
    old = login.Session(user["id"], user["session_epoch"], now_us() - (login.LIFETIME + 1) * 1_000_000)
    value = login.seal(memory.keyring, old)
    assert console.get("/api/v1/me", headers={"cookie": f"{COOKIE}={value}"}).status_code == 401


def test_a_session_survives_a_new_key_and_a_restart() -> None:
    session = login.Session(new_id(), 0, now_us())
    value = login.seal(Keyring((b"1" * 32,)), session)
    assert login.unseal(Keyring((b"2" * 32, b"1" * 32)), value, now=now_us()) == session
    assert login.unseal(Keyring((b"2" * 32,)), value, now=now_us()) is None


def test_a_cookie_alone_cannot_change_anything(owner: str, console: TestClient) -> None:
    sign_in(console)
    put = {"url": "/api/v1/queues/q", "json": {}}
    assert console.put(**put).status_code == 403
    assert console.put(**put, headers={"origin": "https://evil.example"}).status_code == 403
    assert console.put(**put, headers=HERE).status_code == 200


def test_a_disabled_account_is_out_at_once(owner: str, console: TestClient, memory: Store) -> None:
    sign_in(console)
    with memory.write() as tx:
        tx.conn.execute(User.__table__.update().values(disabled_at=tx.now))  # type: ignore[attr-defined]
    assert console.get("/api/v1/me").status_code == 401
    assert sign_in(console).status_code == 401
