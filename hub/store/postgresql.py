"""PostgreSQL through psycopg 3."""

from __future__ import annotations

import contextlib
import logging
import select
import threading
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from hub.crypto import Keyring
from hub.errors import SettingError, UnavailableError
from hub.store import schema, sending
from hub.store.base import Dialect, Heard, Listener, Pinned, T, Tx
from hub.store.notifying import Notifications, calls
from hub.store.precedence import Precedence
from hub.store.turning import Turn, TurningConnection
from hub.store.wake import Own
from hub.types import new_id, now_us

log = logging.getLogger("hub.store")
# Of a pipeline that ends by an error psycopg tells the errors of what came behind, too: only the first one matters.
logging.getLogger("psycopg").addFilter(lambda record: not record.msg.startswith("error ignored terminating"))
_KEPT, _MOST = 16, 40
"""Connections that stay open while nobody needs them, and those that are open at a time, at most."""
_MIGRATE_LOCK = 0x48554253


class PostgresStore:
    """One pool; wake-ups are notifications that PostgreSQL delivers at the commit."""

    dialect: Dialect = "postgresql"

    def __init__(self, url: str, keyring: Keyring, *, home: Path | None = None) -> None:
        self.keyring = keyring
        try:
            self._url = make_url(url.replace("postgres://", "postgresql://", 1)).set(drivername="postgresql+psycopg")
        except Exception as error:
            raise SettingError("HUB_DATABASE_URL is not a URL", hint="postgresql://user@host:5432/name") from error
        self._closed = False
        self._first_file = None if home is None else home / "hub.first.lock"
        self._precedence = Precedence(self._first_file)
        # Without a transaction around it, a question is one round trip. Whoever writes begins one himself.
        self._engine = self._make_engine()
        # Ours to take and give back: a check-out from SQLAlchemy's pool costs as much as a question.
        self._idle: deque[Connection] = deque()
        # What a thread says again is prepared in the connection in which it said it before.
        self._usual = threading.local()
        self._own = Own()
        # Says in a notification whose it is.
        self._token = new_id()
        self._inherited: list[deque[Connection]] = []

    def _make_engine(self) -> Engine:
        engine = create_engine(
            self._url,
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            max_overflow=_MOST - 1,
            pool_pre_ping=False,
            pool_timeout=15,
            connect_args={
                "connect_timeout": 5, "application_name": "hubspoke", "prepare_threshold": 3, "client_encoding": "utf8",
            },
        )  # fmt: skip
        event.listen(engine, "connect", _refuse_other_encodings)
        event.listen(engine, "do_connect", _connect)

        @event.listens_for(engine, "checkin")
        def _close_late(_connection: object, record: Any) -> None:
            # Lent when the store was closed, to a thread that was given up say: nobody would close it any more.
            if self._closed:
                record.invalidate()

        return engine

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """See Store.read."""
        with self._connected() as conn:
            tx = Tx(conn, self.dialect, now_us(), self.keyring, later=[])
            yield tx
            sending.flush(tx)

    @contextmanager
    def write(self, *, durable: bool = True, first: bool = False) -> Iterator[Tx]:  # noqa: ARG002 - all are durable here
        """See Store.write."""
        with (
            self._precedence.taken() if first else contextlib.nullcontext(),
            self._connected() as conn,
            self._written(conn) as tx,
        ):
            yield tx
        self._own.tell(tx.wakes)

    @contextmanager
    def _written(self, conn: Connection) -> Iterator[Tx]:
        # It begins with its first statement, in the same round trip; one without any never begins.
        tx = Tx(conn, self.dialect, now_us(), self.keyring, later=[_BEGIN])
        yield tx
        _commit(tx, self._token)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with _translated(), self._lent(self._taken_idle() or self._engine.connect()) as conn:
            yield conn

    @contextmanager
    def _lent(self, conn: Connection) -> Iterator[Connection]:
        """A connection, idle afterwards. One in which something went wrong is not used again."""
        try:
            yield conn
        except BaseException as error:
            if isinstance(error, _AWAY):
                conn.invalidate()
                self._forget_idle(invalid=True)  # those that stood idle meanwhile are no better
            elif isinstance(error, (psycopg.Error, DBAPIError)) and _is_idle(conn):
                # No rollback is due, which would have psycopg forget what of a broken pipeline it takes for prepared.
                conn.invalidate()
            conn.close()  # undoes what was begun
            raise
        if len(self._idle) >= _KEPT:
            conn.close()
            return
        self._idle.append(conn)
        if self._closed:  # perhaps after `close` had looked
            self._forget_idle()

    def _taken_idle(self) -> Connection | None:
        """An idle connection; those that the server has closed meanwhile are left behind (it was restarted, say)."""
        while True:
            try:
                conn = self._usual_or_oldest()
            except IndexError:
                return None
            if not _was_closed(conn):
                self._usual.conn = conn
                return conn
            conn.invalidate()
            conn.close()

    def _usual_or_oldest(self) -> Connection:
        usual: Connection | None = getattr(self._usual, "conn", None)
        if usual is not None:
            with contextlib.suppress(ValueError):  # it is lent, or closed
                self._idle.remove(usual)
                return usual
        return self._idle.popleft()  # which nobody has used for long: it is no busy thread's

    def _forget_idle(self, *, invalid: bool = False) -> None:
        with contextlib.suppress(IndexError):
            while True:
                conn = self._idle.pop()
                if invalid:
                    conn.invalidate()
                conn.close()

    def write_in_loop(self, loop: AbstractEventLoop, work: Callable[[Tx], T], done: Callable[[T | None], None]) -> None:
        """See Store.write_in_loop. The loop goes on while the server thinks."""

        def turn() -> None:
            found = None
            try:
                conn = self._taken_idle()
                if conn is not None:
                    with self._precedence.taken(), self._lent(conn), self._written(conn) as tx:
                        found = work(tx)
                    self._own.tell(tx.wakes)
            except Exception as error:  # noqa: BLE001 - it is done again where it can wait, and be told
                log.debug("a transaction is tried again in another thread: %s", error)
                found = None
            loop.call_soon(done, found)  # outside of this turn, which ends here

        Turn(loop, turn).switch()

    def is_wanted(self) -> bool:
        """See Store.is_wanted. Of processes of the same machine, whose processors they share."""
        return self._precedence.is_wanted()

    def give_way(self) -> None:
        """See Store.give_way."""
        self._precedence.give()

    def pin(self) -> Pinned:
        """See Store.pin."""
        return _Pinned(self)

    def wake(self, topics: Iterable[str]) -> None:
        """See Store.wake."""
        with self._connected() as conn:
            driver: Any = conn.connection.dbapi_connection
            sending.ask(driver, *calls(topics, ""))

    def listen(self, *topics: str, own: Heard | None = None) -> Listener:
        """See Store.listen."""
        url = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        if own is None:
            return Notifications(url, topics)
        return self._own.listen(lambda: Notifications(url, topics, but=self._token), frozenset(topics), own)

    def migrate(self) -> None:
        """See Store.migrate. An advisory lock keeps two starting processes apart."""
        with _translated(), self._engine.connect() as conn:
            conn.execute(text("SELECT pg_advisory_lock(:n)"), {"n": _MIGRATE_LOCK})
            try:
                schema.upgrade(self._engine.execution_options(isolation_level="READ COMMITTED"))
            finally:
                conn.execute(text("SELECT pg_advisory_unlock(:n)"), {"n": _MIGRATE_LOCK})

    def dispose_in_child(self) -> None:
        """See Store.dispose_in_child."""
        self._own.forget_all()
        self._precedence.close()  # the parent's locks are not those of its own copies
        self._precedence = Precedence(self._first_file)
        self._token = new_id()
        # Kept: what is thrown away would be closed, and with it the parent's.
        self._inherited.append(self._idle)
        self._idle = deque()
        self._engine.dispose(close=False)

    def close(self) -> None:
        """See Store.close."""
        self._closed = True
        self._precedence.close()
        self._forget_idle()
        self._engine.dispose()


