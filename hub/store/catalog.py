"""Deployments, schedules, work queues and workers: what can be run, when and where."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, func, select

from hub.errors import NotFoundError
from hub.store.attempts import IS_LIVE
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import Attempt, Deployment, RunRow, Schedule, Worker, WorkQueue
from hub.types import Id, Scope

DEPLOYMENTS = Deployment.__table__
SCHEDULES = Schedule.__table__
QUEUES = WorkQueue.__table__
WORKERS = Worker.__table__
_RUNS = RunRow.__table__
_ATTEMPTS = Attempt.__table__
COUNT_LIMIT = 1000


def deployments(tx: Tx, scope: Scope, *, limit: int = 50, cursor: str | None = None) -> Page[dict[str, Any]]:
    """Deployments, newest first."""
    query = select(DEPLOYMENTS).where(DEPLOYMENTS.c.workspace_id == scope.workspace_id)
    return page(tx, query, DEPLOYMENTS.c.id, limit=limit, cursor=cursor, make=dict)


def find_deployment(tx: Tx, scope: Scope, target: str) -> dict[str, Any] | None:
    """A deployment by its name or its id."""
    query = select(DEPLOYMENTS).where(DEPLOYMENTS.c.workspace_id == scope.workspace_id)
    # A name may look like another's id: the name wins.
    query = query.where((DEPLOYMENTS.c.name == target) | (DEPLOYMENTS.c.id == target))
    return _first(tx, query.order_by((DEPLOYMENTS.c.name == target).desc()).limit(1))


def deployment(tx: Tx, scope: Scope, target: str) -> dict[str, Any]:
    """A deployment by its name or its id. Raises NotFoundError."""
    found = find_deployment(tx, scope, target)
    if found is None:
        hint = "`hub deployments ls` lists them."
        raise NotFoundError(f"there is no deployment {target!r} in this workspace", hint=hint)
    return found


def schedules(
    tx: Tx, scope: Scope, *, deployment_id: Id | None = None, limit: int = 50, cursor: str | None = None
) -> Page[dict[str, Any]]:
    """Schedules with the names of their deployments, newest first."""
    query = _schedules(scope)
    if deployment_id is not None:
        query = query.where(SCHEDULES.c.deployment_id == deployment_id)
    return page(tx, query, SCHEDULES.c.id, limit=limit, cursor=cursor, make=dict)


def schedule(tx: Tx, scope: Scope, schedule_id: Id) -> dict[str, Any]:
    """A schedule by its id. Raises NotFoundError."""
    found = _first(tx, _schedules(scope).where(SCHEDULES.c.id == schedule_id))
    if found is None:
        hint = "`hub schedules ls` lists them."
        raise NotFoundError(f"there is no schedule {schedule_id} in this workspace", hint=hint)
    return found


def queues(tx: Tx, scope: Scope, *, limit: int = 50, cursor: str | None = None) -> Page[dict[str, Any]]:
    """Work queues with what waits and what runs in each, counted no further than 1000."""
    query = select(QUEUES).where(QUEUES.c.workspace_id == scope.workspace_id)
    found = page(tx, query, QUEUES.c.id, limit=limit, cursor=cursor, make=dict)
    for queue in found.items:
        queue["waiting"] = _waiting(tx, scope, queue["name"])
        queue["running"] = _running(tx, scope, queue["name"])
    return found


def workers(
    tx: Tx, scope: Scope, *, gone: bool = False, limit: int = 50, cursor: str | None = None
) -> Page[dict[str, Any]]:
    """Workers, newest first; with `gone` also those that have left."""
    query = select(WORKERS).where(WORKERS.c.workspace_id == scope.workspace_id)
    if not gone:
        query = query.where(WORKERS.c.status != "gone", WORKERS.c.lease_until >= tx.now)
    return page(tx, query, WORKERS.c.id, limit=limit, cursor=cursor, make=dict)


def _schedules(scope: Scope) -> Select[Any]:
    joined = SCHEDULES.outerjoin(DEPLOYMENTS, DEPLOYMENTS.c.id == SCHEDULES.c.deployment_id)
    query = select(*SCHEDULES.c, DEPLOYMENTS.c.name.label("deployment_name")).select_from(joined)
    return query.where(SCHEDULES.c.workspace_id == scope.workspace_id)


def _waiting(tx: Tx, scope: Scope, name: str) -> int:
    inner = select(_RUNS.c.id).where(
        _RUNS.c.workspace_id == scope.workspace_id,
        _RUNS.c.queue == name,
        _RUNS.c.state_type == "SCHEDULED",
        _RUNS.c.due_at <= tx.now,
    )
    return _capped(tx, inner)


def _running(tx: Tx, scope: Scope, name: str) -> int:
    where = (_ATTEMPTS.c.workspace_id == scope.workspace_id, _ATTEMPTS.c.queue == name, IS_LIVE)
    return _capped(tx, select(_ATTEMPTS.c.id).where(*where))


def _capped(tx: Tx, query: Select[Any]) -> int:
    counted = select(func.count()).select_from(query.limit(COUNT_LIMIT).subquery())
    return int(tx.conn.execute(counted).scalar_one())


def _first(tx: Tx, query: Select[Any]) -> dict[str, Any] | None:
    row = tx.conn.execute(query).mappings().first()
    return None if row is None else dict(row)
