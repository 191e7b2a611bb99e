"""What a closed store lent out, or lends to a thread that comes back late, is closed when it is given back."""

from __future__ import annotations

from hub.store import open_store
from hub.store.raw import execute
from sqlalchemy import event


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
