"""The picture of a run: its tasks, and which used whose results."""

from __future__ import annotations

from markupsafe import Markup
from sqlalchemy import select

from hub.graphs.model import Edge, Graph, Node
from hub.graphs.picture import MOST
from hub.graphs.svg import svg
from hub.store.base import Tx
from hub.store.tables import TaskRunRow
from hub.types import Id, Scope

TASKS = TaskRunRow.__table__
READ = 3_000
"""Tasks that are looked at, the first ones."""


def picture(tx: Tx, scope: Scope, run_id: Id) -> Markup | None:
    """An SVG of the first tasks; None when none of them used another one's future."""
    columns = (TASKS.c.id, TASKS.c.task_name, TASKS.c.name, TASKS.c.state_type, TASKS.c.state_name, TASKS.c.upstream)
    query = select(*columns).where(TASKS.c.run_id == run_id, TASKS.c.workspace_id == scope.workspace_id)
    rows = tx.conn.execute(query.order_by(TASKS.c.id).limit(READ)).all()
    known = {row.id for row in rows}
    edges = [Edge(source, row.id) for row in rows for source in row.upstream or () if source in known]
    if not edges:
        return None
    nodes = tuple(
        Node(row.id, row.name or row.task_name, row.state_name, group=row.task_name, state=row.state_type)
        for row in rows
    )  # fmt: skip
    # Every text in it is escaped where it is written.
    return Markup(svg(Graph("This run", nodes, tuple(edges)).at_most(MOST), alone=False))  # noqa: S704
