"""Alerts, channels and deliveries in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hub.errors import NotFoundError
from hub.store import events
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import Alert, Channel, Delivery, Log
from hub.types import SECOND, Id, Scope, new_id
from sqlalchemy import and_, or_, select, update

from hub_notifications.messages import Message
from hub_notifications.rules import AlertEvent

ALERTS = Alert.__table__  # type: ignore[attr-defined]
CHANNELS = Channel.__table__  # type: ignore[attr-defined]
DELIVERIES = Delivery.__table__  # type: ignore[attr-defined]
_LOGS = Log.__table__  # type: ignore[attr-defined]
_PUBLIC = [column for column in CHANNELS.c if column.name != "sealed"]


def raise_alert(
    tx: Tx, scope: Scope, told: AlertEvent, message: Message, *, channels: Sequence[Id] | None = None
) -> Id | None:
    """Write an alert and plan its first deliveries, once; None when it was written before.

    `channels` None: every enabled one.
    """
    alert_id = new_id()
    row: dict[str, Any] = {
        "id": alert_id, "workspace_id": scope.workspace_id, "dedup_key": told.dedup_key, "occurrence": told.occurrence,
        "status": "firing", "kind": told.kind, "severity": told.severity, "title": message.title, "body": message.text,
        "run_id": told.run_id or None, "labels": {}, "created_at": tx.now,
    }  # fmt: skip
    if not tx.insert_ignore(ALERTS, row):
        return None
    everyone = select(CHANNELS.c.id).where(CHANNELS.c.workspace_id == scope.workspace_id, CHANNELS.c.enabled)
    for channel_id in channels if channels is not None else tx.conn.execute(everyone).scalars().all():
        deliver(tx, scope.workspace_id, alert_id, channel_id)
    events.append(
        tx, scope, "hub.alert.raised", subject=alert_id, run_id=told.run_id or None, alert_id=alert_id, kind=told.kind,
        severity=told.severity, title=message.title,
    )  # fmt: skip
    return alert_id


def deliver(
    tx: Tx, workspace_id: Id, alert_id: Id, channel_id: Id, *, attempt: int = 1, due_at: int | None = None
) -> None:
    """Plan one attempt; planning the same one again changes nothing."""
    row = {
        "id": new_id(), "workspace_id": workspace_id, "alert_id": alert_id,
        "channel_id": channel_id, "attempt": attempt, "status": "pending", "due_at": due_at or tx.now,
    }  # fmt: skip
    tx.insert_ignore(DELIVERIES, row)
    tx.wake("deliveries")


def resolve(tx: Tx, scope: Scope, subject: str) -> int:
    """Close what fires about a flow or deployment; says how many there were."""
    firing = and_(ALERTS.c.workspace_id == scope.workspace_id, ALERTS.c.status == "firing")
    about = ALERTS.c.dedup_key.startswith(f"{subject}/", autoescape=True)
    done = update(ALERTS).where(firing, about).values(status="resolved", resolved_at=tx.now).returning(ALERTS.c.id)
    return len(tx.conn.execute(done).all())


def claim_due(tx: Tx, *, limit: int, lease_s: float) -> list[dict[str, Any]]:
    """Take due attempts. One that was taken and never finished (its sender died) is taken again when its lease ends."""
    free = or_(
        and_(DELIVERIES.c.status == "pending", DELIVERIES.c.due_at <= tx.now),
        and_(DELIVERIES.c.status == "sending", DELIVERIES.c.claimed_until < tx.now),
    )
    chosen = select(DELIVERIES.c.id).where(free).order_by(DELIVERIES.c.due_at).limit(limit)
    ids = tx.conn.execute(chosen.with_for_update(skip_locked=True)).scalars().all()
    if not ids:
        return []
    values = {"status": "sending", "claimed_until": tx.now + int(lease_s * SECOND), "started_at": tx.now}
    tx.conn.execute(update(DELIVERIES).where(DELIVERIES.c.id.in_(ids)).values(**values))
    columns = (DELIVERIES, CHANNELS.c.name, CHANNELS.c.sealed, CHANNELS.c.key_id, CHANNELS.c.enabled, ALERTS.c.title)
    joined = DELIVERIES.join(CHANNELS, CHANNELS.c.id == DELIVERIES.c.channel_id)
    joined = joined.join(ALERTS, ALERTS.c.id == DELIVERIES.c.alert_id)
    query = select(*columns, ALERTS.c.body).select_from(joined).where(DELIVERIES.c.id.in_(ids))
    found = [dict(row) for row in tx.conn.execute(query).mappings()]
    _bury(tx, set(ids) - {row["id"] for row in found})
    return found


def _bury(tx: Tx, ids: set[Id]) -> None:
    """End attempts whose channel or alert is gone (removed while they were planned): they would be taken for ever."""
    if ids:
        values = {"status": "dead", "ended_at": tx.now, "claimed_until": None, "error_class": "permanent"}
        gone = update(DELIVERIES).where(DELIVERIES.c.id.in_(ids))
        tx.conn.execute(gone.values(**values, error="its channel or its alert was removed"))


def finish(tx: Tx, delivery_id: Id, status: str, *, error_class: str | None = None, error: str | None = None) -> bool:
    """End an attempt that is being made; False when it had ended before."""
    values = {"status": status, "ended_at": tx.now, "claimed_until": None, "error_class": error_class, "error": error}
    where = (DELIVERIES.c.id == delivery_id, DELIVERIES.c.status == "sending")
    done = update(DELIVERIES).where(*where).values(**values).returning(DELIVERIES.c.id)
    return tx.conn.execute(done).first() is not None


def find_channel(tx: Tx, scope: Scope, target: str) -> dict[str, Any]:
    """A channel by id or name, with its sealed address. Raises NotFoundError."""
    query = select(CHANNELS).where(CHANNELS.c.workspace_id == scope.workspace_id)
    row = tx.conn.execute(query.where(or_(CHANNELS.c.id == target, CHANNELS.c.name == target))).mappings().first()
    if row is None:
        raise NotFoundError(f"there is no channel {target!r}", hint="`hub channels ls` lists them.")
    return dict(row)


def open_address(tx: Tx, channel: Mapping[str, Any], channel_id: Id) -> str:
    """The address of a channel."""
    return tx.keyring.open(channel["sealed"], context=f"channels:{channel_id}", key_id=channel["key_id"])


def other_channel(tx: Tx, workspace_id: Id, channel_id: Id) -> Id | None:
    """Another enabled channel, to tell about this one."""
    query = select(CHANNELS.c.id).where(
        CHANNELS.c.workspace_id == workspace_id, CHANNELS.c.enabled, CHANNELS.c.id != channel_id
    )
    return tx.conn.execute(query.order_by(CHANNELS.c.id).limit(1)).scalar()


def last_logs(tx: Tx, scope: Scope, run_id: Id, *, count: int = 8) -> Sequence[dict[str, Any]]:
    """The last log lines of a run, oldest first."""
    query = select(_LOGS).where(_LOGS.c.run_id == run_id, _LOGS.c.workspace_id == scope.workspace_id)
    rows = tx.conn.execute(query.order_by(_LOGS.c.id.desc()).limit(count)).mappings().all()
    return [dict(row) for row in reversed(rows)]


def list_channels(tx: Tx, scope: Scope, *, limit: int, cursor: str | None) -> Page[dict[str, Any]]:
    """Channels without their addresses, newest first."""
    query = select(*_PUBLIC).where(CHANNELS.c.workspace_id == scope.workspace_id)
    return page(tx, query, CHANNELS.c.id, limit=limit, cursor=cursor, make=dict)


def list_alerts(
    tx: Tx, scope: Scope, *, status: str | None, limit: int, cursor: str | None, run_id: Id | None = None
) -> Page[dict[str, Any]]:
    """Alerts, newest first."""
    query = select(ALERTS).where(ALERTS.c.workspace_id == scope.workspace_id)
    query = query.where(ALERTS.c.status == status) if status else query
    query = query.where(ALERTS.c.run_id == run_id) if run_id else query
    return page(tx, query, ALERTS.c.id, limit=limit, cursor=cursor, make=dict)


def list_deliveries(
    tx: Tx, scope: Scope, *, alert_id: Id | None, limit: int, cursor: str | None
) -> Page[dict[str, Any]]:
    """Attempts to deliver, with the channel's name."""
    joined = DELIVERIES.join(CHANNELS, CHANNELS.c.id == DELIVERIES.c.channel_id, isouter=True)
    query = select(DELIVERIES, CHANNELS.c.name.label("channel")).select_from(joined)
    query = query.where(DELIVERIES.c.workspace_id == scope.workspace_id)
    query = query.where(DELIVERIES.c.alert_id == alert_id) if alert_id else query
    return page(tx, query, DELIVERIES.c.id, limit=limit, cursor=cursor, make=dict)


def new_channel_row(scope: Scope, name: str, label: str, scheme: str, now: int) -> dict[str, Any]:
    """A channel without its address."""
    return {
        "id": new_id(), "workspace_id": scope.workspace_id, "name": name, "label": label, "scheme": scheme,
        "enabled": True, "disabled_reason": "", "created_at": now, "updated_at": now,
    }  # fmt: skip


def anything_due(tx: Tx) -> bool:
    """Whether an attempt is due; asked before a write transaction is opened."""
    due = or_(
        and_(DELIVERIES.c.status == "pending", DELIVERIES.c.due_at <= tx.now),
        and_(DELIVERIES.c.status == "sending", DELIVERIES.c.claimed_until < tx.now),
    )
    return tx.conn.execute(select(DELIVERIES.c.id).where(due).limit(1)).first() is not None


def find_alert(tx: Tx, scope: Scope, alert_id: Id) -> dict[str, Any] | None:
    """An alert by its id."""
    query = select(ALERTS).where(ALERTS.c.id == alert_id, ALERTS.c.workspace_id == scope.workspace_id)
    row = tx.conn.execute(query).mappings().first()
    return None if row is None else dict(row)
