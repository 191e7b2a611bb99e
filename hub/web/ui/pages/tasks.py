"""A run's tasks as rows with their bars on one time axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from hub.store.base import Tx
from hub.store.pages import page
from hub.store.tables import TaskRunRow
from hub.types import Id, Micros, Scope
from hub.web.ui.charts import Piece, Span, timeline

TABLE = TaskRunRow.__table__
ROWS = 100


@dataclass(frozen=True, slots=True)
class Tasks:
    """Rows of tasks, oldest first, each with its bar, and the ends of the axis."""

    items: list[tuple[dict[str, Any], tuple[Piece, ...]]]
    start: Micros
    end: Micros
    next_cursor: str | None


def table(tx: Tx, scope: Scope, run_id: Id, *, cursor: str, until: Micros) -> Tasks:
    """A page of the tasks of a run, which lasted (or lasts) until `until`."""
    columns = [column for column in TABLE.c if column.name not in ("result", "upstream")]
    query = select(*columns).where(TABLE.c.run_id == run_id, TABLE.c.workspace_id == scope.workspace_id)
    found = page(tx, query, TABLE.c.id, limit=ROWS, cursor=cursor or None, newest_first=False, make=dict)
    spans = [Span(row["state_type"], row["created_at"], row["started_at"], row["ended_at"]) for row in found.items]
    bars, start, end = timeline(spans, until)
    return Tasks(list(zip(found.items, bars, strict=True)), start, end, found.next_cursor)
