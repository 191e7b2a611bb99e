"""The hook hub_auth_authenticate: whom a stranger's plugin vouches for, and that its failure lets nobody in."""

from __future__ import annotations

import pytest

from .conftest import HERE, MakeClient

URL = "http://hub.example.org"


@pytest.mark.parametrize(
    ("headers", "user", "read", "write"),
    [
        ({"x-echo-user": "ada"}, "ada:viewer", 200, 403),
        ({"x-echo-user": "ada"}, "ada:operator", 200, 201),
        ({"x-echo-user": "ada", "authorization": "Bearer of-somebody-else"}, "ada:operator", 200, 201),
        ({"x-echo-user": "bob"}, "ada:operator", 401, 401),
        ({"x-echo-user": "raise"}, "ada:operator", 401, 401),
        ({"x-echo-user": "a b"}, "a b:operator", 401, 401),
        ({"x-echo-user": "ada"}, "ada:king", 401, 401),
        ({"x-echo-user": "ada", "authorization": "Bearer hub_api_wrong"}, "ada:operator", 401, 401),
        ({}, "ada:operator", 401, 401),
    ],
)
def test_who_is_vouched_for_may_do_what_the_role_may(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], user: str, read: int, write: int
) -> None:
    monkeypatch.setenv("ECHO_USER", user)
    make_client().put("/api/v1/deployments/nightly", json={"flow_name": "f", "entrypoint": "f.py:f"})
    client = make_client(URL, public_url=URL, plugins="only:echo")
    assert client.get("/api/v1/runs", headers=headers).status_code == read
    answer = client.post("/api/v1/deployments/nightly/runs", json={}, headers={**headers, **HERE})
    assert answer.status_code == write, answer.text
    if write == 201:
        audit = make_client().get("/api/v1/audit").json()["items"]
        assert audit[0]["actor"] == "plugin:echo/ada"
    if "authorization" not in headers and write == 201:
        # A browser sends what it is known by along with what another page asks of it.
        unmarked = client.post("/api/v1/deployments/nightly/runs", json={}, headers=headers)
        assert (unmarked.status_code, unmarked.json()["code"]) == (403, "cross-site")
