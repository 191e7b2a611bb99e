"""References to secrets in place of secrets: kept as they are, resolved where the secret is used, never shown."""

from __future__ import annotations

import json

import pytest
from hub.errors import UsageError
from hub.runtime import connections as known
from hub.runtime.commands import Command, apply
from hub.store import Store
from hub.types import Scope
from tests.planes.conftest import Plane

from .doors import EVENT, PUSH, make, serve

SCOPE = Scope()
VALUE = "canary-value-4711"


def connect(store: Store, password: str) -> None:
    args = {"name": "warehouse", "kind": "postgresql", "fields": {"database": "x", "password": password}}
    apply(store, Command("connection.set", SCOPE, "warehouse", {**args, "replace": True}))


def test_a_connection_has_the_secret_that_it_refers_to_as_it_is_now(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(store, "env:HUB_SECRET_DB")
    for value in (VALUE, "another"):
        monkeypatch.setenv("HUB_SECRET_DB", value)
        assert known.load(store, SCOPE, "warehouse").settings.password.get_secret_value() == value
    connect(store, "env://is-no-reference")
    assert known.load(store, SCOPE, "warehouse").settings.password.get_secret_value() == "env://is-no-reference"


@pytest.mark.parametrize("text", ["env:", "vault:two words#x", "plugin:ü", "file:/" + "x" * 1001])
def test_a_reference_that_nothing_could_resolve_is_refused(store: Store, text: str) -> None:
    with pytest.raises(UsageError, match="a reference to a secret is one word"):
        connect(store, text)


def test_a_task_fails_where_its_secret_is_unavailable_and_the_run_says_which(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(plane.store, "env:HUB_SECRET_DB")
    code = """
@task
def t():
    secret = connection('warehouse').password.get_secret_value()
    get_run_logger().info("it is %s", secret)
    return len(secret)
@flow
def f(): return t()
"""
    file = plane.file(code)
    failed = plane.execute(f"{file}:f")
    assert failed["state_name"] == "Failed"
    assert "secret unavailable: env:HUB_SECRET_DB" in failed["state_message"]
    monkeypatch.setenv("HUB_SECRET_DB", VALUE)
    done = plane.execute(f"{file}:f")
    assert json.loads(done["result"]) == len(VALUE)
    assert VALUE not in json.dumps([plane.logs(), plane.tasks(), plane.rows()], default=str)
    assert any("it is ***" in line for _, line in plane.logs())


def test_a_source_verifies_by_what_it_refers_to_and_by_nothing_else(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(store, secret="env:HUB_SECRET_CI")
    with serve(store) as door:

        def knock(secret: str, ident: str) -> int:
            return int(door.knock(source, PUSH, EVENT | {"X-GitHub-Delivery": ident}, secret=secret).status_code)

        assert knock("env:HUB_SECRET_CI", "1") == 503, "a name is no secret, and nothing can be judged without one"
        monkeypatch.setenv("HUB_SECRET_CI", VALUE)
        assert knock(VALUE, "2") == 202
        assert knock("env:HUB_SECRET_CI", "3") == 401


def test_a_source_signs_for_its_own_door_with_what_it_refers_to(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from hub.runtime.commands.signing import signed

    source = make(store, secret="env:HUB_SECRET_CI")
    monkeypatch.setenv("HUB_SECRET_CI", VALUE)
    made = apply(store, Command("source.sign", SCOPE, source.name, {"url": "http://x"})).result
    assert VALUE not in json.dumps(made, default=str)
    with serve(store) as door:
        request = signed(made).request
        assert door.post(source.path, request.body, dict(request.headers)).status_code == 202
