"""The connection kept for the task journal, on every store."""

from __future__ import annotations

import pytest
from hub.store import Store
from hub.store.base import Pinned
from hub.store.tables import Leader

TABLE = Leader.__table__  # type: ignore[attr-defined]


def names(store: Store) -> list[str]:
    with store.read() as tx:
        return sorted(tx.conn.execute(TABLE.select()).scalars())


def interrupted(pinned: Pinned) -> None:
    with pinned.write() as tx:
        tx.insert(TABLE, {"name": "b", "holder": "x", "fence": 1, "lease_until": 1})
        raise KeyboardInterrupt


def test_it_commits_each_write_and_undoes_one_that_fails(store: Store) -> None:
    pinned = store.pin()
    try:
        with pinned.write() as tx:
            tx.insert(TABLE, {"name": "a", "holder": "x", "fence": 1, "lease_until": 1})
        with pytest.raises(KeyboardInterrupt):
            interrupted(pinned)
        with pinned.write() as tx:
            raw = tx.conn.connection.dbapi_connection
            assert raw is not None
            raw.cursor().execute("INSERT INTO leaders (name, holder, fence, lease_until) VALUES ('c', 'x', 1, 1)")
        assert names(store) == ["a", "c"]
    finally:
        pinned.close()
    pinned.close()
