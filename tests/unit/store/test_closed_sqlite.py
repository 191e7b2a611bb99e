"""What a closed store lent out is closed when it is given back."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hub.store import open_store


def test_connections_given_back_after_the_store_was_closed_are_closed(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/hub.db")
    store.migrate()
    pinned = store.pin()
    seen: list[Any] = []
    with pinned.write() as tx:
        seen.append(tx.conn.connection.dbapi_connection)
    with store.read() as tx:
        seen.append(tx.conn.connection.dbapi_connection)
        store.close()
    pinned.close()
    for connection in seen:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")
