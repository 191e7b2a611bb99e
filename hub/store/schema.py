"""Bringing a database to this version's schema, with Alembic."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from hub.errors import UnavailableError
from hub.store.tables import metadata
from hub.types import DEFAULT_WORKSPACE, new_id, now_us

SCRIPTS = Path(__file__).parent / "migrations"
HEAD = "0001"
"""The revision of this version's schema; a test compares it with the scripts."""


def upgrade(engine: Engine) -> None:
    """Run what is missing; nothing of Alembic is loaded when nothing is. Refuses a database of a newer hub."""
    current = revision(engine)
    if current == HEAD:
        return
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
    with engine.connect() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "head")
        seed(conn)
        conn.commit()


def revision(engine: Engine) -> str | None:
    """The schema's revision as Alembic noted it; None for a database without one."""
    with engine.connect() as conn:
        if not inspect(conn).has_table("alembic_version"):
            return None
        found: str | None = conn.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return found


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
