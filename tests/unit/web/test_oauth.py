"""The authorization server: a terminal that is let in, services that prove who they are, tokens taken back."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hub.crypto import Keyring
from hub.store import Store, device_logins
from hub.web.oauth import keys
from hub.web.oauth.server import ACCESS_SECONDS, LOGIN_SECONDS
from joserfc import jwk, jwt
from starlette.testclient import TestClient
from tests.unit.web.conftest import PASSWORD
from tests.unit.web.test_accounts import ann, browser, signed_in, user
from tests.unit.web.test_tokens import bearer

__all__ = ["ann"]
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
TERMINAL = {"client_id": "hub-cli"}
URL = "http://hub.example.org"


def terminal(ann: TestClient, **form: str) -> dict[str, Any]:
    answer = browser(ann).post("/oauth/device", data={**TERMINAL, **form})
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def ask(ann: TestClient, asked: dict[str, Any]) -> Any:
    form = {**TERMINAL, "grant_type": DEVICE, "device_code": asked["device_code"]}
    return browser(ann).post("/oauth/token", data=form)


def press(client: TestClient, asked: dict[str, Any], answer: str = "allow") -> Any:
    page = asked["verification_uri_complete"].removeprefix(URL)
    csrf = client.get(page).text.partition('name="csrf" value="')[2].partition('"')[0]
    return client.post("/ui/device", data={"csrf": csrf, "user_code": asked["user_code"], "answer": answer})


def test_a_terminal_comes_in_when_somebody_lets_it_in_and_may_what_they_may(ann: TestClient) -> None:
    user(ann, "ben", "operator")
    ben = signed_in(ann, "ben")
    asked = terminal(ann)
    assert asked["verification_uri"] == f"{URL}/ui/device"
    waiting = ask(ann, asked)
    assert (waiting.status_code, waiting.json()["error"]) == (400, "authorization_pending")
    assert ask(ann, asked).json()["error"] == "slow_down"
    assert "do what you may" in ben.get(asked["verification_uri_complete"].removeprefix(URL)).text
    assert "The terminal is in" in press(ben, asked).text
    given = ask(ann, asked).json()
    assert given["access_token"].startswith("hub_login_")
    assert given["expires_in"] == LOGIN_SECONDS
    me = browser(ann).get("/api/v1/me", headers=bearer(given["access_token"])).json()
    assert me["name"] == "ben"
    assert "users:read" not in me["scopes"]
    assert ask(ann, asked).json()["error"] == "invalid_request"
    ann.patch("/api/v1/users/ben", json={"disabled": True})
    assert browser(ann).get("/api/v1/me", headers=bearer(given["access_token"])).status_code == 401


def test_a_terminal_gets_no_more_than_the_scopes_it_asked_for(ann: TestClient) -> None:
    asked = terminal(ann, scope="runs:read events:read")
    assert "runs:read, events:read" in ann.get(asked["verification_uri_complete"].removeprefix(URL)).text
    press(ann, asked)
    mine = bearer(ask(ann, asked).json()["access_token"])
    assert browser(ann).get("/api/v1/runs", headers=mine).status_code == 200
    assert browser(ann).get("/api/v1/users", headers=mine).status_code == 403
    assert browser(ann).post("/oauth/device", data={**TERMINAL, "scope": "Everything!"}).status_code == 422


def test_a_refused_terminal_and_one_that_is_too_late_get_nothing(ann: TestClient, memory: Store) -> None:
    refused, late = terminal(ann), terminal(ann)
    assert "was refused" in press(ann, refused, "deny").text
    assert ask(ann, refused).json()["error"] == "access_denied"
    with memory.write() as tx:
        tx.conn.execute(device_logins.TABLE.update().values(expires_at=tx.now))
    assert ask(ann, late).json()["error"] == "expired_token"
    assert "no terminal waits" in press(ann, late).text


def test_codes_are_taken_as_people_type_them_and_guessing_is_slowed_down(ann: TestClient) -> None:
    asked = terminal(ann)
    typed = asked["user_code"].lower().replace("-", " ")
    assert asked["user_code"] in ann.get("/ui/device", params={"user_code": typed}).text
    for number in range(20):
        letters = "BCDFGHJK" if number % 2 else "ZZZZZZZZ"
        assert ann.get("/ui/device", params={"user_code": letters}).status_code == 404
    assert ann.get("/ui/device", params={"user_code": "ZZZZZZZZ"}).status_code == 429


def test_a_login_that_was_let_in_is_worthless_once_its_account_is_off(ann: TestClient) -> None:
    user(ann, "ben", "operator")
    asked = terminal(ann)
    press(signed_in(ann, "ben"), asked)
    ann.patch("/api/v1/users/ben", json={"disabled": True})
    assert ask(ann, asked).json()["error"] == "access_denied"


def test_asking_for_logins_is_limited_by_address(ann: TestClient) -> None:
    for _ in range(10):
        terminal(ann)
    assert browser(ann).post("/oauth/device", data=TERMINAL).status_code == 429


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({}, 400), ({"client_id": "nobody"}, 400), ({"client_id": "ann"}, 400), ({"client_id": ["hub-cli", "x"]}, 422),
    ],
)  # fmt: skip
def test_nobody_else_asks_for_logins(ann: TestClient, form: dict[str, Any], status: int) -> None:
    assert browser(ann).post("/oauth/device", data=form).status_code == status


# --- services ----------------------------------------------------------------------------------------------------


def service(ann: TestClient, role: str = "operator", **more: Any) -> str:
    made = ann.post("/api/v1/users", json={"name": "deployer", "role": role, "kind": "service", **more})
    assert made.status_code == 201, made.text
    token = ann.post("/api/v1/tokens", json={"name": "ci", "account": "deployer"}).json()["token"]
    return str(token)


def test_a_service_gets_a_short_token_for_its_secret(ann: TestClient) -> None:
    secret = service(ann)
    client = browser(ann)
    form = {"grant_type": "client_credentials", "scope": "runs:read"}
    given = client.post("/oauth/token", data=form, auth=("deployer", secret)).json()
    assert given["expires_in"] == ACCESS_SECONDS
    mine = bearer(given["access_token"])
    assert client.get("/api/v1/runs", headers=mine).status_code == 200
    assert client.get("/api/v1/deployments", headers=mine).status_code == 403
    for name, text in (("deployer", "hub_api_wrong"), ("nobody", secret), ("ann", PASSWORD)):
        assert client.post("/oauth/token", data=form, auth=(name, text)).status_code in (400, 401)
    assert client.post("/oauth/token", data={**form, "client_id": "hub-cli"}).status_code in (400, 401)
    chained = client.post("/oauth/token", data=form, auth=("deployer", given["access_token"]))
    assert chained.status_code == 401  # a short token makes no further ones


KINDS = {"ES256": ("EC", "P-256"), "Ed25519": ("OKP", "Ed25519")}


def signed(key: Any, algorithm: str, **claims: Any) -> dict[str, str]:
    now = int(time.time())
    given = {
        "iss": "deployer",
        "sub": "deployer",
        "aud": URL,
        "iat": now,
        "exp": now + 60,
        "jti": "a-random-one",
        **claims,
    }
    text = jwt.encode({"alg": algorithm}, {k: v for k, v in given.items() if v}, key, algorithms=[algorithm])
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    return {"grant_type": "client_credentials", "client_assertion_type": kind, "client_assertion": text}


@pytest.mark.parametrize("algorithm", list(KINDS))
def test_a_service_proves_who_it_is_with_a_key_once_by_each_assertion(ann: TestClient, algorithm: str) -> None:
    key = jwk.generate_key(*KINDS[algorithm])
    service(ann, public_key=key.as_dict(private=False))
    client = browser(ann)
    given = client.post("/oauth/token", data=signed(key, algorithm))
    assert given.status_code == 200, given.text
    assert client.get("/api/v1/runs", headers=bearer(given.json()["access_token"])).status_code == 200
    again = client.post("/oauth/token", data=signed(key, algorithm))
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert client.post("/oauth/token", data=signed(key, algorithm, jti="another-one")).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "https://elsewhere.example"}, {"iss": "ann"}, {"sub": "nobody"}, {"exp": 1_000_000}, {"jti": ""},
        {"exp": 4_000_000_000}, {"sub": "ann", "iss": "ann"},
    ],
)  # fmt: skip
def test_an_assertion_that_is_not_for_us_now_is_refused(ann: TestClient, wrong: dict[str, Any]) -> None:
    key = jwk.generate_key("EC", "P-256")
    service(ann, public_key=key.as_dict(private=False))
    answer = browser(ann).post("/oauth/token", data=signed(key, "ES256", **wrong))
    assert (answer.status_code, answer.json()["error"]) in {(400, "invalid_client"), (401, "invalid_client")}


def test_a_key_of_somebody_else_and_a_secret_as_key_are_refused(ann: TestClient) -> None:
    key, other = (jwk.generate_key("EC", "P-256") for _ in range(2))
    service(ann, public_key=key.as_dict(private=False))
    assert browser(ann).post("/oauth/token", data=signed(other, "ES256")).json()["error"] == "invalid_client"
    shared = jwk.generate_key("oct", 256)
    for given in (key.as_dict(private=True), shared.as_dict()):
        answer = ann.patch("/api/v1/users/deployer", json={"public_key": given})
        assert answer.status_code == 422, answer.text


# --- taking back and asking --------------------------------------------------------------------------------------


def test_a_token_is_taken_back_by_whom_it_was_given_to(ann: TestClient) -> None:
    secret = service(ann)
    asked = terminal(ann)
    press(ann, asked)
    login = ask(ann, asked).json()["access_token"]
    client = browser(ann)
    access = client.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=("deployer", secret)).json()
    wrong = client.post("/oauth/revoke", data={**TERMINAL, "token": access["access_token"]})
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
    for form, how in (
        ({**TERMINAL, "token": login}, {}),
        ({"token": access["access_token"]}, {"auth": ("deployer", secret)}),
    ):
        assert client.get("/api/v1/me", headers=bearer(form["token"])).status_code == 200
        assert client.post("/oauth/revoke", data=form, **how).status_code == 200
        assert client.get("/api/v1/me", headers=bearer(form["token"])).status_code == 401
    assert client.post("/oauth/revoke", data={**TERMINAL, "token": "hub_login_unknown"}).status_code == 200


def test_a_service_asks_about_its_own_tokens_and_with_the_role_about_all(ann: TestClient) -> None:
    secret = service(ann)
    other = ann.post("/api/v1/tokens", json={"name": "x", "scopes": ["runs:read"]}).json()["token"]

    def told(token: str) -> Any:
        return browser(ann).post("/oauth/introspect", data={"token": token}, auth=("deployer", secret)).json()

    assert told(secret)["username"] == "deployer"
    assert told(other) == {"active": False}
    ann.patch("/api/v1/users/deployer", json={"role": "admin"})
    found = told(other)
    assert (found["active"], found["scope"], found["username"]) == (True, "runs:read", "ann")
    assert told("hub_api_unknown") == {"active": False}
    assert browser(ann).post("/oauth/introspect", data={**TERMINAL, "token": other}).status_code in (400, 401)


def test_libraries_find_the_endpoints_and_the_keys(ann: TestClient) -> None:
    found = ann.get("/.well-known/oauth-authorization-server").json()
    assert found["issuer"] == URL
    assert found["device_authorization_endpoint"] == f"{URL}/oauth/device"
    assert set(found["token_endpoint_auth_methods_supported"]) >= {"none", "private_key_jwt"}
    published = ann.get("/.well-known/jwks.json").json()["keys"]
    assert [(key["kty"], key["alg"], "d" in key) for key in published] == [("EC", "ES256", False)]


def test_keys_rotate_with_the_installations_and_the_old_ones_stay_published() -> None:
    old, new = Keyring((b"1" * 32,)), Keyring((b"2" * 32, b"1" * 32))
    before, after = keys.public(old)["keys"], keys.public(new)["keys"]
    assert after[1] == before[0]
    text = jwt.encode({"alg": "ES256"}, {"sub": "x"}, keys.signing(new)[0])
    assert jwt.decode(text, jwk.import_key(after[0])).claims == {"sub": "x"}
