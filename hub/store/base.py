"""What a store is: short transactions, wake-ups, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

from hub.crypto import Keyring
from hub.types import Micros

Dialect: TypeAlias = Literal["sqlite", "postgresql"]
TOPICS = ("runs", "stamp", "events", "effects", "attempts", "commands", "logs", "deliveries")


@dataclass(slots=True)
class Tx:
    """An open transaction: a Core connection, the time it began, and whom to wake once it is committed."""

    conn: Connection
    dialect: Dialect
    now: Micros
    keyring: Keyring
    """Seals and opens secrets at rest; every store has one."""
    wakes: set[str] = field(default_factory=set)

    def wake(self, topic: str) -> None:
        """Wake the listeners of `topic` after the commit."""
        self.wakes.add(topic)

    def insert(self, table: Table, rows: Mapping[str, Any] | list[dict[str, Any]]) -> None:
        """Insert one row or many."""
        if rows:
            self.conn.execute(table.insert(), rows)

    def insert_ignore(self, table: Table, row: Mapping[str, Any]) -> bool:
        """Insert a made-once row; False when it is already there."""
        maker = sqlite.insert if self.dialect == "sqlite" else postgresql.insert
        key = next(iter(table.primary_key))
        statement = maker(table).values(dict(row)).on_conflict_do_nothing().returning(key)
        return self.conn.execute(statement).first() is not None

    def upsert(self, table: Table, row: Mapping[str, Any], *, keys: Iterable[str]) -> None:
        """Insert, or update the row that has the same `keys`."""
        maker = sqlite.insert if self.dialect == "sqlite" else postgresql.insert
        statement = maker(table).values(dict(row))
        names = list(keys)
        changed = {name: statement.excluded[name] for name in row if name not in names}
        self.conn.execute(statement.on_conflict_do_update(index_elements=names, set_=changed))


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

    def close(self) -> None:
        """Give the connection back."""


class Store(Protocol):
    """A database of the hub, as every process sees it."""

    dialect: Dialect
    keyring: Keyring

    def read(self) -> AbstractContextManager[Tx]:
        """A transaction that only reads, from one snapshot."""

    def write(self, *, durable: bool = True) -> AbstractContextManager[Tx]:
        """A transaction that writes. `durable` False may lose its last commits on a power cut (SQLite only).

        Raises UnavailableError when the database is away, locked for too long, or its disk is full.
        """

    def pin(self) -> Pinned:
        """A connection of the caller's own, for the task journal."""

    def wake(self, topics: Iterable[str]) -> None:
        """Wake listeners outside a transaction."""

    def listen(self, *topics: str) -> Listener:
        """Hear the given topics, from every process on this database."""

    def migrate(self) -> None:
        """Bring the schema to this version; safe when several processes do it at once."""

    def dispose_in_child(self) -> None:
        """Forget inherited connections after a fork without closing the parent's."""

    def close(self) -> None:
        """Close all connections."""
