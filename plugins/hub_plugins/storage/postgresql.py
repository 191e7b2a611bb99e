"""PostgreSQL by a connection's settings: reached once, or as a result store."""

from __future__ import annotations

import contextlib
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hub.errors import PermanentError, TransientError
from hub.resultstores import Kept, ResultMissing
from hub.secretfields import scrubbed

from hub_plugins.storage.settings import Postgresql

if TYPE_CHECKING:
    import psycopg

_LOCKED_OUT = ("28", "3D", "42501")
"""SQLSTATEs of a refused login, an unknown database, a missing right: no retry mends them."""
_FULL = "53100"
_IDLE = 8


@contextmanager
def connected(settings: Postgresql) -> Iterator[psycopg.Connection[Any]]:
    """A connection in autocommit, closed at the end. Raises TransientError or PermanentError, without the password."""
    psycopg = _driver()
    try:
        with psycopg.connect(**_parameters(settings), autocommit=True) as connection:
            yield connection
    except psycopg.Error as error:
        raise told(error, settings) from None


def _driver() -> Any:
    try:
        import psycopg  # noqa: PLC0415 - an extra, and not needed before the first use
    except ModuleNotFoundError:
        raise PermanentError("it needs the package psycopg: pip install 'hubspoke[postgres]'") from None
    return psycopg


def told(error: Any, settings: Postgresql) -> TransientError | PermanentError:
    """What the database said, in our words."""
    state = error.sqlstate or ""
    first = scrubbed(str(error).strip().split("\n", 1)[0], settings)
    if state == _FULL:
        return PermanentError("its disk is full")
    # A login that is refused carries no SQLSTATE on some versions of the driver.
    if state.startswith(_LOCKED_OUT) or "authentication failed" in first or "does not exist" in first:
        return PermanentError(f"the database refuses: {first}")
    return TransientError(first or type(error).__name__)


def _parameters(settings: Postgresql) -> dict[str, Any]:
    return {
        "host": settings.host, "port": settings.port, "dbname": settings.database, "user": settings.user,
        "password": settings.password.get_secret_value() if settings.password else None, "sslmode": settings.sslmode,
        "connect_timeout": int(settings.timeout), "application_name": "hubspoke",
        "options": f"-c statement_timeout={int(settings.timeout * 1000)}",
    }  # fmt: skip


class PostgresqlResults:
    """A table as a result store; see `hub.resultstores.ResultStore`. It is made when it is first missed."""

    def __init__(self, settings: Postgresql) -> None:
        self._settings = settings
        self._idle: deque[psycopg.Connection[Any]] = deque()
        # Whoever lets go of a store says nothing; its connections are closed all the same.
        # (Not at the end of a process: a forked one would end its parent's.)
        weakref.finalize(self, _close_all, self._idle).atexit = False

    def put(self, key: str, data: bytes) -> bool:
        """See ResultStore.put. A commit of PostgreSQL is on its disk."""
        text = "INSERT INTO {} (key, data) VALUES (%s, %b) ON CONFLICT DO NOTHING"
        return bool(self._run(text, (key, data)).rowcount)

    def get(self, key: str) -> bytes:
        """See ResultStore.get."""
        row = self._run("SELECT data FROM {} WHERE key = %s", (key,), binary=True).fetchone()
        if row is None:
            raise ResultMissing(key)
        return bytes(row[0])

    def delete(self, keys: Iterable[str]) -> None:
        """See ResultStore.delete."""
        self._run("DELETE FROM {} WHERE key = ANY(%s)", (list(keys),))

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> Sequence[Kept]:
        """See ResultStore.list."""
        text = (
            "SELECT key, length(data), (extract(epoch FROM at) * 1000000)::bigint FROM {} "
            "WHERE key > %s AND starts_with(key, %s) ORDER BY key LIMIT %s"
        )
        # Not before the prefix, so that the index begins there.
        return [Kept(*row) for row in self._run(text, (max(after, prefix), prefix, limit)).fetchall()]

    def close(self) -> None:
        """Close the connections that are at rest."""
        _close_all(self._idle)

    def _run(self, text: str, values: tuple[Any, ...], *, binary: bool = False) -> Any:
        psycopg = _driver()
        statement = text.replace("{}", f'"{self._settings.table}"')
        try:
            try:
                return self._ask(statement, values, binary=binary)
            except psycopg.errors.UndefinedTable:
                self._make(psycopg)
                return self._ask(statement, values, binary=binary)
        except psycopg.Error as error:
            raise told(error, self._settings) from None

    def _make(self, psycopg: Any) -> None:
        # Two that make it at once: IF NOT EXISTS does not keep them from meeting in the catalogue.
        with contextlib.suppress(
            psycopg.errors.UniqueViolation, psycopg.errors.DuplicateTable, psycopg.errors.DuplicateObject
        ):
            self._ask(_TABLE.replace("{}", f'"{self._settings.table}"'), (), binary=False)

    def _ask(self, statement: str, values: tuple[Any, ...], *, binary: bool) -> Any:
        psycopg = _driver()
        while True:
            known = self._idle.pop() if self._idle else None
            connection = known or psycopg.connect(**_parameters(self._settings), autocommit=True)
            try:
                cursor = connection.cursor(binary=binary).execute(statement, values)
            except psycopg.OperationalError:
                connection.close()
                if known is None:
                    raise
                continue  # it had gone since it was last used: every statement here may be said twice
            except BaseException:
                connection.close()
                raise
            if len(self._idle) < _IDLE:
                self._idle.append(connection)
            else:
                connection.close()
            return cursor


def _close_all(connections: deque[Any]) -> None:
    while connections:
        connections.pop().close()


_TABLE = (
    'CREATE TABLE IF NOT EXISTS {} (key text COLLATE "C" PRIMARY KEY, data bytea NOT NULL, '
    "at timestamptz NOT NULL DEFAULT now())"
)
