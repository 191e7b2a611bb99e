from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hub.settings import Settings
from hub.store import Store, open_store
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
        app = build_app(Settings(plugins="none", **settings), memory)
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
