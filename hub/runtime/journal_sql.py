"""The journal's statements, prepared once: plain text for the driver itself, with its own place holders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from hub.store.base import Dialect
from hub.types import Id

TASK_COLUMNS = (
    "id", "workspace_id", "run_id", "journal_key", "task_name", "name", "parent_task_run_id", "upstream",
    "state_type", "state_name", "state_message", "version", "run_attempt", "attempt", "retries_used", "created_at",
    "due_at", "started_at", "ended_at", "error_type", "error_message", "error_trace", "result", "result_format",
)  # fmt: skip
"""The order of the values in `Fact.row`."""
STATE_COLUMNS = ("workspace_id", "run_id", "task_run_id", "type", "name", "message", "attempt", "at", "actor")
"""The order of the values in `Fact.state`."""
LOG_COLUMNS = ("workspace_id", "run_id", "task_run_id", "attempt", "at", "level", "logger", "message")
"""The order of the values in `Fact.log`."""
_FIXED = ("workspace_id", "run_id", "journal_key", "created_at")


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements of one dialect."""

    fence: str
    task: str
    state: str
    log: str


def statements(dialect: Dialect) -> Statements:
    """The statements of `dialect`."""
    mark = "?" if dialect == "sqlite" else "%s"
    changed = ", ".join(f"{name} = excluded.{name}" for name in TASK_COLUMNS if name not in _FIXED)
    upsert = f" ON CONFLICT (run_id, journal_key) DO UPDATE SET {changed}"
    return Statements(
        fence=f"SELECT attempt, epoch, state_type FROM runs WHERE id = {mark}",  # noqa: S608 - a fixed mark
        task=_insert("task_runs", TASK_COLUMNS, mark) + upsert,
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


def write(
    conn: Connection, dialect: Dialect, texts: Statements, fence: Fence, tasks: Rows, states: Rows, logs: Rows
) -> tuple[bool, str]:
    """Write rows in the open transaction; gives whether the fence holds, and the state of the run."""
    raw: Any = conn.connection.dbapi_connection
    parts = [(texts.task, tasks), (texts.state, states), (texts.log, logs)]
    if dialect == "sqlite":
        found = raw.execute(texts.fence, (fence.run_id,)).fetchone()
        for text, rows in parts:
            if rows:
                raw.executemany(text, rows)
    else:
        found = _write_in_one_trip(raw, texts.fence, fence, parts)
    if found is None:
        return False, "gone"
    return (found[0], found[1]) == (fence.attempt, fence.epoch), str(found[2])


def _write_in_one_trip(raw: Any, question: str, fence: Fence, parts: list[tuple[str, Rows]]) -> Any:
    with raw.pipeline(), raw.cursor() as asked, raw.cursor() as writer:
        asked.execute(question, (fence.run_id,))
        for text, rows in parts:
            if rows:
                writer.executemany(text, rows)
        return asked.fetchone()
