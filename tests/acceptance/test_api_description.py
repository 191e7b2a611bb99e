"""The API against its own description: what schemathesis makes up from it, on a real store, plugins included."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import schemathesis
from hub.runtime.commands import Command, apply
from hub.settings import Settings
from hub.store import Store, open_store
from hub.types import Scope
from hub.web.app import build_app
from hub.web.auth import LOCAL
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from tests.conftest import service

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
HOST = "testserver"  # what schemathesis calls the application


def _application(url: str) -> tuple[Store, Any]:
    store = open_store(url)
    store.migrate()
    return store, build_app(Settings(web_hosts=(HOST,)), store)


class Late:
    """Stands for the application from collection on; the fixture puts it on its database."""

    app: Any = None
    requests = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.requests += 1
        await self.app(scope, receive, send)


LATE = Late()
LATE.app = _application("sqlite://")[1]
# The stream has no end, and is tested by itself.
schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", LATE).exclude(path="/api/v1/stream")


@pytest.fixture(scope="module")
def token() -> Iterator[str]:
    """Put the application on its database: PostgreSQL where it runs, which minds more than SQLite does."""
    with _database() as url:
        store, LATE.app = _application(url)
        made = apply(store, Command("token.create", Scope(actor=LOCAL), args={"name": "t"}))
        before = LATE.requests
        yield str(made.result["token"])
        assert LATE.requests > before, "the requests went elsewhere"
        store.close()


@contextmanager
def _database() -> Iterator[str]:
    try:
        base = service("HUB_TEST_POSTGRES_URL")
    except pytest.skip.Exception:
        yield "sqlite://"
        return
    name = f"hub_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(base, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
        try:
            yield base.rsplit("/", 1)[0] + f"/{name}"
        finally:
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@schema.parametrize()
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_api_does_what_its_description_says(case: schemathesis.Case, token: str) -> None:
    headers = {"authorization": f"Bearer {token}"}
    case.call_and_validate(headers=headers, checks=CHECKS)
