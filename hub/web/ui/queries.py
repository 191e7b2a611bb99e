"""Reading tables for pages: always of the caller's workspace, always bounded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Table, func, select, true

from hub.errors import NotFoundError
from hub.store.base import Tx
from hub.store.pages import Page, encode, page
from hub.types import Id, Scope

PAGE = 50
COUNT_LIMIT = 1000


def listing(
    tx: Tx,
    scope: Scope,
    table: Table,
    *where: ColumnElement[bool],
    cursor: str = "",
    limit: int = PAGE,
    without: Iterable[str] = (),
) -> Page[dict[str, Any]]:
    """A page of rows, newest first, `without` the columns that a list does not show (bodies, traces)."""
    heavy = set(without)
    columns = [column for column in table.c if column.name not in heavy]
    query = select(*columns).where(table.c.workspace_id == scope.workspace_id, *where)
    return page(tx, query, table.c.id, limit=limit, cursor=cursor or None, make=dict)


def merged(
    tx: Tx,
    scope: Scope,
    table: Table,
    alternatives: list[ColumnElement[bool]],
    *where: ColumnElement[bool],
    cursor: str = "",
    without: Iterable[str] = (),
) -> Page[dict[str, Any]]:
    """A page of the rows that fit one of `alternatives` (all rows without any), each asked for by its own index."""
    found = [
        listing(tx, scope, table, *where, alternative, cursor=cursor, without=without)
        for alternative in alternatives or [true()]
    ]
    rows = sorted((row for part in found for row in part.items), key=lambda row: str(row["id"]), reverse=True)
    more = len(rows) > PAGE or any(part.next_cursor for part in found)
    return Page(rows[:PAGE], encode(rows[:PAGE][-1]["id"]) if more else None)


def one(tx: Tx, scope: Scope, table: Table, row_id: Id, noun: str) -> dict[str, Any]:
    """A row by its id. Raises NotFoundError."""
    query = select(table).where(table.c.id == row_id, table.c.workspace_id == scope.workspace_id)
    row = tx.conn.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(
            f"there is no {noun} {row_id}", hint="It may have been deleted, or it belongs to another workspace."
        )
    return dict(row)


def find(tx: Tx, scope: Scope, table: Table, row_id: Id | None, *columns: str) -> dict[str, Any] | None:
    """A row by its id, or None; only the named columns when some are named."""
    if row_id is None:
        return None
    wanted = [table.c[name] for name in columns] or [*table.c]
    query = select(*wanted).where(table.c.id == row_id, table.c.workspace_id == scope.workspace_id)
    row = tx.conn.execute(query).mappings().first()
    return None if row is None else dict(row)


def some(tx: Tx, scope: Scope, table: Table, ids: Iterable[Id | None], *columns: str) -> dict[Id, dict[str, Any]]:
    """The named columns of the rows with these ids, by id."""
    wanted = {row_id for row_id in ids if row_id}
    if not wanted:
        return {}
    query = select(*(table.c[name] for name in columns)).where(
        table.c.workspace_id == scope.workspace_id, table.c.id.in_(wanted)
    )
    return {row["id"]: dict(row) for row in tx.conn.execute(query).mappings()}


def names(tx: Tx, scope: Scope, table: Table, ids: Iterable[Id | None], column: str = "name") -> dict[Id, str]:
    """What the rows with these ids are called."""
    wanted = {row_id for row_id in ids if row_id}
    if not wanted:
        return {}
    query = select(table.c.id, table.c[column]).where(
        table.c.workspace_id == scope.workspace_id, table.c.id.in_(wanted)
    )
    return {row.id: row[1] for row in tx.conn.execute(query)}


def count(tx: Tx, scope: Scope, table: Table, *where: ColumnElement[bool], limit: int = COUNT_LIMIT) -> int:
    """How many rows there are, counted no further than `limit`: the answer stays quick on millions."""
    inner = select(table.c.id).where(table.c.workspace_id == scope.workspace_id, *where).limit(limit).subquery()
    return int(tx.conn.execute(select(func.count()).select_from(inner)).scalar_one())
