"""Bringing a database to this version's schema, with Alembic."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from hub.errors import UnavailableError
from hub.store.tables import metadata
from hub.types import DEFAULT_WORKSPACE, new_id, now_us

_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(engine: Engine) -> None:
    """Run what is missing. Quick when nothing is. Refuses a database of a newer hub."""
    config = _config()
    head = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect() as conn:
        current = MigrationContext.configure(conn).get_current_revision()
    if current == head:
        return
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise UnavailableError(
            f"the database has schema {current}, which this version of the hub does not know",
            hint="It was written by a newer hub: install that version.",
            code="schema-too-new",
        )
    with engine.connect() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "head")
        seed(conn)
        conn.commit()


def create_all(conn: Connection) -> None:
    """Make the tables directly; for the store in memory, whose life is one process."""
    metadata.create_all(conn)
    seed(conn)
    conn.commit()


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


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    return config
