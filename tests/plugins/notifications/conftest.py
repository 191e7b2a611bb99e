"""The world of services, for all tests of sending."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .services import World, serve


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
