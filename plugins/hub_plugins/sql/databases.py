"""Engines by connection, and what a database's refusal means."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hub.errorclasses import ErrorClass
from hub.secretfields import scrubbed
from sqlalchemy import create_engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, NoSuchModuleError, OperationalError, SQLAlchemyError

from hub_plugins.sql.settings import Sql

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_MOST = 20
_PASSING_STATES = ("40", "53", "57", "08")
"""Classes of PostgreSQL's states: serialization and deadlock, resources, operator intervention, connections."""
_PASSING_NUMBERS = (1040, 1205, 1213, 2002, 2003, 2006, 2013)
"""The same of MariaDB."""


class SqlError(Exception):
    """The database refused or did not answer. `error_class` says whether another try may help."""

    def __init__(self, message: str, error_class: ErrorClass | None = None) -> None:
        super().__init__(message)
        self.error_class = error_class


_lock = threading.Lock()
_engines: dict[tuple[str, float], Engine] = {}


@contextmanager
def transaction(settings: Sql) -> Iterator[Connection]:
    """One transaction: committed at the end, undone when something is raised. Raises SqlError."""
    try:
        with _engine(settings).begin() as connection:
            yield connection
    except NoSuchModuleError as error:
        raise SqlError(str(error)) from None
    except ModuleNotFoundError as error:
        raise SqlError(f"{settings.system} needs the package {error.name}: pip install {error.name}") from None
    except SQLAlchemyError as error:
        raise _refusal(error, settings) from None


def _engine(settings: Sql) -> Engine:
    name = (settings.url().render_as_string(hide_password=False), settings.timeout)
    with _lock:
        engine = _engines.pop(name, None) or _make(settings)
        _engines[name] = engine
        while len(_engines) > _MOST:
            _engines.pop(next(iter(_engines))).dispose()
    return engine


def _make(settings: Sql) -> Engine:
    seconds = int(settings.timeout)
    if settings.system == "postgresql":
        given: dict[str, Any] = {"connect_timeout": seconds, "options": f"-c statement_timeout={seconds * 1000}"}
    elif settings.system == "mariadb":
        given = {"connect_timeout": seconds, "read_timeout": seconds, "write_timeout": seconds, "charset": "utf8mb4"}
    else:
        given = {"timeout": settings.timeout}
    # A connection that the server has closed meanwhile is noticed before it is used.
    engine = create_engine(settings.url(), connect_args=given, pool_pre_ping=True, pool_size=2, hide_parameters=True)
    if settings.system == "sqlite":
        # The driver begins a transaction by itself only before some statements: a CREATE TABLE would not be part of it.
        @event.listens_for(engine, "connect")
        def _leave_it_to_us(connection: Any, _record: object) -> None:
            connection.isolation_level = None

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN")

    return engine


def _forget_in_child() -> None:
    """Connections of the parent are not ours to use, nor to close."""
    global _lock
    _lock = threading.Lock()
    for engine in _engines.values():
        engine.dispose(close=False)
    _engines.clear()


os.register_at_fork(after_in_child=_forget_in_child)


def _refusal(error: SQLAlchemyError, settings: Sql) -> SqlError:
    said = error.orig if isinstance(error, DBAPIError) else error
    text = " ".join(str(said).split())[:500]
    told = scrubbed(f"{settings.system}: {text or type(said).__name__}", settings)
    return SqlError(told, ErrorClass.INFRASTRUCTURE if _passes(error) else None)


def _passes(error: SQLAlchemyError) -> bool:
    """Whether another try may well succeed."""
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    if state:
        return str(state).startswith(_PASSING_STATES)
    number = error.orig.args[0] if error.orig is not None and error.orig.args else None
    if isinstance(number, int):
        return number in _PASSING_NUMBERS
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    text = str(error.orig)
    # psycopg says nothing but a text where no server answered; SQLite's texts are its own.
    return isinstance(error, OperationalError) and (
        "database is locked" in text or "connection" in text or "disk I/O" in text
    )
