"""A site and a plane that do not know each other yet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .world import PlaneEnd, SiteEnd, memory_store


@pytest.fixture
def site() -> Iterator[SiteEnd]:
    store = memory_store()
    yield SiteEnd(store)
    store.close()


@pytest.fixture
def plane() -> Iterator[PlaneEnd]:
    store = memory_store()
    end = PlaneEnd(store, "cloud")
    yield end
    end.network.shut()
    store.close()
