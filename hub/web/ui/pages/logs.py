"""A run's log lines: the last ones, the ones before a point, and what came after one."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from hub.store.base import Tx
from hub.store.tables import Log
from hub.types import Id, Scope
from hub.web.ui.view import View

TABLE = Log.__table__
LEVELS = ((0, "All"), (logging.INFO, "Info"), (logging.WARNING, "Warning"), (logging.ERROR, "Error"))
LINES = 200
MAX_CHARS = 8000
_WORDS = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}


@dataclass(frozen=True, slots=True)
class Lines:
    """Some lines in order, where they begin and end, and whether there are more before or after."""

    items: list[dict[str, Any]]
    first: int
    last: int
    before: bool = False
    more: bool = False


def level_of(view: View) -> int:
    """The least level the reader asked for."""
    asked = view.query("level", "0")
    return int(asked) if asked in {str(level) for level, _ in LEVELS} else 0


def tail(tx: Tx, scope: Scope, run_id: Id, *, level: int, before: str) -> Lines:
    """The last lines, or the last ones before line `before`."""
    query = _lines(scope, run_id, level)
    if point := _point(before):
        query = query.where(TABLE.c.id < point)
    found = [_line(row) for row in tx.conn.execute(query.order_by(TABLE.c.id.desc()).limit(LINES + 1)).mappings()]
    items = found[:LINES][::-1]
    return Lines(items, *_ends(items, 0), before=len(found) > LINES, more=bool(point))


def after(tx: Tx, scope: Scope, run_id: Id, *, level: int, after: str) -> Lines:
    """The lines after line `after`, oldest first."""
    point = _point(after)
    query = _lines(scope, run_id, level).where(TABLE.c.id > point).order_by(TABLE.c.id).limit(LINES + 1)
    found = [_line(row) for row in tx.conn.execute(query).mappings()]
    items = found[:LINES]
    return Lines(items, *_ends(items, point), more=len(found) > LINES)


def _lines(scope: Scope, run_id: Id, level: int) -> Any:
    query = select(TABLE).where(TABLE.c.run_id == run_id, TABLE.c.workspace_id == scope.workspace_id)
    return query.where(TABLE.c.level >= level) if level else query


def _line(row: Any) -> dict[str, Any]:
    level = row["level"]
    return {**row, "word": _WORDS.get(level - level % 10, "info"), "message": row["message"][: MAX_CHARS + 1]}


def _ends(items: list[dict[str, Any]], otherwise: int) -> tuple[int, int]:
    return (items[0]["id"], items[-1]["id"]) if items else (otherwise, otherwise)


def _point(text: str) -> int:
    return min(int(text), 2**62) if text.isascii() and text.isdigit() else 0
