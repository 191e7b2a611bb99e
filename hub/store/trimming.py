"""Removing what is old, a bounded number of rows in a transaction, each by an index that says how old it is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Table, and_, case, delete, select

from hub.store import kept
from hub.store.base import Tx
from hub.store.receipts import FREE, received_before
from hub.store.tables import (
    Attempt,
    AutomationAction,
    AutomationWindow,
    CommandOutcome,
    Compensation,
    Effect,
    Firing,
    FlowState,
    Log,
    Message,
    Receipt,
    RunCancel,
    RunRow,
    StateRow,
    TaskRunRow,
    Tick,
    TransactionKey,
    TransactionRow,
    WaitPoint,
)
from hub.types import Id, Micros

RUNS: Table = RunRow.__table__
TASKS: Table = TaskRunRow.__table__
# What belongs to a run, and the key by which a part of it is removed: a run may have any number of log lines.
_PARTS: tuple[tuple[Table, str], ...] = tuple(
    (model.__table__, "id")
    for model in (Log, StateRow, Attempt, Compensation, TransactionRow, TransactionKey, WaitPoint, Message, RunCancel)
)


def runs(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove runs that ended before then, with all that belongs to them. How many rows went."""
    query = select(RUNS.c.id).where(RUNS.c.ended_at < before).order_by(RUNS.c.ended_at).limit(limit)
    ids = list(tx.conn.execute(query).scalars())
    if not ids:
        return 0
    removed = sum(_some(tx, table, key, table.c.run_id.in_(ids), limit) for table, key in _PARTS)
    removed += _with_results(tx, TASKS, TASKS.c.run_id.in_(ids), limit) + kept.end_uses(tx, ids, limit=limit)
    if removed:
        # Their rows first, however many batches it takes; a run without them would be found no more.
        return removed
    return _with_results(tx, RUNS, RUNS.c.id.in_(ids), limit)


def _with_results(tx: Tx, table: Table, where: ColumnElement[bool], limit: int) -> int:
    """Remove rows; their results in stores are looked at later."""
    referred = case((table.c.result_format.like("%:%"), table.c.result)).label("result")
    query = select(table.c.id, table.c.workspace_id, table.c.result_format, referred).where(where).limit(limit)
    rows = tx.conn.execute(query).mappings().all()
    kept.leave_all(tx, [dict(row) for row in rows if row["result"] is not None])
    return tx.conn.execute(delete(table).where(table.c.id.in_([row["id"] for row in rows]))).rowcount


def effects(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove effects that were carried out before then."""
    table: Table = Effect.__table__
    return _some(tx, table, "id", table.c.done_at < before, limit)


def receipts(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove receipts from before then, without those that are bookmarked."""
    return _some(tx, Receipt.__table__, "id", and_(FREE, *received_before(before)), limit)


def ticks(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove ticks from before then; schedules only ever move forward, so none of them can happen again."""
    table: Table = Tick.__table__
    return _some(tx, table, "schedule_id", table.c.at < before, limit, second="planned_at")


def firings(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove what automations did before then."""
    table: Table = Firing.__table__
    return _some(tx, table, "automation_id", table.c.at < before, limit, second="event_id")


def actions(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove the actions of automations from before then, but those that are still to be done or hold a lane."""
    table: Table = AutomationAction.__table__
    is_over = and_(table.c.at < before, table.c.status != "pending", table.c.lane.is_(None))
    return _some(tx, table, "id", is_over, limit)


def windows(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove what automations counted and nobody has asked for since then."""
    table: Table = AutomationWindow.__table__
    return _some(tx, table, "id", and_(table.c.expires_at < before, table.c.due_at.is_(None)), limit)


def flow_states(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove what flow control remembers and nobody can ask for since then: no run that waits or executes is in it."""
    table: Table = FlowState.__table__
    used = select(RUNS.c.id).where(RUNS.c.id == table.c.run_id, RUNS.c.ended_at.is_(None)).exists()
    held_back = select(RUNS.c.id).where(RUNS.c.throttle == table.c.id).exists()
    return _some(tx, table, "id", and_(table.c.expires_at < before, ~used, ~held_back), limit)


def outcomes(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove outcomes of commands from before then."""
    table: Table = CommandOutcome.__table__
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
