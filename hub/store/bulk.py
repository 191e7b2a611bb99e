"""Many rows at once, past SQLAlchemy's statement machinery: for the few paths where a microsecond a row counts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Table

from hub.store.base import Dialect, Tx
from hub.store.tables.columns import JsonText

CHUNK = 64
"""Rows in one statement, at most."""
_dumps = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def insert_rows(
    tx: Tx, table: Table, rows: Sequence[Mapping[str, Any]], *, suffix: str = "", also: tuple[Any, ...] = ()
) -> int:
    """Insert rows that all have the columns of the first one, in its order; returns how many were written.

    `suffix` ends the statement (ON CONFLICT ...); `also` are the values of the parameter marks in it.
    """
    written, at = 0, 0
    while at < len(rows):
        # Powers of two, so that a few statements serve every number of rows and stay prepared. One statement for
        # many rows also means that SQLite gives up the interpreter's lock once, not once a row.
        size = min(1 << (len(rows) - at).bit_length() - 1, CHUNK)
        text, as_json = _statement(table, tuple(rows[0]), size, tx.dialect, suffix)
        values = [value for row in rows[at : at + size] for value in _shape(row, as_json)]
        written += execute(tx, text, (*values, *also)).rowcount
        at += size
    return written


def execute(tx: Tx, text: str, values: tuple[Any, ...]) -> Any:
    """Run one statement with driver parameters; gives the driver's cursor (rows, `rowcount`)."""
    if tx.dialect == "sqlite":
        raw: Any = tx.conn.connection.dbapi_connection
        return raw.execute(text, values)
    return tx.conn.exec_driver_sql(text, values)


def mark(dialect: Dialect) -> str:
    """How the driver writes a parameter."""
    return "?" if dialect == "sqlite" else "%s"


def _shape(row: Mapping[str, Any], as_json: frozenset[str]) -> list[Any]:
    return [_dumps(value) if name in as_json else value for name, value in row.items()]


@lru_cache(maxsize=64)
def _statement(
    table: Table, names: tuple[str, ...], size: int, dialect: Dialect, suffix: str
) -> tuple[str, frozenset[str]]:
    columns = ", ".join(f'"{name}"' for name in names)
    one = f"({', '.join([mark(dialect)] * len(names))})"
    marks = ", ".join([one] * size)
    text = f'INSERT INTO "{table.name}" ({columns}) VALUES {marks} {suffix}'  # noqa: S608 - names of our own columns
    return text, frozenset(name for name in names if isinstance(table.c[name].type, JsonText))
