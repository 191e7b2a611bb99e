"""What a store is: short transactions, wake-ups, and nothing else."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from sqlalchemy import Connection, Table

from hub.crypto import Keyring
from hub.store import raw, sending
from hub.store.raw import Dialect as Dialect
from hub.types import Micros

T = TypeVar("T")
TOPICS = (
    "runs",
    "stamp",
    "events",
    "effects",
    "attempts",
    "commands",
    "logs",
    "deliveries",
    "told",
    "limits",
    "artifacts",
    "waits",
    "receipts",
    "sources",
)


Heard: TypeAlias = Callable[[frozenset[str]], None]
"""Takes the topics that were woken."""


@dataclass(slots=True)
class Tx:
    """An open transaction: a Core connection, the time it began, and whom to wake once it is committed."""

    link: Connection
    """The connection, whatever waits to be sent over it. Whoever has something to say takes `conn`."""
    dialect: Dialect
    now: Micros
    keyring: Keyring
    """Seals and opens secrets at rest; every store has one."""
    wakes: set[str] = field(default_factory=set)
    batch: list[tuple[str, Sequence[Any]]] | None = None
    """Statements held back by `sending.together`."""
    later: list[tuple[str, Sequence[Any], sending.Answer | None]] | None = None
    """Statements of `raw` that are sent with the next one; None where each is sent at once."""
    holds: bool = False
    """It holds rows that others wait for, in an order that only one command knows: no further one belongs in it."""

    @property
    def conn(self) -> Connection:
        """The connection, to which all was said that was to be said before."""
        if self.later:
            sending.flush(self)
        return self.link

    @property
    def driver(self) -> Any:
        """The driver's own connection, whatever waits to be sent over it."""
        return self.link.connection.dbapi_connection

    def wake(self, topic: str) -> None:
        """Wake the listeners of `topic` after the commit."""
        self.wakes.add(topic)

    def insert(self, table: Table, rows: Mapping[str, Any] | list[dict[str, Any]]) -> None:
        """Insert one row or many, all with the columns of the first."""
        if rows:
            raw.insert_rows(self, table, rows if isinstance(rows, list) else [rows])

    def insert_ignore(self, table: Table, row: Mapping[str, Any]) -> bool:
        """Insert a made-once row; False when it is already there."""
        return raw.insert(self, table, row, suffix=raw.IGNORE)

    def insert_missing(self, table: Table, row: Mapping[str, Any]) -> None:
        """The same for whoever does not ask."""
        raw.insert_rows(self, table, [row], suffix=raw.IGNORE)

    def upsert(self, table: Table, row: Mapping[str, Any], *, keys: Iterable[str]) -> None:
        """Insert, or update the row that has the same `keys`."""
        raw.upsert(self, table, row, keys=tuple(keys))


class Listener(Protocol):
    """Hears wake-ups. One thread uses one listener."""

    def wait(self, timeout: float) -> frozenset[str]:
        """Topics heard within `timeout` seconds; empty when none. Wake-ups that came before are not lost."""

    def close(self) -> None:
        """Stop listening."""


class Pinned(Protocol):
    """A connection kept for one writer, so that a small write costs little more than its commit. For one thread at
    a time."""

    def write(self) -> AbstractContextManager[Tx]:
        """As `Store.write(durable=False)`; `Tx.conn` stays open between transactions."""

    def ask(self, text: str, values: Sequence[Any]) -> Any:
        """One statement with the driver's own parameters, as a transaction of its own; gives the first row or None."""

    def change(self, text: str, values: Sequence[Any]) -> int:
        """The same; gives how many rows it changed."""

    def close(self) -> None:
        """Give the connection back."""


class Store(Protocol):
    """A database of the hub, as every process sees it."""

    dialect: Dialect
    keyring: Keyring

    def read(self) -> AbstractContextManager[Tx]:
        """Only reads: on SQLite from one snapshot, on PostgreSQL each statement sees what is committed by then."""

    def write(self, *, durable: bool = True, first: bool = False) -> AbstractContextManager[Tx]:
        """A transaction that writes. `durable` False may lose its last commits on a power cut, `first` goes before what
        others want to write (SQLite only).

        Raises UnavailableError when the database is away, locked for too long, or its disk is full.
        """

    def write_in_loop(self, loop: AbstractEventLoop, work: Callable[[Tx], T], done: Callable[[T | None], None]) -> None:
        """As `write`, in the thread of an event loop, which must not be held up; `done` gets what `work` returned.

        None, and nothing was written, when it raised, or somebody would have to be waited for: other writers, a new
        connection, a slow disk. That is then to be done in another thread. `done` may be called before this returns.
        """

    def is_wanted(self) -> bool:
        """Whether a transaction should end soon, since one that goes first waits for the file, or would have the
        processor (PostgreSQL, on the same machine)."""

    def give_way(self) -> None:
        """Wait until nobody is wanted who goes first, but not for ever. On SQLite whoever writes has waited."""

    def pin(self) -> Pinned:
        """A connection of the caller's own, for the task journal."""

    def wake(self, topics: Iterable[str]) -> None:
        """Wake listeners outside a transaction."""

    def listen(self, *topics: str, own: Heard | None = None) -> Listener:
        """Hear the given topics, from every process on this database.

        `own` is called at once with those that a transaction of this very store wakes, in the thread that has
        committed it, which it must not hold up; `wait` does not tell of them then.
        """

    def migrate(self) -> None:
        """Bring the schema to this version; safe when several processes do it at once."""

    def dispose_in_child(self) -> None:
        """Forget inherited connections after a fork without closing the parent's."""

    def close(self) -> None:
        """Close all connections."""
