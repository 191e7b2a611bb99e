"""SQLite, as a file (WAL, shared by processes) or in memory (one process, for tests)."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool

from hub.crypto import Keyring
from hub.errors import UnavailableError
from hub.settings import socket_dir
from hub.store import schema
from hub.store.base import Dialect, Heard, Listener, Pinned, T, Tx
from hub.store.precedence import Precedence
from hub.store.raw import execute
from hub.store.turns import Turns
from hub.store.wake import LocalWaker, Own, SocketWaker, Waker
from hub.types import now_us

log = logging.getLogger("hub.store")
_NO_NAMES: dict[None, None] = {}
# The driver asks each None and each bytes for a way to adapt it, with an exception inside; these say at once: as it is.
sqlite3.register_adapter(type(None), _NO_NAMES.get)
sqlite3.register_adapter(bytes, bytes)
_BUSY_MS = 15_000
_WAL_PAGES = 4_000
"""So many pages (16 MB) are in the WAL before they are copied into the file; SQLite's own 1,000 copies too often."""

_SOON_S = 0.02
"""Seconds for which an event loop waits for other writers, who let it go first: most of theirs take two or three ms."""
_SLOW_S = 0.1
_SLOW_FOR_S = 5.0
"""After a commit that took longer, an event loop leaves such to another thread for that many seconds."""


