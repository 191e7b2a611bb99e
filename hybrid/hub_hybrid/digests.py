"""Showing that both ends hold the same: sha256 over the sorted lines `run id, version, state`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from hub.store import runs
from hub.store.base import Tx
from hub.store.tables import PlaneRun
from hub.types import SECOND, Id, Micros
from sqlalchemy import select

from hub_hybrid.protocol import Digest

PLANE_RUNS = PlaneRun.__table__
_DAY = 86_400 * SECOND


def of_site(tx: Tx, workspace_id: Id, since: Micros = 0) -> Digest:
    """The digest of this hub's own runs."""
    table = runs.TABLE
    query = select(table.c.id, table.c.version, table.c.state_type).order_by(table.c.id)
    query = query.where(table.c.workspace_id == workspace_id, table.c.created_at >= since)
    return _digest(since, (tuple(row) for row in tx.conn.execute(query).yield_per(1000)))


def of_replica(tx: Tx, site_row: Id, since: Micros = 0) -> Digest:
    """The digest of a site's runs as the plane has them; those that the site no longer knows do not count."""
    table = PLANE_RUNS
    query = select(table.c.run_id, table.c.version, table.c.state_type, table.c.run).order_by(table.c.run_id)
    query = query.where(table.c.site_row == site_row, table.c.orphaned_at.is_(None))
    rows = tx.conn.execute(query).yield_per(1000)
    return _digest(
        since, ((row.run_id, row.version, row.state_type) for row in rows if row.run.get("created_at", 0) >= since)
    )


def kept_since(now: Micros, retention_s: float) -> Micros:
    """From when on both ends still have every run: a day less than the site keeps them. 0: for ever."""
    if retention_s <= 0:
        return 0
    start = now - int(retention_s * SECOND) + _DAY
    return max(0, start - start % _DAY)


def _digest(since: Micros, rows: Iterable[tuple[str, int, str]]) -> Digest:
    # PostgreSQL's order depends on its collation, so the lines are ordered here.
    lines = sorted(f"{run_id} {version} {state}\n" for run_id, version, state in rows)
    return Digest(since=since, runs=len(lines), sha256=hashlib.sha256("".join(lines).encode()).hexdigest())
