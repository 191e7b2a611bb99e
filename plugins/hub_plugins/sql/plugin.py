"""The kind of connection and the actions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hub.connections import ConnectionKind
from hub.errors import PermanentError, TransientError
from hub.hookspecs import hookimpl

from hub_plugins.sql.settings import Sql

if TYPE_CHECKING:
    from hub.actions import Action


def check(settings: Sql) -> str:
    """Whether the database lets us in."""
    from hub_plugins.sql.databases import SqlError, transaction  # noqa: PLC0415 - few processes ask

    try:
        with transaction(settings) as conn:
            conn.exec_driver_sql("SELECT 1")
            version = ".".join(str(part) for part in conn.dialect.server_version_info or ())
            return f"{settings.system} {version} lets us into {settings.database}"
    except SqlError as error:
        raise (PermanentError if error.error_class is None else TransientError)(str(error)) from None


@hookimpl
def hub_connection_kinds() -> Iterator[ConnectionKind]:
    """Give the kind `sql`."""
    yield ConnectionKind("sql", "A database of PostgreSQL, MariaDB or SQLite, for flows.", Sql, check)


@hookimpl
def hub_actions() -> Iterator[Action]:
    """Give what a flow can do with a database."""
    from hub.actions import Action  # noqa: PLC0415 - loaded where actions are asked for

    from hub_plugins.sql import tasks  # noqa: PLC0415

    yield Action("query", tasks.query, "Give the rows of a statement.", effect="none")
    yield Action("execute", tasks.execute, "Change something, once.", effect="once")
    yield Action("load", tasks.load, "Write rows to a table, all or none.", effect="once")
    yield Action("new_rows", tasks.new_rows, "Give the rows that came since the last look.", effect="none")
