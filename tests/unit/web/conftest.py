from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from argon2 import PasswordHasher
from hub.settings import Settings
from hub.store import Store, open_store
from hub.web import login
from hub.web.app import build_app
from starlette.testclient import TestClient


@pytest.fixture
def memory() -> Iterator[Store]:
    """A store in memory, for tests of what is above it."""
    store = open_store("sqlite://")
    store.migrate()
    yield store
    store.close()


MakeClient = Callable[..., TestClient]


@pytest.fixture
def make_client(memory: Store) -> Iterator[MakeClient]:
    """Make clients of applications with chosen settings, all on one store, without plugins."""
    made: list[TestClient] = []

    def make(base_url: str = "http://localhost", **settings: Any) -> TestClient:
        app = build_app(Settings(**{"plugins": "none", **settings}), memory)
        client = TestClient(app, base_url=base_url, raise_server_exceptions=False)
        made.append(client)
        return client.__enter__()

    yield make
    for client in made:
        client.__exit__()


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    """The local owner's client."""
    return make_client()


@pytest.fixture
def console(make_client: MakeClient) -> TestClient:
    """A hub that others can reach: everybody must say who they are."""
    return make_client("http://hub.example.org", public_url="http://hub.example.org")


HERE = {"origin": "http://hub.example.org"}
PASSWORD = "correct horse battery"


@pytest.fixture
def owner(client: TestClient) -> str:
    """The owner's name; the password is PASSWORD."""
    assert client.post("/api/v1/owner", json={"name": "ann", "password": PASSWORD}).status_code == 201
    return "ann"


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real algorithm with small parameters: what is tested is not how slow it is."""
    monkeypatch.setattr(login, "PasswordHasher", lambda: PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
