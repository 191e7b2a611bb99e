"""Removing old alerts and what was sent about them, some rows in a transaction. Ids say how old rows are."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, exists, or_, select

from hub.store.base import Tx
from hub.store.tables import (
    Alert,
    AlertMember,
    AlertOccurrence,
    AlertSilence,
    Delivery,
    Notification,
    NotificationAlert,
)
from hub.types import Id, Micros, first_id

ALERTS = Alert.__table__
OCCURRENCES = AlertOccurrence.__table__
NOTIFICATIONS = Notification.__table__
DELIVERIES = Delivery.__table__
SILENCES = AlertSilence.__table__
_MESSAGES = 50
"""At a time: a digest has a thousand rows."""


def trim(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove a batch of each that was over before then; what fires or is under way stays. The most rows of a kind."""
    return max(
        messages(tx, before=before, limit=limit),
        occurrences(tx, before=before, limit=limit),
        alerts(tx, before=before, limit=limit),
        silences(tx, before=before, limit=limit),
    )


def messages(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove messages that nobody is being told any more, with their attempts; `limit` if there are more."""
    waits = exists().where(
        DELIVERIES.c.notification_id == NOTIFICATIONS.c.id, DELIVERIES.c.status.in_(("pending", "sending"))
    )
    old = select(NOTIFICATIONS.c.id).where(NOTIFICATIONS.c.id < first_id(before), ~waits).order_by(NOTIFICATIONS.c.id)
    ids = list(tx.conn.execute(old.limit(_MESSAGES)).scalars())
    told = NotificationAlert.__table__
    _remove(tx, DELIVERIES, DELIVERIES.c.notification_id, ids)
    _remove(tx, told, told.c.notification_id, ids)
    _remove(tx, NOTIFICATIONS, NOTIFICATIONS.c.id, ids)
    return limit if len(ids) == _MESSAGES else len(ids)


def occurrences(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove old occurrences. Those without a run are kept while their alert fires: the same one may be told again."""
    over = or_(OCCURRENCES.c.run_id.is_not(None), ALERTS.c.id.is_(None), ALERTS.c.resolved_at < before)
    query = select(OCCURRENCES.c.id).join(ALERTS, ALERTS.c.id == OCCURRENCES.c.alert_id, isouter=True)
    query = query.where(OCCURRENCES.c.id < first_id(before), over).order_by(OCCURRENCES.c.id).limit(limit)
    ids = list(tx.conn.execute(query).scalars())
    _remove(tx, OCCURRENCES, OCCURRENCES.c.id, ids)
    return len(ids)


def alerts(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove alerts that were over before then."""
    query = select(ALERTS.c.id).where(ALERTS.c.id < first_id(before), ALERTS.c.resolved_at < before)
    ids = list(tx.conn.execute(query.order_by(ALERTS.c.id).limit(limit)).scalars())
    _remove(tx, AlertMember.__table__, AlertMember.__table__.c.alert_id, ids)
    _remove(tx, ALERTS, ALERTS.c.id, ids)
    return len(ids)


def silences(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove silences that ended before then."""
    query = select(SILENCES.c.id).where(SILENCES.c.ends_at < before).limit(limit)
    ids = list(tx.conn.execute(query).scalars())
    _remove(tx, SILENCES, SILENCES.c.id, ids)
    return len(ids)


def _remove(tx: Tx, table: Any, column: Any, ids: list[Id]) -> None:
    if ids:
        tx.conn.execute(delete(table).where(column.in_(ids)))
