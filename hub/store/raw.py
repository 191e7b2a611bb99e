"""Statements as plain text for the driver itself: for what every run and every webhook does.

SQLAlchemy needs 0.1 to 0.3 ms to put a statement together, SQLite 0.01 to carry it out; a run takes some thirty. Here
each text is made once, from the names of our own columns. Everything else goes through SQLAlchemy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sqlalchemy import BigInteger, Boolean, Integer, LargeBinary, Table

from hub.store.sending import execute as execute
from hub.store.tables.columns import JsonText

if TYPE_CHECKING:
    from hub.store.base import Tx

Dialect: TypeAlias = Literal["sqlite", "postgresql"]
CHUNK = 64
"""Rows in one statement, at most."""
IGNORE = "ON CONFLICT DO NOTHING"
_dumps = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def mark(dialect: Dialect) -> str:
    """How the driver writes a parameter."""
    return "?" if dialect == "sqlite" else "%s"


def fetch(tx: Tx, text: str, values: Sequence[Any] = ()) -> list[Any]:
    """The rows of one statement, its parameters written as `?`; documents in them are still text."""
    found: list[Any] = ask(tx, text, values).fetchall()
    return found


def ask(tx: Tx, text: str, values: Sequence[Any] = ()) -> Any:
    """The cursor of one statement, its parameters written as `?`, for whoever looks at it later."""
    return execute(tx, marked(text, tx.dialect), values)


@lru_cache(maxsize=256)
def marked(text: str, dialect: Dialect) -> str:
    """A statement whose parameters are written as `?`, as the driver wants it."""
    return text.replace("?", mark(dialect))


def execute_many(tx: Tx, text: str, rows: Sequence[Sequence[Any]]) -> None:
    """Run one statement, its parameters written as `?`, for each of some rows, in one round trip."""
    connection: Any = tx.conn.connection.dbapi_connection
    connection.cursor().executemany(text.replace("?", mark(tx.dialect)), rows)


def insert(tx: Tx, table: Table, row: Mapping[str, Any], *, suffix: str = "") -> bool:
    """Insert one row; False when `suffix` (ON CONFLICT ...) kept it out."""
    found = _insert(tx, table, row, suffix)
    return bool(found.rowcount) if suffix else True


def _insert(tx: Tx, table: Table, row: Mapping[str, Any], suffix: str) -> Any:
    row = _filled(table, row)
    text, as_json = _inserting(table, tuple(row), 1, tx.dialect, suffix)
    return execute(tx, text, _shape(row, as_json))


def insert_rows(
    tx: Tx, table: Table, rows: Sequence[Mapping[str, Any]], *, suffix: str = "", also: tuple[Any, ...] = ()
) -> list[Any]:
    """Insert rows that all have the columns of the first one, in its order; gives the cursors of the statements.

    `suffix` ends the statement (ON CONFLICT ...); `also` are the values of the parameter marks in it.
    """
    at, cursors = 0, []
    if rows and _omitted(table, tuple(rows[0])):
        rows = [_filled(table, row) for row in rows]
    while at < len(rows):
        # Powers of two, so that a few statements serve every number of rows and stay prepared. One statement for
        # many rows also means that SQLite gives up the interpreter's lock once, not once a row.
        size = min(1 << (len(rows) - at).bit_length() - 1, CHUNK)
        text, as_json = _inserting(table, tuple(rows[0]), size, tx.dialect, suffix)
        values = (value for row in rows[at : at + size] for value in _shape(row, as_json))
        cursors.append(execute(tx, text, (*values, *also)))
        at += size
    return cursors


def insert_new(
    tx: Tx, table: Table, rows: Sequence[Mapping[str, Any]], returning: tuple[str, ...]
) -> set[tuple[Any, ...]]:
    """Insert those of some rows that are not there yet; gives the columns `returning` of each that was."""
    suffix = f"{IGNORE} RETURNING {_list(returning)}"
    return {tuple(found) for cursor in insert_rows(tx, table, rows, suffix=suffix) for found in cursor.fetchall()}


def copy_rows(tx: Tx, table: Table, names: tuple[str, ...], rows: Iterable[Sequence[Any]]) -> None:
    """Add rows to a table of PostgreSQL by COPY: a tenth of the work of a statement with a parameter for each value,
    for a round trip more. `rows` have the values of `names` in this order, documents as text; no conflict is bearable.
    """
    text, types = _copying(table, names)
    raw: Any = tx.conn.connection.dbapi_connection
    with raw.cursor() as cursor, cursor.copy(text) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def change(tx: Tx, table: Table, values: Mapping[str, Any], where: Mapping[str, Any], *, guard: str = "") -> int:
    """Update the rows whose columns have the values of `where`; says how many. `guard` is a further condition."""
    return int(_change(tx, table, values, where, guard, ()).rowcount)


def put(tx: Tx, table: Table, values: Mapping[str, Any], where: Mapping[str, Any], *, guard: str = "") -> None:
    """The same for whoever does not ask how many."""
    _change(tx, table, values, where, guard, ())


def change_one(
    tx: Tx, table: Table, values: Mapping[str, Any], where: Mapping[str, Any], *, returning: tuple[str, ...]
) -> dict[str, Any] | None:
    """The same for one row, of which the columns `returning` are given; None when there was none."""
    cursor = _change(tx, table, values, where, "", returning)
    return next(_rows(cursor, table, returning), None)


def select_one(tx: Tx, table: Table, names: tuple[str, ...], where: Mapping[str, Any]) -> dict[str, Any] | None:
    """The columns `names` of the first row whose columns have the values of `where`."""
    text = _selecting(table, names, tuple(where), tx.dialect, "", "")
    return next(_rows(execute(tx, text, tuple(where.values())), table, names), None)


def select_rows(
    tx: Tx,
    table: Table,
    names: tuple[str, ...],
    where: Mapping[str, Any],
    *,
    guard: str = "",
    also: tuple[Any, ...] = (),
    tail: str = "",
) -> list[dict[str, Any]]:
    """The same of all such rows. `guard` is a further condition, with `also` for the `?` in it; `tail` comes last."""
    return ask_rows(tx, table, names, where, guard=guard, also=also, tail=tail).all()


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that were asked for. On PostgreSQL all that is asked before one looks takes one round trip."""

    cursor: Any
    table: Table
    names: tuple[str, ...]

    def all(self) -> list[dict[str, Any]]:
        """Look at them, once."""
        return list(_rows(self.cursor, self.table, self.names))


