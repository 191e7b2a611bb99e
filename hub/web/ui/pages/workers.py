"""Workers: who is alive, what each serves, how busy it is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from starlette.responses import Response

from hub.store import limit_lists
from hub.store.base import Tx
from hub.store.tables import Attempt, Worker, WorkQueue
from hub.types import Scope
from hub.web.ui import queries
from hub.web.ui.table import Pages
from hub.web.ui.view import View

pages = Pages()
WORKERS = Worker.__table__
QUEUES = WorkQueue.__table__
ATTEMPTS = Attempt.__table__
LIVE = ("PUBLISHED", "CLAIMED")


@pages.get("/ui/workers", needs="queues:read")
def worker_list(view: View) -> Response:
    """Workers that are alive, and the last that have gone; the queues they serve."""
    with view.store.read() as tx:
        alive = _alive(tx, view.scope)
        gone = queries.listing(tx, view.scope, WORKERS, WORKERS.c.lease_until < tx.now, limit=5).items
        queues = queries.listing(tx, view.scope, QUEUES, limit=200).items
        limits = limit_lists.listing(tx, view.scope, limit=100).items
        busy, now = _busy(tx, [worker["id"] for worker in alive]), tx.now
    served = {name for worker in alive for name in worker["queues"]}
    return view.page(
        "workers.html", topics="runs,limits", alive=alive, gone=gone, queues=queues, busy=busy, served=served,
        limits=limits, now=now,
    )  # fmt: skip


def _alive(tx: Tx, scope: Scope) -> list[dict[str, Any]]:
    where = (WORKERS.c.status != "gone", WORKERS.c.lease_until >= tx.now)
    return queries.listing(tx, scope, WORKERS, *where, limit=200).items


def _busy(tx: Tx, ids: list[str]) -> dict[str, int]:
    """How many slots of each worker are taken: live attempts, counted."""
    query = select(ATTEMPTS.c.worker_id, func.count()).where(ATTEMPTS.c.worker_id.in_(ids), ATTEMPTS.c.state.in_(LIVE))
    return {row[0]: row[1] for row in tx.conn.execute(query.group_by(ATTEMPTS.c.worker_id))}
