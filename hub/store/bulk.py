"""Many rows at once, past SQLAlchemy's statement machinery: for the few paths where a microsecond a row counts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Table

from hub.store.base import Dialect, Tx
from hub.store.tables.columns import JsonText

_dumps = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def insert_rows(
    tx: Tx, table: Table, rows: Sequence[Mapping[str, Any]], *, suffix: str = "", also: tuple[Any, ...] = ()
) -> int:
    """Insert rows that all have the columns of the first one, in its order; returns how many were written.

    `suffix` ends the statement (ON CONFLICT ...); `also` are the values of the parameter marks in it.
    """
    if not rows:
        return 0
    text, as_json = _statement(table, tuple(rows[0]), tx.dialect, suffix)
    return tx.conn.exec_driver_sql(text, [_shape(row, as_json) + also for row in rows]).rowcount


def mark(dialect: Dialect) -> str:
    """How the driver writes a parameter."""
    return "?" if dialect == "sqlite" else "%s"


def _shape(row: Mapping[str, Any], as_json: frozenset[str]) -> tuple[Any, ...]:
    return tuple([_dumps(value) if name in as_json else value for name, value in row.items()])


@lru_cache(maxsize=64)
def _statement(table: Table, names: tuple[str, ...], dialect: Dialect, suffix: str) -> tuple[str, frozenset[str]]:
    columns = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join([mark(dialect)] * len(names))
    text = f'INSERT INTO "{table.name}" ({columns}) VALUES ({marks}) {suffix}'  # noqa: S608 - names of our own columns
    return text, frozenset(name for name in names if isinstance(table.c[name].type, JsonText))
