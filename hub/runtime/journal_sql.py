"""The journal's statements, prepared once: plain text for the driver itself, with its own place holders."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy.dialects import postgresql

from hub.store.base import Dialect, Pinned, Tx
from hub.store.tables import Log, StateRow, TaskRunRow
from hub.types import Id

TASK_COLUMNS = (
    "id", "workspace_id", "run_id", "journal_key", "task_name", "name", "parent_task_run_id", "upstream",
    "state_type", "state_name", "state_message", "version", "run_attempt", "attempt", "retries_used", "created_at",
    "due_at", "started_at", "ended_at", "error_type", "error_message", "error_trace", "error_class",
    "result", "result_format",
)  # fmt: skip
"""The order of the values in `Fact.row`."""
STATE_COLUMNS = ("workspace_id", "run_id", "task_run_id", "type", "name", "message", "attempt", "at", "actor")
"""The order of the values in `Fact.state`."""
LOG_COLUMNS = ("workspace_id", "run_id", "task_run_id", "attempt", "at", "level", "logger", "message")
"""The order of the values in `Fact.log`."""
_FIXED = ("id", "workspace_id", "run_id", "journal_key", "created_at")
# A step keeps its id: a new attempt reads those of all steps before it writes, and the fence shuts out the old one.
_UPSERT = " ON CONFLICT (id) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in TASK_COLUMNS if name not in _FIXED
)


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements of one dialect."""

    fence: str
    alone: str
    """One task row, if the fence holds and the run is not being cancelled."""
    task: str
    state: str
    log: str


def statements(dialect: Dialect) -> Statements:
    """The statements of `dialect`."""
    mark, locked = ("?", "") if dialect == "sqlite" else ("%s", _LOCKED)
    return Statements(
        fence=f"SELECT attempt, epoch, state_type FROM runs WHERE id = {mark}{locked}",  # noqa: S608 - fixed words
        alone=f"INSERT INTO task_runs ({', '.join(TASK_COLUMNS)}) SELECT {', '.join([mark] * len(TASK_COLUMNS))} "  # noqa: S608
        f"FROM runs WHERE id = {mark} AND attempt = {mark} AND epoch = {mark} AND state_type = 'RUNNING'{_UPSERT}",
        task=_insert("task_runs", TASK_COLUMNS, mark) + _UPSERT,
        state=_insert("states", STATE_COLUMNS, mark),
        log=_insert("logs", LOG_COLUMNS, mark),
    )


def _insert(table: str, columns: tuple[str, ...], mark: str) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join([mark] * len(columns))})"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Fence:
    """What the run must still be for a write to count. A row that says otherwise belongs to somebody else."""

    run_id: Id
    attempt: int
    epoch: int


Rows = list[tuple[Any, ...]]
CANCELLING = "CANCELLING"
ALIVE = ("RUNNING", CANCELLING)
"""States of a run in which what executes it may write."""
_LOCKED = " FOR SHARE"
"""PostgreSQL: the run stays as it was seen until the rows are written, and is seen as it is when others change it now.

Else a statement that waits for a row which the next attempt closes would overwrite it afterwards.
"""
_FEW = 8
"""So many rows of a kind, at most, make one statement on PostgreSQL."""


def write(
    pinned: Pinned, dialect: Dialect, texts: Statements, fence: Fence, tasks: Rows, states: Rows, logs: Rows,
    more: Sequence[Callable[[Tx], object]] = (),
) -> tuple[bool, str]:  # fmt: skip
    """Write rows, and `more`; gives whether the fence held, and the state of the run. Without it nothing is written."""
    if dialect == "postgresql" and not more and max(len(tasks), len(states), len(logs)) <= _FEW:
        values = [value for rows in (tasks, states, logs) for row in rows for value in row]
        text = _at_once(len(tasks), len(states), len(logs))
        return _judge(pinned.ask(text, (fence.run_id, fence.attempt, fence.epoch, *values)), fence)
    alone = dialect == "sqlite" and len(tasks) == 1 and not (states or logs or more)
    # Nearly always it is this: one statement, and no transaction around it.
    if alone and pinned.change(texts.alone, (*tasks[0], fence.run_id, fence.attempt, fence.epoch)):
        return True, ALIVE[0]
    with contextlib.suppress(_NotHeld), pinned.write() as tx:
        raw: Any = tx.conn.connection.dbapi_connection
        parts = [(texts.task, tasks), (texts.state, states), (texts.log, logs)]
        found = (_in_turn if dialect == "sqlite" else _in_one_trip)(raw, texts.fence, fence, parts)
        held, state = _judge(found, fence)
        if not held:
            raise _NotHeld
        for also in more:
            also(tx)
    return held, state


class _NotHeld(Exception):
    """Undoes what was written."""


def _judge(found: tuple[int, int, str] | None, fence: Fence) -> tuple[bool, str]:
    if found is None:
        return False, "gone"
    return found[:2] == (fence.attempt, fence.epoch) and found[2] in ALIVE, str(found[2])


def _in_turn(raw: Any, question: str, fence: Fence, parts: list[tuple[str, Rows]]) -> Any:
    found = raw.execute(question, (fence.run_id,)).fetchone()
    for text, rows in parts:
        if rows:
            raw.executemany(text, rows)
    return found


def _in_one_trip(raw: Any, question: str, fence: Fence, parts: list[tuple[str, Rows]]) -> Any:
    with raw.pipeline(), raw.cursor() as asked, raw.cursor() as writer:
        asked.execute(question, (fence.run_id,))
        for text, rows in parts:
            if rows:
                writer.executemany(text, rows)
        return asked.fetchone()


@lru_cache(maxsize=64)
def _at_once(tasks: int, states: int, logs: int) -> str:
    """Fence and rows in one statement of PostgreSQL, which is one round trip and needs no transaction around it."""
    parts = [
        f"fence AS (SELECT attempt, epoch, state_type FROM runs WHERE id = %s{_LOCKED})",  # noqa: S608 - fixed words
        _HELD,
        _part(TaskRunRow, TASK_COLUMNS, tasks, _UPSERT),
        _part(StateRow, STATE_COLUMNS, states, ""),
        _part(Log, LOG_COLUMNS, logs, ""),
    ]
    return f"WITH {', '.join(part for part in parts if part)} SELECT attempt, epoch, state_type FROM fence"  # noqa: S608


_HELD = "held AS (SELECT 1 FROM fence WHERE attempt = %s AND epoch = %s AND state_type IN ('RUNNING', 'CANCELLING'))"


def _part(model: Any, names: tuple[str, ...], count: int, suffix: str) -> str:
    if not count:
        return ""
    table = model.__table__
    # Values of a SELECT take their types from the first row, not from the columns they will be put into.
    first = ", ".join(f"%s::{table.c[name].type.compile(dialect=_DIALECT)}" for name in names)
    more = f", ({', '.join(['%s'] * len(names))})" * (count - 1)
    columns = ", ".join(names)
    rows = f"SELECT v.* FROM held, (VALUES ({first}){more}) AS v ({columns})"  # noqa: S608 - our own columns
    return f"{table.name}_part AS (INSERT INTO {table.name} ({columns}) {rows} {suffix})"


_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
