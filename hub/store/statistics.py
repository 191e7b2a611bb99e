"""What PostgreSQL's planner knows of tables, kept up to date while they are young.

PostgreSQL looks at a table once a minute at most (`autovacuum_naptime`). Until then a table that was empty is planned
as one of a few rows, for which every index is as good as the primary key; plans made then are kept, and read thousands
of rows for each that is wanted once a burst has filled it.
"""

from __future__ import annotations

from sqlalchemy import text

from hub.store.base import Tx

LEAST = 500
SHARE = 0.3
_LOCK = 0x48554254
_STALE = text(
    "SELECT told.relname FROM pg_stat_user_tables AS told JOIN pg_class ON pg_class.oid = told.relid"
    " WHERE schemaname = current_schema() AND n_mod_since_analyze > :least + :share * greatest(reltuples, 0)"
)


def refresh(tx: Tx) -> list[str]:
    """Look again at tables of which a good part has changed since it was last done; gives their names.

    PostgreSQL only; nothing is done while another process does it.
    """
    found = [row.relname for row in tx.conn.execute(_STALE, {"least": LEAST, "share": SHARE})]
    if not found or not tx.conn.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK}).scalar():
        return []
    # A sample of 3,000 rows is enough for choosing an index, and its cost does not grow with the table.
    tx.conn.execute(text("SET LOCAL default_statistics_target = 10"))
    quote = tx.conn.dialect.identifier_preparer.quote
    tx.conn.execute(text(f"ANALYZE {', '.join(map(quote, found))}"))
    return found
