"""Fixtures that every test may use: real services where they are, a reason where they are not."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hub.store import Store, open_store

_DEFAULTS = {
    "HUB_TEST_POSTGRES_URL": "postgresql://postgres@127.0.0.1:5432/test",
    "HUB_TEST_REDIS_URL": "redis://127.0.0.1:6379/0",
    "HUB_TEST_RABBITMQ_URL": "amqp://guest:guest@127.0.0.1:5672//",
}


def service(name: str) -> str:
    """The URL of a real service. Skips without it, fails where HUB_TEST_REQUIRE_SERVICES=1."""
    url = os.environ.get(name, _DEFAULTS[name])
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 0), timeout=2).close()
    except OSError as error:
        message = f"{name}: nothing answers at {parts.hostname}:{parts.port} ({error})"
        if os.environ.get("HUB_TEST_REQUIRE_SERVICES") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return url


@pytest.fixture(autouse=True)
def _no_inherited_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A developer's own HUB_ variables and home must not reach a test."""
    for name in list(os.environ):
        if name.startswith("HUB_") and not name.startswith("HUB_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HUB_HOME", str(tmp_path / "home"))


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """A database of its own on the real server, dropped afterwards."""
    import psycopg

    base = service("HUB_TEST_POSTGRES_URL")
    name = f"hub_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(base, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    try:
        yield base.rsplit("/", 1)[0] + f"/{name}"
    finally:
        with psycopg.connect(base, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def redis_url() -> str:
    """The shared Redis; tests use queue names of their own on it."""
    return service("HUB_TEST_REDIS_URL")


@pytest.fixture
def rabbitmq_url() -> str:
    """The shared RabbitMQ; tests use queue names of their own on it."""
    return service("HUB_TEST_RABBITMQ_URL")


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Every store there is, migrated and empty: one suite for all."""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    else:
        url = "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path}/store/hub.db"
    opened = open_store(url)
    opened.migrate()
    try:
        yield opened
    finally:
        opened.close()
