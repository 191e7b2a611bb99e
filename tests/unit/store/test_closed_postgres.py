"""What a closed store lent out is closed when it comes back, also late; a database of another encoding is refused."""

from __future__ import annotations

import pytest
from hub.errors import SettingError
from hub.store import open_store
from hub.store.raw import execute
from sqlalchemy import event
from tests import databases


def test_connections_given_back_after_the_store_was_closed_are_closed(postgres_url: str) -> None:
    store = open_store(postgres_url)
    seen: list[object] = []
    with store.read() as tx:
        raw = tx.conn.connection.dbapi_connection
        seen.append(raw)
        store.close()
        assert execute(tx, "SELECT 1").fetchone() == (1,)
    assert getattr(seen[0], "closed", None) is True

    event.listen(store._engine, "connect", lambda connection, _record: seen.append(connection))  # type: ignore[attr-defined]
    with store.read() as tx:
        assert execute(tx, "SELECT 1").fetchone() == (1,)
    assert len(seen) == 2
    assert getattr(seen[1], "closed", None) is True


def test_a_database_that_does_not_hold_every_character_is_refused(postgres_url: str) -> None:
    with databases.own(postgres_url, "TEMPLATE template0 ENCODING SQL_ASCII LOCALE 'C'") as url:
        store = open_store(url)
        try:
            with pytest.raises(SettingError, match="is encoded in SQL_ASCII, not UTF8"), store.read():
                pass
        finally:
            store.close()
