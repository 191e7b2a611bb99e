"""One key host for all tests of a process, empty for each of them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.keyhost import KeyHost, serve

from .keyed import Bench


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyHost]:
    with serve(tmp_path_factory.mktemp("keyhost")) as host:
        yield host


@pytest.fixture
def bench(running: KeyHost) -> Bench:
    running.replies, running.addresses, running.down = {}, {}, False
    for kept in (running.seen, running.dialled, running.resolved):
        kept.clear()
    return Bench(running, int(time.time()))
