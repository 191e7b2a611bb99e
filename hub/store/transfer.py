"""Everything that a database of the hub holds, row by row, for another one; and whether both hold the same.

Rows travel as they are stored: JSON as its text, sealed secrets sealed. A table goes in the order of its primary key,
and how far it has come is written with the rows, so that whoever is cut off goes on there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any

from sqlalchemy import Table, TableClause, Text, column, delete, func, insert, select, text, tuple_
from sqlalchemy import table as clause

from hub.errors import ConflictError
from hub.store import leaders, workers
from hub.store.base import Store, Tx
from hub.store.tables import SiteValue, Worker, metadata
from hub.store.tables.columns import JsonText
from hub.types import Micros, rfc3339

BATCH = 500
MOVED, UNDER_WAY = "moved_to", "transfer"
"""Site values: where everything has gone from here; how far a transfer to here has come."""
_VALUES = SiteValue.__table__
_WORKERS = Worker.__table__
_SEEDED = frozenset({"workspaces", "work_pools", "work_queues"})
_OWN = frozenset({MOVED, UNDER_WAY})
_LEFT = frozenset({"leaders"})
"""Leases: nothing that holds one goes along."""

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Sum:
    """How many rows a table holds, and a digest of them that does not depend on their order."""

    rows: int = 0
    digest: int = 0

    def plus(self, rows: Sequence[Sequence[Any]]) -> Sum:
        """The same with these rows."""
        digest = self.digest
        for row in rows:
            values = [bytes(value).hex() if isinstance(value, bytes | memoryview) else value for value in row]
            told = json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
            digest = (digest + int.from_bytes(sha256(told).digest(), "big")) % (1 << 256)
        return Sum(self.rows + len(rows), digest)


def names() -> list[str]:
    """The tables that go along."""
    return [table.name for table in metadata.sorted_tables if table.name not in _LEFT]


@cache
def _plain(name: str) -> TableClause:
    """A table whose documents are texts."""
    table = metadata.tables[name]
    return clause(name, *[column(c.name, Text() if isinstance(c.type, JsonText) else c.type) for c in table.c])


@cache
def _key(name: str) -> tuple[Any, ...]:
    return tuple(_plain(name).c[found.name] for found in metadata.tables[name].primary_key.columns)


def count(tx: Tx, name: str) -> int:
    """How many rows of a table go along."""
    table = _plain(name)
    query = select(func.count()).select_from(table)
    if name == _VALUES.name:
        query = query.where(table.c.name.not_in(_OWN))
    return int(tx.conn.execute(query).scalar_one())


def batches(tx: Tx, name: str, after: Key | None = None) -> Iterator[tuple[list[Key], Key]]:
    """The rows of a table after a key, some at a time, each time with the last key."""
    key, table = _key(name), _plain(name)
    while True:
        query = select(table).order_by(*key).limit(BATCH)
        if name == _VALUES.name:
            query = query.where(table.c.name.not_in(_OWN))
        if after is not None:
            query = query.where(tuple_(*key) > tuple_(*after) if len(key) > 1 else key[0] > after[0])
        rows = [tuple(row) for row in tx.conn.execute(query)]
        if not rows:
            return
        at = [list(table.c).index(one) for one in key]
        after = tuple(rows[-1][place] for place in at)
        yield rows, after


def write(tx: Tx, name: str, rows: Sequence[Key]) -> None:
    """Insert rows as `batches` gives them."""
    titles = [one.name for one in _plain(name).c]
    tx.conn.execute(insert(_plain(name)), [dict(zip(titles, row, strict=True)) for row in rows])


def clear(tx: Tx) -> None:
    """Remove all rows."""
    for name in names():
        tx.conn.execute(delete(_plain(name)))


def not_empty(tx: Tx) -> dict[str, int]:
    """What a database holds beside what every new one does: tables with their rows."""
    found = {name: count(tx, name) for name in names() if name not in _SEEDED}
    return {name: rows for name, rows in found.items() if rows}


def count_on(tx: Tx) -> None:
    """Have numbers that the database gives go on after those of the rows (PostgreSQL)."""
    if tx.dialect != "postgresql":
        return
    for table in metadata.sorted_tables:
        number = table.autoincrement_column
        if number is not None and isinstance(number.type.python_type(), int):
            _go_on(tx, table, number.name)


def _go_on(tx: Tx, table: Table, name: str) -> None:
    sequence = tx.conn.execute(
        text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": table.name, "column": name}
    ).scalar()
    if sequence is not None:
        last = tx.conn.execute(select(func.max(table.c[name]))).scalar() or 0
        tx.conn.execute(text("SELECT setval(:sequence, :last)"), {"sequence": sequence, "last": max(1, int(last))})


def value(tx: Tx, name: str) -> Any:
    """What a transfer has written down; None for nothing."""
    return tx.conn.execute(select(_VALUES.c.value).where(_VALUES.c.name == name)).scalar()


def note(tx: Tx, name: str, said: Any) -> None:
    """Write it down; None takes it back."""
    if said is None:
        tx.conn.execute(delete(_VALUES).where(_VALUES.c.name == name))
    else:
        tx.upsert(_VALUES, {"name": name, "value": said}, keys=["name"])


def in_use(tx: Tx) -> list[tuple[str, Micros]]:
    """Which processes hold leases on a database, by their identity, and until when."""
    held = [(holder, until) for _, holder, until in leaders.held(tx)]
    names = ("host", "boot_id", "pid", "pid_started", "lease_until")
    alive = select(*[_WORKERS.c[name] for name in names]).where(
        _WORKERS.c.lease_until > tx.now, _WORKERS.c.status.in_(workers.ALIVE)
    )
    return [*held, *(("|".join(map(str, who)), until) for *who, until in tx.conn.execute(alive))]


def refuse_moved(store: Store) -> None:
    """Raise ConflictError for a database whose hub is in another one now, or not wholly here yet."""
    with store.read() as tx:
        found = {row.name: row.value for row in tx.conn.execute(_MARKS)}
    if (mark := found.get(MOVED)) is not None:
        raise ConflictError(
            f"this hub was moved to {mark['to']} at {rfc3339(mark['at'])}",
            hint="Set HUB_DATABASE_URL to that. `hub transfer --undo` lets the hub start here again.",
            code="moved",
        )
    if UNDER_WAY in found:
        raise ConflictError(
            "a hub is being moved to this database, and not all of it is here",
            hint="Call `hub transfer` again where it comes from.",
            code="half-moved",
        )


_MARKS = select(_VALUES.c.name, _VALUES.c.value).where(_VALUES.c.name.in_(sorted(_OWN)))