def ask_rows(
    tx: Tx,
    table: Table,
    names: tuple[str, ...],
    where: Mapping[str, Any],
    *,
    guard: str = "",
    also: tuple[Any, ...] = (),
    tail: str = "",
) -> Rows:
    """As `select_rows`, for whoever looks at them later."""
    text = _selecting(table, names, tuple(where), tx.dialect, guard, tail)
    return Rows(execute(tx, text, (*where.values(), *also)), table, names)


def select_many(
    tx: Tx, table: Table, names: tuple[str, ...], column: str, wanted: Collection[Any]
) -> list[dict[str, Any]]:
    """The rows whose `column` has one of the values `wanted`."""
    return [row for rows in ask_many(tx, table, names, column, wanted) for row in rows.all()]


def ask_many(tx: Tx, table: Table, names: tuple[str, ...], column: str, wanted: Collection[Any]) -> list[Rows]:
    """The same, for whoever looks later."""
    return [ask_rows(tx, table, names, {}, guard=guard, also=some) for guard, some in among(column, wanted)]


def change_many(
    tx: Tx, table: Table, changes: str, values: Sequence[Any], column: str, wanted: Collection[Any]
) -> None:
    """Update the rows whose `column` has one of the values `wanted`; `values` are for the `?` in `changes`."""
    for guard, some in among(column, wanted):
        text = f'UPDATE "{table.name}" SET {changes} WHERE {guard}'  # noqa: S608 - our own columns
        execute(tx, marked(text, tx.dialect), (*values, *some))


