"""What the API and the command line show of runs: lists without the heavy columns, task runs, log lines."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import case, func, select

from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import Log, RunRow, TaskRunRow
from hub.types import Id, Scope

RUNS = RunRow.__table__
TASKS = TaskRunRow.__table__
LOGS = Log.__table__
_HEAVY = frozenset({"parameters", "result", "error_trace", "retry_policy"})
_LISTED = tuple(column for column in RUNS.c if column.name not in _HEAVY)


def listing(
    tx: Tx,
    scope: Scope,
    *,
    states: Collection[str] = (),
    deployment_id: Id | None = None,
    flow_name: str | None = None,
    name: str | None = None,
    parent_run_id: Id | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[dict[str, Any]]:
    """Runs, newest first, without parameters, results and traces."""
    query = select(*_LISTED).where(RUNS.c.workspace_id == scope.workspace_id)
    if states:
        query = query.where(RUNS.c.state_type.in_(list(states)))
    wanted = {"deployment_id": deployment_id, "flow_name": flow_name, "name": name, "parent_run_id": parent_run_id}
    for column, value in wanted.items():
        if value is not None:
            query = query.where(RUNS.c[column] == value)
    return page(tx, query, RUNS.c.id, limit=limit, cursor=cursor, make=dict)


def tasks(tx: Tx, scope: Scope, run_id: Id, *, limit: int = 50, cursor: str | None = None) -> Page[dict[str, Any]]:
    """The task runs of a run, in the order they were made."""
    columns = [column for column in TASKS.c if column.name not in ("result", "journal_key")]
    # A reference is small; a result that stands in its row is only measured.
    referred = case((TASKS.c.result_format.like("%:%"), TASKS.c.result))
    columns += [referred.label("reference"), func.length(TASKS.c.result).label("size")]
    query = select(*columns).where(TASKS.c.run_id == run_id, TASKS.c.workspace_id == scope.workspace_id)
    return page(tx, query, TASKS.c.id, limit=limit, cursor=cursor, newest_first=False, make=dict)


def logs(
    tx: Tx,
    scope: Scope,
    run_id: Id,
    *,
    after: int | None = None,
    level: int = 0,
    task_run_id: Id | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[dict[str, Any]]:
    """The log lines of a run, oldest first, from that level up, later than line `after`."""
    query = select(LOGS).where(LOGS.c.run_id == run_id, LOGS.c.workspace_id == scope.workspace_id)
    if after is not None:
        query = query.where(LOGS.c.id > after)
    if level:
        query = query.where(LOGS.c.level >= level)
    if task_run_id is not None:
        query = query.where(LOGS.c.task_run_id == task_run_id)
    return page(tx, query, LOGS.c.id, limit=limit, cursor=cursor, newest_first=False, make=dict)
