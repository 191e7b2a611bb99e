"""Fixtures that every test may use: real services where they are, a reason where they are not."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hub import redacting
from hub.runtime import contributed, presets
from hub.store import Store, open_store
from hypothesis import settings
from tests import databases

_DEFAULTS = {
    "HUB_TEST_POSTGRES_URL": "postgresql://postgres@127.0.0.1:5432/test",
    "HUB_TEST_REDIS_URL": "redis://127.0.0.1:6379/0",
    "HUB_TEST_RABBITMQ_URL": "amqp://guest:guest@127.0.0.1:5672//",
    "HUB_TEST_MQTT_URL": "mqtt://127.0.0.1:1883",
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


# On a busy machine a deadline says how long others held it, not how long the code took.
settings.register_profile("hub", deadline=None)
settings.load_profile("hub")


def pytest_configure(config: pytest.Config) -> None:
    """Processes of tests hear Ctrl-C also where a shell has started the tests in the background, which ignores it.

    Fixtures that last longer than a test have a home of their own, too, not that of a developer.
    """
    os.environ["HUB_HOME"] = tempfile.mkdtemp(prefix="hub-tests-")
    config.add_cleanup(lambda home=os.environ["HUB_HOME"]: shutil.rmtree(home, ignore_errors=True))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell why a test failed that passed when it was tried again: it is a bug that is still to be mended."""
    for report in terminalreporter.stats.get("rerun", ()):
        terminalreporter.write_sep("_", f"at first: {report.nodeid}")
        terminalreporter.write_line("\n".join(report.longreprtext.splitlines()[-60:]))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked `long` is left to scripts/soak; `long("a-b")` means the variants with a and b in their id."""
    if os.environ.get("HUB_TEST_LONG") == "1":
        return
    left = [item for item in items if _is_long(item)]
    if left:
        items[:] = [item for item in items if not _is_long(item)]
        config.hook.pytest_deselected(items=left)


def _is_long(item: pytest.Item) -> bool:
    variant = item.name.partition("[")[2].removesuffix("]")
    names = set(variant.split("-"))
    for mark in item.iter_markers("long"):
        if mark.args and not variant:
            raise pytest.UsageError(f"{item.nodeid}: long() names variants of a test that has none")
        if not mark.args or any(names.issuperset(which.split("-")) for which in mark.args):
            return True
    return False


@pytest.fixture(autouse=True)
def _no_inherited_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A developer's own HUB_ variables and home must not reach a test."""
    for name in list(os.environ):
        if name.startswith("HUB_") and not name.startswith("HUB_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)  # is for this run, not for those that a test starts
    monkeypatch.setenv("HUB_HOME", str(tmp_path / "home"))


@pytest.fixture(autouse=True)
def _secrets_of_one_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test made known as a secret must not be blotted out of the texts of others."""
    monkeypatch.setattr(redacting, "_known", redacting._known)


_OURS = {"postgresql", "rabbitmq", "slack"}
"""Kinds of connection of three plugins of ours: where one is missing, a test has left some out."""


@pytest.fixture(autouse=True)
def _plugins_of_one_test() -> Iterator[None]:
    """A test that loads some plugins only, or none, must not leave the others of its process without them."""
    before = contributed._installed, contributed._hooks, contributed.around_task
    yield
    found = contributed._installed
    if found is None or not found.connections.keys() >= _OURS:
        contributed._installed, contributed._hooks, contributed.around_task = before


@pytest.fixture
def every_plugin() -> Iterator[None]:
    """For a test that needs kinds and presets which some plugin brings, whatever others of its process left out."""
    with contributed.apart(), presets.apart():
        yield


@pytest.fixture(scope="session")
def _kept_postgres_url() -> Iterator[str]:
    with databases.migrated(service("HUB_TEST_POSTGRES_URL")) as url:
        yield url


@pytest.fixture
def postgres_url(_kept_postgres_url: str) -> Iterator[str]:
    """A migrated, empty database on the real server, for this test alone."""
    yield _kept_postgres_url
    databases.empty(_kept_postgres_url)


@pytest.fixture
def own_postgres_url() -> Iterator[str]:
    """A new database without a schema, for tests that do more to it than fill its tables."""
    with databases.own(service("HUB_TEST_POSTGRES_URL")) as url:
        yield url


@pytest.fixture
def redis_url() -> str:
    """The shared Redis; tests use queue names of their own on it."""
    return service("HUB_TEST_REDIS_URL")


@pytest.fixture
def rabbitmq_url() -> str:
    """The shared RabbitMQ; tests use queue names of their own on it."""
    return service("HUB_TEST_RABBITMQ_URL")


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database; a copy is made in a tenth of the time."""
    path = tmp_path_factory.mktemp("template") / "hub.db"
    opened = open_store(f"sqlite:///{path}")
    opened.migrate()
    opened.close()
    return path


# Only users' own tests keep a hub in memory; scripts/soak tries that too.
@pytest.fixture(params=[pytest.param("memory", marks=pytest.mark.long), "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Every store there is, migrated and empty: one suite for all."""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    elif request.param == "memory":
        url = "sqlite://"
    else:
        (tmp_path / "store").mkdir(mode=0o700)
        shutil.copyfile(request.getfixturevalue("_sqlite_template"), tmp_path / "store" / "hub.db")
        url = f"sqlite:///{tmp_path}/store/hub.db"
    opened = open_store(url)
    if request.param == "memory":
        opened.migrate()
    try:
        yield opened
    finally:
        opened.close()
