"""A PostgreSQL database for tests: made and migrated once per process, emptied after each test that used it.

Making one takes half a second, which is longer than most tests.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import LiteralString

import psycopg
from hub.store import open_store, schema
from hub.store.tables import metadata
from sqlalchemy import Engine, create_engine


@contextmanager
def own(base: str, options: LiteralString = "") -> Iterator[str]:
    """A new database on the server of `base`, empty and not migrated; dropped afterwards."""
    name = f"hub_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(base, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" {options}')
        # Nobody pulls the plug of the machine in a test, so no commit need wait for the disk.
        admin.execute(f'ALTER DATABASE "{name}" SET synchronous_commit TO off')
    try:
        yield base.rsplit("/", 1)[0] + f"/{name}"
    finally:
        with psycopg.connect(base, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextmanager
def migrated(base: str) -> Iterator[str]:
    """The same with the schema of this version."""
    with own(base) as url:
        store = open_store(url)
        store.migrate()
        store.close()
        try:
            yield url
        finally:
            _engine(url).dispose()


@cache
def _engine(url: str) -> Engine:
    """Kept: to make one and connect takes as long as the rest of `empty`."""
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


_FULL = " UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM \"{table}\")" for table in metadata.tables)


def empty(url: str) -> None:
    """Take a migrated database back to how a new one is, and end whatever is still connected to it."""
    with _engine(url).begin() as conn:
        conn.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        # Not TRUNCATE: it makes new files for every table and index, which takes seconds.
        full = conn.exec_driver_sql(_FULL).scalars().all()
        conn.exec_driver_sql("; ".join(f'DELETE FROM "{table}"' for table in full) or "SELECT 1")
        conn.exec_driver_sql(
            "SELECT setval((quote_ident(schemaname) || '.' || quote_ident(sequencename))::regclass, 1, false)"
            " FROM pg_sequences"
        )
        schema.seed(conn)
