"""The world of services, for all tests of sending."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .services import Mails, World, certificates, mail_server, serve


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serve(tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture
def world(running: World) -> World:
    for list_ in (running.got, running.dialled, running.replies):
        list_.clear()
    running.names.clear()
    running.ports.clear()
    return running


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificates(tmp_path_factory.mktemp("mail"))


@pytest.fixture
def mails(world: World, chain: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Mails]:
    monkeypatch.setenv("SSL_CERT_FILE", str(chain[0]))
    with mail_server(tmp_path, chain=chain[1]) as running:
        world.ports[587] = running.port
        yield running
