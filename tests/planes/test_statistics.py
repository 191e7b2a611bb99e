"""Statistics of young tables on PostgreSQL: made before its own helper comes round."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hub.runtime.statistics import Statistics
from hub.store import Store, open_store, statistics
from sqlalchemy import text

from .test_stream import emit


def analyzed(store: Store) -> dict[str, float]:
    """How many rows PostgreSQL takes each table for; -1 as long as it never looked."""
    with store.read() as tx:
        found = tx.conn.execute(text("SELECT relname, reltuples FROM pg_class WHERE relkind = 'r'"))
        return {row.relname: row.reltuples for row in found}


@pytest.fixture
def postgres(own_postgres_url: str) -> Iterator[Store]:
    """Never used before, as PostgreSQL remembers what a table once held. SQLite plans by its indexes alone."""
    store = open_store(own_postgres_url)
    store.migrate()
    yield store
    store.close()


def test_a_table_that_has_filled_up_is_looked_at_once(postgres: Store) -> None:
    emit(postgres, statistics.LEAST + 1)
    deadline = time.monotonic() + 20
    looked: list[str] = []
    while not looked and time.monotonic() < deadline:  # counts are told a little later
        with postgres.write() as tx:
            looked = statistics.refresh(tx)
        time.sleep(0.2)
    assert looked == ["events"]
    assert analyzed(postgres)["events"] == statistics.LEAST + 1
    with postgres.write() as tx:
        assert "events" not in statistics.refresh(tx)


def test_upkeep_does_it(postgres: Store) -> None:
    emit(postgres, statistics.LEAST + 1)
    deadline = time.monotonic() + 20
    while analyzed(postgres)["events"] < 0 and time.monotonic() < deadline:
        assert not Statistics(postgres).step()
        time.sleep(0.2)
    assert analyzed(postgres)["events"] == statistics.LEAST + 1