class SqliteStore:
    """Two pools on one file: FULL for facts that were answered, NORMAL for the task journal."""

    dialect: Dialect = "sqlite"

    def __init__(self, url: str, keyring: Keyring) -> None:
        self.keyring = keyring
        self._path = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else ""
        self._memory = self._path in ("", ":memory:")
        self._lock = threading.RLock()
        self._waker: Waker = (
            LocalWaker() if self._memory else SocketWaker(socket_dir(Path(self._path).absolute().parent) / "wake")
        )
        self._own = Own()
        self._engines: dict[str, Engine] = {}
        # Ours to take and give back: a check-out from SQLAlchemy's pool costs as much as three small statements.
        self._idle: dict[str, deque[Connection]] = {}
        self._turns = Turns(_BUSY_MS / 1000)
        self._precedence = self._new_precedence()
        self._closed = False
        self._slow_until = 0.0

    def _new_precedence(self) -> Precedence:
        return Precedence(None if self._memory else Path(self._path).with_suffix(".first.lock"))

    def _engine(self, synchronous: str) -> Engine:
        synchronous = "FULL" if self._memory else synchronous
        engine = self._engines.get(synchronous)
        if engine is None:
            engine = self._engines[synchronous] = _make_engine(self._path, self._memory, synchronous)
            event.listen(engine, "checkin", self._close_late)
        return engine

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """See Store.read."""
        with self._connected("FULL") as conn:
            raw: Any = conn.connection.dbapi_connection
            raw.execute("BEGIN")
            with _ended(raw):
                yield Tx(conn, self.dialect, now_us(), self.keyring)

    @contextmanager
    def write(self, *, durable: bool = True, first: bool = False) -> Iterator[Tx]:
        """See Store.write."""
        if not first:
            self._precedence.give()
        with (
            self._connected("FULL" if durable else "NORMAL") as conn,
            self._precedence.taken() if first else _NOTHING,
            self._writing(conn) as tx,
        ):
            yield tx
        self._wake_after(tx)

    def _wake_after(self, tx: Tx) -> None:
        if tx.wakes:
            self._own.tell(tx.wakes)
            self._waker.wake(tx.wakes, own=True)

    @contextmanager
    def _connected(self, synchronous: str) -> Iterator[Connection]:
        # In memory all threads share one connection, so they take turns.
        with self._lock if self._memory else _NOTHING, _translated():
            idle = self._idle.setdefault(synchronous, deque())
            try:
                conn = idle.pop()
            except IndexError:
                conn = self._engine(synchronous).connect()
            try:
                yield conn
            except BaseException:
                conn.close()
                raise
            idle.append(conn)
            while self._closed and idle:
                idle.pop().close()

    def _close_late(self, _connection: object, record: Any) -> None:
        """One that was lent when the store was closed, to a thread that was given up say: nobody would close it."""
        if self._closed and not self._memory:
            record.invalidate()

    @contextmanager
    def _writing(self, conn: Connection) -> Iterator[Tx]:
        raw: Any = conn.connection.dbapi_connection
        if self._memory:
            raw.execute("BEGIN IMMEDIATE")
        else:
            self._turns.begin(raw)
        try:
            with _ended(raw):
                yield Tx(conn, self.dialect, now_us(), self.keyring)
        finally:
            if not self._memory:
                self._turns.end()

    def write_in_loop(self, loop: AbstractEventLoop, work: Callable[[Tx], T], done: Callable[[T | None], None]) -> None:
        """See Store.write_in_loop. It is done when this returns: a commit takes a millisecond, or the disk is slow."""
        del loop
        began, found = time.monotonic(), None
        if not self._memory and began >= self._slow_until:
            try:
                with self._connected("FULL") as conn, self._precedence.taken():
                    found = self._written_at_once(conn, work)
            except Exception as error:  # noqa: BLE001 - it is done again where it can wait, and be told
                log.debug("a transaction is tried again in another thread: %s", error)
            if time.monotonic() - began > _SLOW_S:
                self._slow_until = time.monotonic() + _SLOW_FOR_S
        done(found)

    def _written_at_once(self, conn: Connection, work: Callable[[Tx], T]) -> T | None:
        raw: Any = conn.connection.dbapi_connection
        if not self._turns.begin_soon(raw, _SOON_S):
            return None
        try:
            with _ended(raw):
                tx = Tx(conn, self.dialect, now_us(), self.keyring)
                found = work(tx)
        finally:
            self._turns.end()
        self._wake_after(tx)
        return found

    def is_wanted(self) -> bool:
        """See Store.is_wanted."""
        return self._precedence.is_wanted()

    def give_way(self) -> None:
        """See Store.give_way."""

    def pin(self) -> Pinned:
        """See Store.pin."""
        return _Pinned(self)

    def wake(self, topics: Iterable[str]) -> None:
        """See Store.wake."""
        self._waker.wake(set(topics))

    def listen(self, *topics: str, own: Heard | None = None) -> Listener:
        """See Store.listen."""
        wanted = frozenset(topics)
        if own is None:
            return self._waker.listen(wanted)
        return self._own.listen(lambda: self._waker.listen(wanted, others=True), wanted, own)

    def migrate(self) -> None:
        """See Store.migrate. A lock file keeps two starting processes apart."""
        if self._memory:
            with self._lock, self._engine("FULL").connect() as conn:
                schema.create_all(conn)
            return
        path = Path(self._path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with schema.file_lock(path.with_suffix(".migrate.lock")), _translated():
                schema.upgrade(self._engine("FULL"))
        except OSError as error:
            raise UnavailableError(
                f"the database {path} cannot be written: {error.strerror}",
                hint="Make the folder writable, or choose another with HUB_HOME.",
                code="database-unwritable",
            ) from None

    def dispose_in_child(self) -> None:
        """See Store.dispose_in_child."""
        for engine in self._engines.values():
            engine.dispose(close=False)
        self._engines, self._idle = {}, {}
        self._lock = threading.RLock()
        self._own.forget_all()
        self._turns = Turns(_BUSY_MS / 1000)
        self._precedence.close()  # the parent's locks are not those of its own copies
        self._precedence = self._new_precedence()

    def close(self) -> None:
        """See Store.close."""
        self._waker.close()
        self._precedence.close()
        self._closed = True
        # In memory a thread may be in the middle of a statement on the one connection: SQLite would crash.
        with self._lock:
            for idle in self._idle.values():
                while idle:
                    idle.pop().close()
            for engine in self._engines.values():
                engine.dispose()
            self._engines, self._idle = {}, {}


class _Pinned:
    """See Pinned. In memory all threads share one connection, so nothing is kept."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._conn: Connection | None = None
        self._raw: Any = None
        """The driver's own connection."""

    def write(self) -> AbstractContextManager[Tx]:
        """See Pinned.write."""
        return self._store.write(durable=False) if self._store._memory else self._write()

    @contextmanager
    def _write(self) -> Iterator[Tx]:
        try:
            conn = self._conn or self._connect()
            raw = self._raw
            with self._store._turns.taken(raw):
                try:
                    tx = Tx(conn, "sqlite", now_us(), self._store.keyring)
                    yield tx
                    raw.execute("COMMIT")
                except BaseException:
                    if raw.in_transaction:
                        raw.execute("ROLLBACK")
                    raise
        except (sqlite3.OperationalError, OperationalError) as error:
            raise unavailable(error) from error
        if tx.wakes:
            self._store.wake(tx.wakes)

    def ask(self, text: str, values: Sequence[Any]) -> Any:
        """See Pinned.ask."""
        with self.write() as tx:
            return execute(tx, text, values).fetchone()

    def change(self, text: str, values: Sequence[Any]) -> int:
        """See Pinned.change."""
        if self._store._memory:
            with self.write() as tx:
                return int(execute(tx, text, values).rowcount)
        try:
            if self._conn is None:
                self._connect()
            return self._store._turns.change(self._raw, text, values)
        except (sqlite3.OperationalError, OperationalError) as error:
            raise unavailable(error) from error

    def _connect(self) -> Connection:
        conn = self._conn = self._store._engine("NORMAL").connect()
        self._raw = conn.connection.dbapi_connection
        self._set_timeout(conn, 0)
        return conn

    @staticmethod
    def _set_timeout(conn: Connection, milliseconds: int) -> None:
        raw: Any = conn.connection.dbapi_connection
        raw.execute(f"PRAGMA busy_timeout={milliseconds}").close()

    def close(self) -> None:
        """See Pinned.close."""
        conn, self._conn, self._raw = self._conn, None, None
        if conn is not None:
            # It goes back to the pool, whose other users wait in SQLite's own way.
            self._set_timeout(conn, _BUSY_MS)
            conn.close()


@contextmanager
def _ended(raw: Any) -> Iterator[None]:
    """Commit what was done, or undo it."""
    try:
        yield
        raw.execute("COMMIT")
    except BaseException:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise


class _Nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


_NOTHING = _Nothing()


def _make_engine(path: str, memory: bool, synchronous: str) -> Engine:
    args = {"check_same_thread": False, "timeout": _BUSY_MS / 1000}
    more: dict[str, Any] = {"poolclass": StaticPool} if memory else {"pool_size": 16, "max_overflow": 32}
    engine = create_engine(
        f"sqlite:///{path}" if not memory else "sqlite://",
        connect_args=args,
        isolation_level="AUTOCOMMIT",
        **more,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in _pragmas(memory, synchronous):
            connection.execute(f"PRAGMA {pragma}").close()

    return engine


def _pragmas(memory: bool, synchronous: str) -> list[str]:
    # The journal only writes at the ends of tables and indexes, so that it needs few pages at hand.
    cache_kb = 2_000 if synchronous == "NORMAL" else 16_000
    common = ["foreign_keys=ON", f"busy_timeout={_BUSY_MS}", f"cache_size=-{cache_kb}", "temp_store=MEMORY"]
    kept = ["journal_mode=WAL", f"synchronous={synchronous}", f"wal_autocheckpoint={_WAL_PAGES}"]
    return common if memory else [*common, *kept]


@contextmanager
def _translated() -> Iterator[None]:
    """Turn SQLite's operational troubles into ones a caller can answer."""
    try:
        yield
    except (sqlite3.OperationalError, OperationalError) as error:
        raise unavailable(error) from error


def unavailable(error: Exception) -> Exception:
    """The hub's error for what SQLite said; a defect in a statement stays what it is."""
    text = str(getattr(error, "orig", error))
    if "locked" in text or "busy" in text:
        return UnavailableError("the database is locked by another process", hint="Try again.", code="database-locked")
    if "full" in text:
        return UnavailableError("the disk that holds the database is full", hint="Free some space.", code="disk-full")
    if "unable to open" in text or "readonly" in text or "disk I/O" in text:
        return UnavailableError(
            f"the database cannot be opened for writing: {text}",
            hint="Check the file's folder and its permissions.",
            code="database-unwritable",
        )
    if "no such table" in text:
        return UnavailableError("the database has no schema yet", hint="Run `hub migrate`.", code="not-migrated")
    return error