def _connect(_dialect: Any, _record: Any, args: Sequence[Any], more: dict[str, Any]) -> Any:
    return TurningConnection.connect(*args, **more)


def _refuse_other_encodings(connection: Any, _record: Any) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in (None, "UTF8"):  # a pooler between may not tell
        raise SettingError(
            f"the database {connection.info.dbname!r} of HUB_DATABASE_URL is encoded in {encoding}, not UTF8",
            hint="Make one that is: createdb --template template0 --encoding UTF8 NAME",
        )


def _is_idle(conn: Connection) -> bool:
    driver: Any = conn.connection.dbapi_connection
    return bool(driver.info.transaction_status == psycopg.pq.TransactionStatus.IDLE)


def _was_closed(conn: Connection) -> bool:
    """Whether the other end has closed an idle connection: on one that is still open nothing waits to be read."""
    driver: Any = conn.connection.dbapi_connection
    if driver.closed:
        return True
    poll = select.poll()
    poll.register(driver.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _commit(tx: Tx, token: str) -> None:
    """Send what waits, commit and wake in one round trip. PostgreSQL sends a transaction's wake-ups at its commit,
    never without it."""
    if not tx.wakes:
        if tx.later != [_BEGIN]:
            sending.flush(tx, _COMMIT)
        return
    sending.flush(tx, calls(tx.wakes, token), _COMMIT)


_BEGIN: tuple[str, Sequence[Any], None] = ("BEGIN", (), None)
_COMMIT: tuple[str, Sequence[Any]] = ("COMMIT", ())


class _Pinned:
    """See Pinned. A connection that broke is replaced at the next write."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._conn: Connection | None = None

    def _open(self) -> Connection:
        # Without a transaction around it, one statement is one round trip.
        self._conn = self._conn or self._store._engine.connect()
        return self._conn

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """See Pinned.write."""
        with _translated():
            conn = self._open()
            driver: Any = conn.connection.dbapi_connection
            with self._mended(conn), driver.transaction():
                tx = Tx(conn, "postgresql", now_us(), self._store.keyring)
                yield tx
            if conn.in_transaction():
                conn.commit()  # SQLAlchemy's own idea of one; the transaction itself has ended
        if tx.wakes:
            self._store.wake(tx.wakes)

    def ask(self, text: str, values: Sequence[Any]) -> Any:
        """See Pinned.ask."""
        return self._alone(text, values).fetchone()

    def change(self, text: str, values: Sequence[Any]) -> int:
        """See Pinned.change."""
        return int(self._alone(text, values).rowcount)

    def _alone(self, text: str, values: Sequence[Any]) -> Any:
        with _translated():
            conn = self._open()
            driver: Any = conn.connection.dbapi_connection
            with self._mended(conn):
                return sending.ask(driver, text, values)

    @contextmanager
    def _mended(self, conn: Connection) -> Iterator[None]:
        try:
            yield
        except BaseException:
            driver: Any = conn.connection.dbapi_connection
            if driver.closed:
                self._conn = None
                conn.invalidate()
                conn.close()
            elif conn.in_transaction():
                conn.rollback()
            raise

    def close(self) -> None:
        """See Pinned.close."""
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()


_AWAY = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _AWAY as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> Exception:
    text_ = str(getattr(error, "orig", error)).strip().split("\n")[0]
    if "disk" in text_ and "full" in text_:
        return UnavailableError("the database's disk is full", hint="Free some space.", code="disk-full")
    return UnavailableError(f"the database does not answer: {text_}", hint="Try again.", code="database-away")
