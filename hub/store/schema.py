"""Bringing a database to this version's schema, with Alembic."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_mock_engine, inspect, text

from hub.errors import UnavailableError
from hub.store.tables import metadata
from hub.types import DEFAULT_WORKSPACE, new_id, now_us

SCRIPTS = Path(__file__).parent / "migrations"
HEAD = "0051"
"""The revision of this version's schema; a test compares it with the scripts."""


def upgrade(engine: Engine) -> None:
    """Bring the database to HEAD, wholly or not at all. Refuses a database of a newer hub.

    An empty one gets its tables at once, without the history and without Alembic, which takes 0.2 s to load.
    """
    current = revision(engine)
    if current == HEAD:
        return
    with engine.connect() as conn, _in_one(conn):
        if current is None and not inspect(conn).get_table_names():
            _make_tables(conn)
            note_revision(conn)
        else:
            run_scripts(conn, current)
        seed(conn)


@contextmanager
def _in_one(conn: Connection) -> Iterator[None]:
    """One transaction for all: a process killed halfway leaves nothing that the next would trip over."""
    if conn.dialect.name == "sqlite":
        # Its connections commit each statement unless told otherwise.
        conn.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        conn.exec_driver_sql("ROLLBACK") if conn.dialect.name == "sqlite" else conn.rollback()
        raise
    conn.exec_driver_sql("COMMIT") if conn.dialect.name == "sqlite" else conn.commit()


def run_scripts(conn: Connection, current: str | None = None) -> None:
    """Run the migrations that `current` lacks, in the transaction of `conn`."""
    from alembic import command  # noqa: PLC0415 - 0.2 s that every command line would pay
    from alembic.config import Config  # noqa: PLC0415 - as above
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise UnavailableError(
            f"the database has schema {current}, which this version of the hub does not know",
            hint="It was written by a newer hub: install that version.",
            code="schema-too-new",
        )
    config.attributes["connection"] = conn
    command.upgrade(config, "head")


def note_revision(conn: Connection) -> None:
    """Write down, as Alembic does, that the schema is at HEAD."""
    conn.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    conn.execute(text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": HEAD})


def revision(engine: Engine) -> str | None:
    """The schema's revision as Alembic noted it; None for a database without one."""
    with engine.connect() as conn:
        if not inspect(conn).has_table("alembic_version"):
            return None
        found: str | None = conn.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return found


def create_all(conn: Connection) -> None:
    """Make the tables directly; for the store in memory, whose life is one process."""
    if conn.exec_driver_sql("SELECT 1 FROM sqlite_master LIMIT 1").first() is None:
        _make_tables(conn)
    else:
        metadata.create_all(conn)
    seed(conn)
    conn.commit()


def _make_tables(conn: Connection) -> None:
    if conn.dialect.name != "sqlite":
        metadata.create_all(conn, checkfirst=False)
        return
    for statement in _made_once(tuple(metadata.tables)):
        conn.exec_driver_sql(statement)


@cache
def _made_once(_tables: tuple[str, ...]) -> list[str]:
    """What makes all tables of SQLite. To put it together takes three times as long as to do it."""
    statements: list[str] = []

    def note(statement: Any, *_: object) -> None:
        statements.append(str(statement.compile(dialect=engine.dialect)))

    engine = create_mock_engine("sqlite://", note)
    metadata.create_all(engine, checkfirst=False)
    return statements


def seed(conn: Connection) -> None:
    """The rows that every hub has: a workspace, a pool, a queue."""
    tables = metadata.tables
    if conn.execute(tables["workspaces"].select().limit(1)).first() is not None:
        return
    now, pool = now_us(), new_id()
    owner = {"workspace_id": DEFAULT_WORKSPACE, "created_at": now}
    conn.execute(tables["workspaces"].insert(), {"id": DEFAULT_WORKSPACE, "name": "default", "created_at": now})
    conn.execute(
        tables["work_pools"].insert(),
        {**owner, "id": pool, "name": "default", "launcher": "warm", "options": {}},
    )
    conn.execute(
        tables["work_queues"].insert(),
        {**owner, "id": new_id(), "pool_id": pool, "name": "default", "priority": 1, "paused": False},
    )


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the kernel gives it back when the process dies."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