def among(column: str, wanted: Collection[Any]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The condition that a column has one of some values, and these, in as many pieces as needed."""
    values = list(wanted)
    for at in range(0, len(values), CHUNK):
        some = values[at : at + CHUNK]
        # Filled up to a power of two, so that a few statements serve every number.
        some += some[-1:] * ((1 << (len(some) - 1).bit_length()) - len(some))
        yield f"{column} IN ({', '.join('?' * len(some))})", tuple(some)


def upsert(tx: Tx, table: Table, row: Mapping[str, Any], *, keys: tuple[str, ...]) -> None:
    """Insert a row, or update the one that has the same `keys`."""
    _insert(tx, table, row, _replacing(tuple(row), keys))


def as_row(table: Table, names: tuple[str, ...], values: Sequence[Any]) -> dict[str, Any]:
    """The values of some columns of a row, by their names and as Python sees them."""
    row = dict(zip(names, values, strict=True))
    for name in _documents(table, names):
        if row[name] is not None:
            row[name] = json.loads(row[name])
    for name in _flags(table, names):
        if row[name] is not None:
            row[name] = bool(row[name])
    return row


@lru_cache(maxsize=64)
def names_of(table: Table) -> tuple[str, ...]:
    """All columns of a table."""
    return tuple(column.name for column in table.c)


def _change(
    tx: Tx, table: Table, values: Mapping[str, Any], where: Mapping[str, Any], guard: str, returning: tuple[str, ...]
) -> Any:
    text, as_json = _changing(table, tuple(values), tuple(where), tx.dialect, guard, returning)
    return execute(tx, text, (*_shape(values, as_json), *where.values()))


def _filled(table: Table, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row with the defaults of the columns that it leaves out."""
    omitted = _omitted(table, tuple(row))
    return {**row, **{name: make() for name, make in omitted}} if omitted else row


@lru_cache(maxsize=128)
def _omitted(table: Table, names: tuple[str, ...]) -> tuple[tuple[str, Callable[[], Any]], ...]:
    found: list[tuple[str, Callable[[], Any]]] = []
    for column in table.c:
        default: Any = column.default
        if column.name in names or default is None:
            continue
        found.append((column.name, partial(default.arg, None) if default.is_callable else partial(_same, default.arg)))
    return tuple(found)


def _same(value: Any) -> Any:
    return value


def _shape(row: Mapping[str, Any], as_json: frozenset[str]) -> list[Any]:
    return [
        _dumps(value)
        if name in as_json and value is not None
        else value.value
        if isinstance(value, Enum)
        else value
        for name, value in row.items()
    ]  # fmt: skip


def _rows(cursor: Any, table: Table, names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for found in cursor.fetchall():
        yield as_row(table, names, found)


@lru_cache(maxsize=256)
def _documents(table: Table, names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name for name in names if isinstance(table.c[name].type, JsonText))


@lru_cache(maxsize=256)
def _flags(table: Table, names: tuple[str, ...]) -> tuple[str, ...]:
    """Columns that SQLite gives as numbers."""
    return tuple(name for name in names if isinstance(table.c[name].type, Boolean))


@lru_cache(maxsize=128)
def _inserting(
    table: Table, names: tuple[str, ...], size: int, dialect: Dialect, suffix: str
) -> tuple[str, frozenset[str]]:
    one = f"({', '.join([mark(dialect)] * len(names))})"
    marks = ", ".join([one] * size)
    text = f'INSERT INTO "{table.name}" ({_list(names)}) VALUES {marks} {suffix}'  # noqa: S608 - our own columns
    return text, _documents(table, names)


@lru_cache(maxsize=16)
def _copying(table: Table, names: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    kinds = ((BigInteger, "int8"), (Integer, "int4"), (LargeBinary, "bytea"), (Boolean, "bool"))
    types = [next((name for kind, name in kinds if isinstance(table.c[column].type, kind)), "text") for column in names]
    return f'COPY "{table.name}" ({_list(names)}) FROM STDIN (FORMAT BINARY)', tuple(types)


@lru_cache(maxsize=128)
def _changing(
    table: Table, names: tuple[str, ...], where: tuple[str, ...], dialect: Dialect, guard: str, back: tuple[str, ...]
) -> tuple[str, frozenset[str]]:
    one = mark(dialect)
    changes = ", ".join(f'"{name}" = {one}' for name in names)
    text = f'UPDATE "{table.name}" SET {changes}{_where(where, one, guard)}'  # noqa: S608 - our own columns
    return text + (f" RETURNING {_list(back)}" if back else ""), _documents(table, names)


@lru_cache(maxsize=128)
def _selecting(
    table: Table, names: tuple[str, ...], where: tuple[str, ...], dialect: Dialect, guard: str, tail: str
) -> str:
    return f'SELECT {_list(names)} FROM "{table.name}"{_where(where, mark(dialect), guard)} {tail}'  # noqa: S608


@lru_cache(maxsize=64)
def _replacing(names: tuple[str, ...], keys: tuple[str, ...]) -> str:
    changed = ", ".join(f'"{name}" = excluded."{name}"' for name in names if name not in keys)
    return f"ON CONFLICT ({_list(keys)}) DO UPDATE SET {changed}"


def _where(names: tuple[str, ...], one: str, guard: str) -> str:
    return " WHERE " + " AND ".join(
        [*(f'"{name}" = {one}' for name in names), *([guard.replace("?", one)] if guard else [])]
    )


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)
