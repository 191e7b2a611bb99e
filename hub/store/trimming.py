"""Removing what is old, a bounded number of rows in a transaction, each by an index that says how old it is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Table, delete, select

from hub.store.base import Tx
from hub.store.tables import (
    Attempt,
    CommandOutcome,
    Effect,
    Firing,
    Log,
    Receipt,
    RunRow,
    StateRow,
    TaskRunRow,
    Tick,
)
from hub.types import Id, Micros

RUNS: Table = RunRow.__table__  # type: ignore[attr-defined]
# What belongs to a run, and the key by which a part of it is removed: a run may have any number of log lines.
_PARTS: tuple[tuple[Table, str], ...] = tuple(
    (model.__table__, "id")  # type: ignore[union-attr]
    for model in (Log, StateRow, TaskRunRow, Attempt)
)


def runs(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove runs that ended before then, with all that belongs to them. How many rows went."""
    query = select(RUNS.c.id).where(RUNS.c.ended_at < before).order_by(RUNS.c.ended_at).limit(limit)
    ids = list(tx.conn.execute(query).scalars())
    if not ids:
        return 0
    removed = sum(_some(tx, table, key, table.c.run_id.in_(ids), limit) for table, key in _PARTS)
    if removed:
        # Their rows first, however many batches it takes; a run without them would be found no more.
        return removed
    return tx.conn.execute(delete(RUNS).where(RUNS.c.id.in_(ids))).rowcount


def effects(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove effects that were carried out before then."""
    table: Table = Effect.__table__  # type: ignore[attr-defined]
    return _some(tx, table, "id", table.c.done_at < before, limit)


def receipts(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove receipts from before then."""
    table: Table = Receipt.__table__  # type: ignore[attr-defined]
    return _some(tx, table, "id", table.c.received_at < before, limit)


def ticks(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove ticks from before then; schedules only ever move forward, so none of them can happen again."""
    table: Table = Tick.__table__  # type: ignore[attr-defined]
    return _some(tx, table, "schedule_id", table.c.at < before, limit, second="planned_at")


def firings(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove what automations did before then."""
    table: Table = Firing.__table__  # type: ignore[attr-defined]
    return _some(tx, table, "automation_id", table.c.at < before, limit, second="event_id")


def outcomes(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove outcomes of commands from before then."""
    table: Table = CommandOutcome.__table__  # type: ignore[attr-defined]
    return _some(tx, table, "command_id", table.c.at < before, limit)


def _some(tx: Tx, table: Table, key: str, where: ColumnElement[bool], limit: int, *, second: str = "") -> int:
    """Delete at most `limit` rows: DELETE itself knows no limit."""
    names = [key, second] if second else [key]
    rows: list[Any] = list(tx.conn.execute(select(*(table.c[name] for name in names)).where(where).limit(limit)))
    if not rows:
        return 0
    if not second:
        return tx.conn.execute(delete(table).where(table.c[key].in_([row[0] for row in rows]))).rowcount
    by_second: dict[Any, list[Id]] = {}
    for first, other in rows:
        by_second.setdefault(other, []).append(first)
    return sum(
        tx.conn.execute(delete(table).where(table.c[second] == other, table.c[key].in_(firsts))).rowcount
        for other, firsts in by_second.items()
    )
