"""A broker of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub.store import Store, open_store

from .brokers import ALL, Broker


@pytest.fixture(autouse=True)
def all_plugins(every_plugin: None) -> None:
    """Kinds and presets of all plugins are needed here."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """One database is enough: what differs between them is how receipts are committed, which is tested elsewhere."""
    opened = open_store(f"sqlite:///{tmp_path}/store/hub.db")
    opened.migrate()
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture(params=list(ALL))
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    with ALL[request.param]() as found:
        yield found
