"""A plane's copy of log lines: kept as they came, each once, with a mark where the site left some out."""

from __future__ import annotations

from typing import Any

from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import PlaneLog
from hub.types import Id, Scope
from sqlalchemy import and_, func, or_, select

from hub_hybrid.protocol import Gap

LINES = PlaneLog.__table__
GAP = "hub.link.gap"
WARNING = 30


def mark(gap: Gap, at: int) -> dict[str, Any]:
    """A gap as a line of no run, which stands where the lines are missing."""
    text = f"{gap.count} {'line is' if gap.count == 1 else 'lines are'} missing here ({gap.cause})"
    return {
        "id": gap.last, "run_id": "", "task_run_id": None, "attempt": 0, "at": at, "level": WARNING, "logger": GAP,
        "message": text, "first": gap.first,
    }  # fmt: skip


def listing(
    tx: Tx, scope: Scope, site_row: Id, run_id: Id, *, level: int, limit: int, cursor: str | None
) -> Page[dict[str, Any]]:
    """The lines of a run, oldest first, with marks where some between them, or just before or after, are missing."""
    of_run = (LINES.c.site_row == site_row, LINES.c.workspace_id == scope.workspace_id, LINES.c.run_id == run_id)
    low, high = tx.conn.execute(select(func.min(LINES.c.id), func.max(LINES.c.id)).where(*of_run)).one()
    own = and_(*of_run, LINES.c.level >= level)
    gaps = and_(
        LINES.c.site_row == site_row, LINES.c.workspace_id == scope.workspace_id, LINES.c.run_id == "",
        LINES.c.first <= (high or 0) + 1, LINES.c.id >= (low or 0) - 1,
    )  # fmt: skip
    query = select(LINES).where(or_(own, gaps) if low is not None else own)
    return page(tx, query, LINES.c.id, limit=limit, cursor=cursor, newest_first=False, make=dict)
