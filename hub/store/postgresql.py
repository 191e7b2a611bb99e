"""PostgreSQL through psycopg 3."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import InterfaceError, OperationalError

from hub.crypto import Keyring
from hub.errors import SettingError, UnavailableError
from hub.store import schema
from hub.store.base import Dialect, Listener, Pinned, Tx
from hub.types import now_us

_CHANNEL = "hub_wake"
_MIGRATE_LOCK = 0x48554253


class PostgresStore:
    """One pool; wake-ups are notifications that PostgreSQL delivers at the commit."""

    dialect: Dialect = "postgresql"

    def __init__(self, url: str, keyring: Keyring) -> None:
        self.keyring = keyring
        try:
            self._url = make_url(url.replace("postgres://", "postgresql://", 1)).set(drivername="postgresql+psycopg")
        except Exception as error:
            raise SettingError("HUB_DATABASE_URL is not a URL", hint="postgresql://user@host:5432/name") from error
        self._engine = self._make_engine()

    def _make_engine(self) -> Engine:
        return create_engine(
            self._url,
            pool_size=8,
            max_overflow=32,
            pool_pre_ping=False,
            pool_timeout=15,
            connect_args={"connect_timeout": 5, "application_name": "hubspoke", "prepare_threshold": 3},
        )

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """See Store.read."""
        with _translated(), self._engine.connect() as conn:
            yield Tx(conn, self.dialect, now_us(), self.keyring)

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Tx]:  # noqa: ARG002 - one durability here
        """See Store.write."""
        with _translated(), self._engine.begin() as conn:
            tx = Tx(conn, self.dialect, now_us(), self.keyring)
            yield tx
            # Inside the transaction: PostgreSQL sends them at the commit and never without it.
            for topic in tx.wakes:
                conn.execute(_NOTIFY, {"topic": topic})

    def pin(self) -> Pinned:
        """See Store.pin."""
        return _Pinned(self)

    def wake(self, topics: Iterable[str]) -> None:
        """See Store.wake."""
        with self.write() as tx:
            tx.wakes.update(topics)

    def listen(self, *topics: str) -> Listener:
        """See Store.listen."""
        return _Notifications(self._url.set(drivername="postgresql").render_as_string(hide_password=False), topics)

    def migrate(self) -> None:
        """See Store.migrate. An advisory lock keeps two starting processes apart."""
        with _translated(), self._engine.connect() as conn:
            conn.execute(text("SELECT pg_advisory_lock(:n)"), {"n": _MIGRATE_LOCK})
            try:
                schema.upgrade(self._engine)
            finally:
                conn.execute(text("SELECT pg_advisory_unlock(:n)"), {"n": _MIGRATE_LOCK})

    def dispose_in_child(self) -> None:
        """See Store.dispose_in_child."""
        self._engine.dispose(close=False)

    def close(self) -> None:
        """See Store.close."""
        self._engine.dispose()


_NOTIFY = text(f"SELECT pg_notify('{_CHANNEL}', :topic)")


class _Pinned:
    """See Pinned. A connection that broke is replaced at the next write."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._conn: Connection | None = None

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """See Pinned.write."""
        with _translated():
            conn = self._conn = self._conn or self._store._engine.connect()
            try:
                tx = Tx(conn, "postgresql", now_us(), self._store.keyring)
                yield tx
                # Raw statements are none of SQLAlchemy's business, so it may not know of a transaction.
                (conn if conn.in_transaction() else conn.connection).commit()
            except BaseException:
                self._undo(conn)
                raise
        if tx.wakes:
            self._store.wake(tx.wakes)

    def _undo(self, conn: Connection) -> None:
        try:
            (conn if conn.in_transaction() else conn.connection).rollback()
        except Exception:  # noqa: BLE001 - whatever broke, the connection is of no more use
            self._conn = None
            conn.invalidate()
            conn.close()

    def close(self) -> None:
        """See Pinned.close."""
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()


class _Notifications:
    """A connection of its own that listens; a lost one is opened again, and counts as a wake-up of everything."""

    def __init__(self, url: str, topics: Iterable[str]) -> None:
        self._url = url
        self._topics = frozenset(topics)
        self._conn: psycopg.Connection[tuple[object, ...]] | None = None
        self._heard: set[str] = set()
        with contextlib.suppress(psycopg.Error):
            self._connect()

    def wait(self, timeout: float) -> frozenset[str]:
        """See Listener.wait."""
        try:
            if self._conn is None:
                self._connect()
                return self._topics
            self._read(timeout)
        except (psycopg.Error, OSError):
            self.close()
            time.sleep(min(timeout, 1.0))
        heard = frozenset(self._heard & self._topics)
        self._heard.clear()
        return heard

    def _connect(self) -> None:
        self._conn = psycopg.connect(self._url, autocommit=True, connect_timeout=5)
        self._conn.execute(f"LISTEN {_CHANNEL}")

    def _read(self, timeout: float) -> None:
        assert self._conn is not None
        deadline = time.monotonic() + timeout
        while not (self._heard & self._topics):
            left = deadline - time.monotonic()
            if left < 0:
                return
            select.select([self._conn.fileno()], [], [], left)
            self._heard.update(notice.payload for notice in self._conn.notifies(timeout=0))

    def close(self) -> None:
        """See Listener.close."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> Exception:
    text_ = str(getattr(error, "orig", error)).strip().split("\n")[0]
    if "disk" in text_ and "full" in text_:
        return UnavailableError("the database's disk is full", hint="Free some space.", code="disk-full")
    return UnavailableError(f"the database does not answer: {text_}", hint="Try again.", code="database-away")
