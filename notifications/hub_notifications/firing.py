"""Alerts in the store: raised, counted, acknowledged, resolved. Idempotent, and without sending anything."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hub.errors import ConflictError, NotFoundError
from hub.store import events, raw
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import Alert, AlertOccurrence, Event, Log
from hub.types import Id, Micros, Scope, new_id
from sqlalchemy import and_, select, update

from hub_notifications.messages import MAX_TEXT, one_line, safe
from hub_notifications.rules import AlertEvent

ALERTS = Alert.__table__
OCCURRENCES = AlertOccurrence.__table__
_LOGS = Log.__table__
_EVENTS = Event.__table__
TOPIC = "alerts"
SEVERITIES = ("info", "warning", "error", "critical")
_COUNTING = (
    "UPDATE alerts SET count = count + 1, title = ?, body = ?, run_id = ?, context = ?, last_at = ?"
    " WHERE workspace_id = ? AND dedup_key = ? AND status = 'firing' RETURNING id, severity"
)
"""By hand: of ten thousand failures in a few minutes each is one more of an alert that fires."""
_RANK = {name: rank for rank, name in enumerate(SEVERITIES)}


def fire(tx: Tx, scope: Scope, told: AlertEvent, *, routed: bool = True) -> Id | None:
    """Raise an alert, or count one more occurrence of the one that fires; None when this occurrence is known.

    `routed` False: it is not given to the routes; whoever raises it says who is told.
    """
    occurrence: dict[str, Any] = {
        "id": new_id(), "workspace_id": scope.workspace_id, "alert_id": new_id(), "dedup_key": told.key,
        "occurrence": told.occurrence, "title": one_line(told.title), "run_id": told.run_id or None,
        "run_name": str((told.context.get("run") or {}).get("name", "")), "at": tx.now,
    }  # fmt: skip
    if not tx.insert_ignore(OCCURRENCES, occurrence):
        return None
    alert_id: Id = occurrence["alert_id"]
    row = as_row(scope, told, told.labels, tx.now)
    row |= {"id": alert_id, "routed_at": None if routed else tx.now}
    tx.wake(TOPIC)
    # The partial unique index decides: of two that raise the first at once, one waits and then counts. One that was
    # resolved in between (PostgreSQL only) is raised anew.
    while True:
        counted = _count(tx, row)  # first: in a storm nearly all are further occurrences
        if counted is not None:
            raw.put(tx, OCCURRENCES, {"alert_id": counted}, {"id": occurrence["id"]})
            return counted
        if tx.insert_ignore(ALERTS, row):
            break
    events.append(
        tx, scope, "hub.alert.raised", subject=alert_id, run_id=told.run_id or None, alert_id=alert_id,
        kind=told.kind, severity=told.severity, title=row["title"],
    )  # fmt: skip
    return alert_id


def as_row(scope: Scope, told: AlertEvent, labels: Mapping[str, str], now: Micros) -> dict[str, Any]:
    """The alert of a first occurrence, not written."""
    return {
        "id": new_id(), "workspace_id": scope.workspace_id, "dedup_key": told.key, "status": "firing",
        "kind": told.kind, "severity": told.severity, "title": one_line(told.title), "body": safe(told.text, MAX_TEXT),
        "run_id": told.run_id or None, "labels": {"about": told.about, **labels}, "context": dict(told.context),
        "count": 1, "last_at": now, "created_at": now, "routed_at": None,
    }  # fmt: skip


def _count(tx: Tx, row: Mapping[str, Any]) -> Id | None:
    """Count one more of the alert that fires; None when it no longer does."""
    last = (row["title"], row["body"], row["run_id"], json.dumps(row["context"], allow_nan=False), row["last_at"])
    found = raw.fetch(tx, _COUNTING, (*last, row["workspace_id"], row["dedup_key"]))
    if not found:
        return None
    alert_id, severity = found[0]
    if _RANK.get(row["severity"], 0) > _RANK.get(severity, 0):
        # Worse than before: routes may send it elsewhere.
        raw.put(tx, ALERTS, {"severity": row["severity"], "routed_at": None}, {"id": alert_id})
    return str(alert_id)


def anything_firing(tx: Tx, scope: Scope) -> bool:
    """Whether an alert of the workspace fires; asked after every run that went well."""
    firing = {"workspace_id": scope.workspace_id, "status": "firing"}
    return bool(raw.select_rows(tx, ALERTS, ("id",), firing, tail="LIMIT 1"))


def resolve(tx: Tx, scope: Scope, about: str, *, but: Collection[str] = ()) -> int:
    """Close what fires about this, or about a part of it, but for these keys; says how many there were."""
    these = ALERTS.c.dedup_key.startswith(f"{about}/", autoescape=True)
    return _close(tx, scope, and_(these, ALERTS.c.dedup_key.not_in(but)) if but else these)


def resolve_one(tx: Tx, scope: Scope, alert_id: Id) -> bool:
    """Close one alert by hand; False when it was over."""
    find(tx, scope, alert_id)
    return bool(_close(tx, scope, ALERTS.c.id == alert_id))


def resolve_key(tx: Tx, scope: Scope, key: str) -> bool:
    """Close the alert of exactly this key; False when none fires."""
    return bool(_close(tx, scope, ALERTS.c.dedup_key == key))


def _close(tx: Tx, scope: Scope, which: Any) -> int:
    firing = and_(ALERTS.c.workspace_id == scope.workspace_id, ALERTS.c.status == "firing")
    done = update(ALERTS).where(firing, which).values(status="resolved", resolved_at=tx.now)
    closed = tx.conn.execute(done.returning(ALERTS.c.id, ALERTS.c.kind, ALERTS.c.title)).all()
    for alert in closed:
        events.append(
            tx, scope, "hub.alert.resolved", subject=alert.id, alert_id=alert.id, kind=alert.kind, title=alert.title
        )
    if closed:
        tx.wake(TOPIC)
    return len(closed)


def acknowledge(tx: Tx, scope: Scope, alert_id: Id, *, by: str, until: Micros | None) -> dict[str, Any]:
    """Say that somebody looks after it: only its end is told from here on, until `until` if that comes first.

    Raises NotFoundError, and ConflictError when it is over.
    """
    alert = find(tx, scope, alert_id)
    values = {"acknowledged_at": tx.now, "acknowledged_by": by[:200], "acknowledged_until": until}
    if alert["status"] != "firing" or not raw.change(tx, ALERTS, values, {"id": alert_id, "status": "firing"}):
        raise ConflictError("this alert is over; there is nothing to acknowledge")
    events.append(
        tx, scope, "hub.alert.acknowledged", subject=alert_id, alert_id=alert_id, kind=alert["kind"], by=by[:200],
        title=alert["title"],
    )  # fmt: skip
    tx.wake(TOPIC)
    return alert


def is_quiet(alert: Mapping[str, Any], now: Micros) -> bool:
    """Whether somebody has acknowledged it, and that has not run out."""
    return alert["acknowledged_at"] is not None and (alert["acknowledged_until"] or now + 1) > now


def unacknowledge(tx: Tx, scope: Scope, alert_id: Id) -> None:
    """Take it back; the alert is open again. Raises NotFoundError."""
    find(tx, scope, alert_id)
    raw.put(tx, ALERTS, {"acknowledged_at": None, "acknowledged_by": "", "acknowledged_until": None}, {"id": alert_id})
    tx.wake(TOPIC)


def find(tx: Tx, scope: Scope, alert_id: Id) -> dict[str, Any]:
    """An alert by its id. Raises NotFoundError."""
    query = select(ALERTS).where(ALERTS.c.id == alert_id, ALERTS.c.workspace_id == scope.workspace_id)
    row = tx.conn.execute(query).mappings().first()
    if row is None:
        raise NotFoundError("there is no such alert", hint="`hub alerts ls` lists them.")
    return dict(row)


def ended_by(tx: Tx, alert: Mapping[str, Any]) -> str:
    """The actor who ended an alert, as its event has him; `system` when it ended by itself, or is not over."""
    if alert["resolved_at"] is None:
        return "system"
    mine = (_EVENTS.c.at == alert["resolved_at"], _EVENTS.c.type == "hub.alert.resolved")
    query = select(_EVENTS.c.actor).where(*mine, _EVENTS.c.subject == alert["id"]).limit(1)
    return str(tx.conn.execute(query).scalar() or "system")


def list_alerts(
    tx: Tx, scope: Scope, *, status: str | None, limit: int, cursor: str | None, run_id: Id | None = None
) -> Page[dict[str, Any]]:
    """Alerts, newest first. `run_id`: those of which a run is an occurrence."""
    query = select(ALERTS).where(ALERTS.c.workspace_id == scope.workspace_id)
    query = query.where(ALERTS.c.status == status) if status else query
    if run_id:
        query = query.where(ALERTS.c.id.in_(select(OCCURRENCES.c.alert_id).where(OCCURRENCES.c.run_id == run_id)))
    return page(tx, query, ALERTS.c.id, limit=limit, cursor=cursor, make=dict)


def occurrences(tx: Tx, alert_id: Id, *, limit: int) -> list[dict[str, Any]]:
    """The last times that it happened, newest first."""
    query = select(OCCURRENCES).where(OCCURRENCES.c.alert_id == alert_id).order_by(OCCURRENCES.c.id.desc())
    return [dict(row) for row in tx.conn.execute(query.limit(limit)).mappings()]


def last_logs(tx: Tx, scope: Scope, run_id: Id, *, count: int = 8) -> Sequence[dict[str, Any]]:
    """The last log lines of a run, oldest first."""
    query = select(_LOGS).where(_LOGS.c.run_id == run_id, _LOGS.c.workspace_id == scope.workspace_id)
    rows = tx.conn.execute(query.order_by(_LOGS.c.id.desc()).limit(count)).mappings().all()
    return [dict(row) for row in reversed(rows)]
