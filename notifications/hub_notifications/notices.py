"""Messages in the store: what one tells, and the attempts to bring it to each channel."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hub.store import raw
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import Alert, Channel, Delivery, Notification, NotificationAlert
from hub.types import SECOND, Id, Micros, Scope, new_id
from sqlalchemy import and_, func, or_, select, update

from hub_notifications import channels
from hub_notifications.content import MAX_ALERTS, digest

ALERTS = Alert.__table__
CHANNELS = Channel.__table__
DELIVERIES = Delivery.__table__
NOTIFICATIONS = Notification.__table__
TOLD = NotificationAlert.__table__
MERGED_AT_ONCE = 1_000
"""Waiting messages that one digest takes in; the rest is taken by the next."""
_UNMERGED = ("test", "escalation", "acknowledged")
"""Reasons of messages that always go by themselves."""


def plan(
    tx: Tx,
    scope: Scope,
    content: Mapping[str, Any],
    told: Sequence[Mapping[str, Any]],
    to: Sequence[Id],
    *,
    group: Mapping[str, Any] | None = None,
) -> Id:
    """Write a message down, and the first attempt to bring it to each channel.

    `told`: {"alert_id", "status", "occurrences"} of every alert that it tells, the first of them being the main one.
    """
    notification_id = new_id()
    about = {"route_id": group["route_id"], "group_id": group["id"]} if group else {}
    row = {"id": notification_id, "workspace_id": scope.workspace_id, "reason": content["reason"], **about}
    tx.insert(NOTIFICATIONS, {**row, "content": dict(content), "created_at": tx.now})
    tx.insert(TOLD, [{"notification_id": notification_id, **one} for one in told])
    for channel_id in to:
        attempt(tx, scope.workspace_id, notification_id, told[0]["alert_id"], channel_id)
    return notification_id


def attempt(
    tx: Tx,
    workspace_id: Id,
    notification_id: Id,
    alert_id: Id,
    channel_id: Id,
    *,
    number: int = 1,
    due_at: int = 0,
    cursor: str = "",
) -> None:
    """Plan one attempt; planning the same one again changes nothing. `cursor`: how far the one before came."""
    row = {
        "id": new_id(), "workspace_id": workspace_id, "notification_id": notification_id, "alert_id": alert_id,
        "channel_id": channel_id, "attempt": number, "status": "pending", "due_at": due_at or tx.now, "cursor": cursor,
    }  # fmt: skip
    tx.insert_missing(DELIVERIES, row)
    tx.wake("deliveries")


def _due(now: Micros) -> Any:
    return or_(
        and_(DELIVERIES.c.status == "pending", DELIVERIES.c.due_at <= now),
        and_(DELIVERIES.c.status == "sending", DELIVERIES.c.claimed_until < now),
    )


def anything_due(tx: Tx) -> bool:
    """Whether an attempt is due; asked before a write transaction is opened."""
    return tx.conn.execute(select(DELIVERIES.c.id).where(_due(tx.now)).limit(1)).first() is not None


def claim_due(tx: Tx, *, limit: int, lease_s: float) -> list[dict[str, Any]]:
    """Take due attempts, as many as the buckets of their channels let through; what overflows becomes a digest.

    One that was taken and never finished (its sender died) is taken again when its lease ends.
    """
    joined = DELIVERIES.join(NOTIFICATIONS, NOTIFICATIONS.c.id == DELIVERIES.c.notification_id, isouter=True)
    query = select(DELIVERIES, NOTIFICATIONS.c.reason).select_from(joined).where(_due(tx.now))
    query = query.order_by(DELIVERIES.c.due_at, DELIVERIES.c.id).limit(limit)
    rows = [dict(row) for row in tx.conn.execute(query.with_for_update(skip_locked=True, of=DELIVERIES)).mappings()]
    chosen: list[Id] = []
    for channel_id in dict.fromkeys(row["channel_id"] for row in rows):
        chosen += _let_through(tx, channel_id, [row for row in rows if row["channel_id"] == channel_id])
    if not chosen:
        return []
    values = {"status": "sending", "claimed_until": tx.now + int(lease_s * SECOND), "started_at": tx.now}
    tx.conn.execute(update(DELIVERIES).where(DELIVERIES.c.id.in_(chosen)).values(**values))
    found = _with_content(tx, chosen)
    _bury(tx, set(chosen) - {row["id"] for row in found})
    return found


def _let_through(tx: Tx, channel_id: Id, rows: list[dict[str, Any]]) -> list[Id]:
    """Which attempts on a channel may be made now; the others are put off or merged."""
    channel = channels.locked(tx, channel_id)
    if channel is None or not channel["enabled"]:
        return [row["id"] for row in rows]  # they end without being sent
    count, next_at = channels.room(channel, tx.now)
    if not count:
        _put_off(tx, channel_id, next_at)
        return []
    chosen = [row["id"] for row in rows]
    if len(rows) > count:
        # Those that may not be merged go first; the last place is that of the digest of all that is left.
        alone = [row for row in rows if _is_alone(row)]
        first = [*alone, *(row for row in rows if not _is_alone(row))][: count - 1]
        chosen = [row["id"] for row in first]
        merged = _merge(tx, channel_id, set(chosen))
        if merged is not None:
            chosen.append(merged)
    channels.spend(tx, channel_id, channels.after(channel, tx.now, len(chosen)))
    return chosen


def _is_alone(row: Mapping[str, Any]) -> bool:
    return row["attempt"] > 1 or row["status"] == "sending" or row["reason"] in _UNMERGED or bool(row["cursor"])


def _put_off(tx: Tx, channel_id: Id, until: Micros) -> None:
    mine = (DELIVERIES.c.channel_id == channel_id, DELIVERIES.c.status == "pending", DELIVERIES.c.due_at < until)
    tx.conn.execute(update(DELIVERIES).where(*mine).values(due_at=until))
    dead = (DELIVERIES.c.channel_id == channel_id, DELIVERIES.c.status == "sending")
    tx.conn.execute(update(DELIVERIES).where(*dead, DELIVERIES.c.claimed_until < tx.now).values(claimed_until=until))


def _merge(tx: Tx, channel_id: Id, but: set[Id]) -> Id | None:
    """Make one message of all that wait for a channel; the id of its attempt, None when nothing can be merged."""
    joined = DELIVERIES.join(NOTIFICATIONS, NOTIFICATIONS.c.id == DELIVERIES.c.notification_id)
    query = select(DELIVERIES.c.id, DELIVERIES.c.notification_id, DELIVERIES.c.workspace_id).select_from(joined)
    mine = (DELIVERIES.c.channel_id == channel_id, DELIVERIES.c.status == "pending", DELIVERIES.c.attempt == 1)
    query = query.where(*mine, DELIVERIES.c.due_at <= tx.now, NOTIFICATIONS.c.reason.not_in(_UNMERGED))
    query = query.where(DELIVERIES.c.cursor == "")  # what has begun goes on by itself
    query = query.where(DELIVERIES.c.id.not_in(but)).order_by(DELIVERIES.c.id).limit(MERGED_AT_ONCE)
    waiting = tx.conn.execute(query.with_for_update(skip_locked=True, of=DELIVERIES)).all()
    if len(waiting) < 2:
        return waiting[0].id if waiting else None
    told = _told_by(tx, [row.notification_id for row in waiting])
    scope = Scope(waiting[0].workspace_id)
    newest = [dict(row) for row in tx.conn.execute(_newest(told)).mappings()]
    notification_id = plan(tx, scope, digest(newest, told, len(waiting), tx.now), told, [])
    merged = {"status": "merged", "ended_at": tx.now, "merged_into": notification_id}
    for at in range(0, len(waiting), 500):
        ids = [row.id for row in waiting[at : at + 500]]
        tx.conn.execute(update(DELIVERIES).where(DELIVERIES.c.id.in_(ids)).values(**merged))
    attempt(tx, scope.workspace_id, notification_id, told[0]["alert_id"], channel_id)
    made = select(DELIVERIES.c.id).where(
        DELIVERIES.c.notification_id == notification_id, DELIVERIES.c.channel_id == channel_id
    )
    return str(tx.conn.execute(made).scalar_one())


def _told_by(tx: Tx, notifications: Sequence[Id]) -> list[dict[str, Any]]:
    """What some messages tell together: each alert once, as it was told last, with all of its occurrences."""
    found: dict[Id, dict[str, Any]] = {}
    for at in range(0, len(notifications), 500):
        query = select(TOLD).where(TOLD.c.notification_id.in_(notifications[at : at + 500]))
        for row in tx.conn.execute(query.order_by(TOLD.c.notification_id)):
            before = found.pop(row.alert_id, None)
            count = row.occurrences + (before["occurrences"] if before else 0)
            found[row.alert_id] = {"alert_id": row.alert_id, "status": row.status, "occurrences": count}
    return list(found.values())


def _newest(told: Sequence[Mapping[str, Any]]) -> Any:
    return select(ALERTS).where(ALERTS.c.id.in_([one["alert_id"] for one in told[-MAX_ALERTS:]]))


def _with_content(tx: Tx, ids: Collection[Id]) -> list[dict[str, Any]]:
    columns: tuple[Any, ...] = (CHANNELS.c.name, CHANNELS.c.sealed, CHANNELS.c.key_id, CHANNELS.c.enabled)
    joined = DELIVERIES.join(CHANNELS, CHANNELS.c.id == DELIVERIES.c.channel_id)
    joined = joined.join(NOTIFICATIONS, NOTIFICATIONS.c.id == DELIVERIES.c.notification_id)
    query = select(
        DELIVERIES,
        *columns,
        NOTIFICATIONS.c.content,
        NOTIFICATIONS.c.reason,
        NOTIFICATIONS.c.created_at.label("made_at"),
    )
    query = query.select_from(joined).where(DELIVERIES.c.id.in_(ids))
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def _bury(tx: Tx, ids: set[Id]) -> None:
    """End attempts whose channel or message is gone (removed while they were planned): they would be taken for ever."""
    if ids:
        values = {"status": "dead", "ended_at": tx.now, "claimed_until": None, "error_class": "permanent"}
        gone = update(DELIVERIES).where(DELIVERIES.c.id.in_(ids))
        tx.conn.execute(gone.values(**values, error="its channel or its message was removed"))


def finish(tx: Tx, delivery_id: Id, status: str, **more: Any) -> bool:
    """End an attempt that is being made; False when it had ended before. `more`: title, provider_id, error, ..."""
    values = {"status": status, "ended_at": tx.now, "claimed_until": None, **more}
    return bool(raw.change(tx, DELIVERIES, values, {"id": delivery_id, "status": "sending"}))


def put_back(tx: Tx, delivery_id: Id, cursor: str, due_at: Micros) -> None:
    """Let an attempt go on later from where it came to."""
    values = {"status": "pending", "due_at": due_at, "claimed_until": None, "cursor": cursor}
    raw.put(tx, DELIVERIES, values, {"id": delivery_id, "status": "sending"})
    tx.wake("deliveries")


def firing_of(tx: Tx, scope: Scope, notification_id: Id) -> list[dict[str, Any]]:
    """The alerts that a message told as firing and that still fire, the oldest first, bounded."""
    query = select(ALERTS).join(TOLD, TOLD.c.alert_id == ALERTS.c.id)
    query = query.where(TOLD.c.notification_id == notification_id, TOLD.c.status == "firing")
    query = query.where(ALERTS.c.workspace_id == scope.workspace_id, ALERTS.c.status == "firing")
    query = query.order_by(ALERTS.c.id).limit(MERGED_AT_ONCE)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def told_channels(tx: Tx, alert_id: Id, schemes: Collection[str]) -> list[Id]:
    """The enabled channels of some schemes that were told of an alert, or are being told."""
    joined = TOLD.join(DELIVERIES, DELIVERIES.c.notification_id == TOLD.c.notification_id)
    joined = joined.join(CHANNELS, CHANNELS.c.id == DELIVERIES.c.channel_id)
    query = select(CHANNELS.c.id).distinct().select_from(joined).where(TOLD.c.alert_id == alert_id, CHANNELS.c.enabled)
    query = query.where(CHANNELS.c.scheme.in_(schemes), DELIVERIES.c.status != "dead").order_by(CHANNELS.c.id)
    return [str(one) for one in tx.conn.execute(query).scalars()]


def last_attempt(tx: Tx, notification_id: Id, channel_id: Id) -> int:
    """The number of the last attempt that was planned."""
    mine = (DELIVERIES.c.notification_id == notification_id, DELIVERIES.c.channel_id == channel_id)
    return int(tx.conn.execute(select(func.max(DELIVERIES.c.attempt)).where(*mine)).scalar() or 0)


def list_deliveries(
    tx: Tx, scope: Scope, *, alert_id: Id | None, limit: int, cursor: str | None, status: str | None = None,
    channel_id: Id | None = None,
) -> Page[dict[str, Any]]:  # fmt: skip
    """Attempts to deliver, newest first, with the channel's name, the message's reason and the title of its main alert.

    `alert_id`: those of every message that tells this alert.
    """
    joined = DELIVERIES.join(CHANNELS, CHANNELS.c.id == DELIVERIES.c.channel_id, isouter=True)
    joined = joined.join(NOTIFICATIONS, NOTIFICATIONS.c.id == DELIVERIES.c.notification_id, isouter=True)
    joined = joined.join(ALERTS, ALERTS.c.id == DELIVERIES.c.alert_id, isouter=True)
    columns = (CHANNELS.c.name.label("channel"), NOTIFICATIONS.c.reason, ALERTS.c.title.label("about"))
    query = select(DELIVERIES, *columns).select_from(joined)
    query = query.where(DELIVERIES.c.workspace_id == scope.workspace_id)
    query = query.where(DELIVERIES.c.status == status) if status else query
    query = query.where(DELIVERIES.c.channel_id == channel_id) if channel_id else query
    if alert_id:
        told = select(TOLD.c.notification_id).where(TOLD.c.alert_id == alert_id)
        query = query.where(DELIVERIES.c.notification_id.in_(told))
    return page(tx, query, DELIVERIES.c.id, limit=limit, cursor=cursor, make=dict)


def find_delivery(tx: Tx, scope: Scope, delivery_id: Id) -> dict[str, Any] | None:
    """An attempt by its id."""
    query = select(DELIVERIES).where(DELIVERIES.c.id == delivery_id, DELIVERIES.c.workspace_id == scope.workspace_id)
    row = tx.conn.execute(query).mappings().first()
    return None if row is None else dict(row)


def find_message(tx: Tx, scope: Scope, notification_id: Id) -> dict[str, Any] | None:
    """A message by its id, with its document."""
    query = select(NOTIFICATIONS).where(NOTIFICATIONS.c.workspace_id == scope.workspace_id)
    row = tx.conn.execute(query.where(NOTIFICATIONS.c.id == notification_id)).mappings().first()
    return None if row is None else dict(row)


def messages_of(tx: Tx, alert_id: Id, *, limit: int) -> list[dict[str, Any]]:
    """The messages that told an alert, newest first, each with what it said of it; without their documents."""
    columns = (
        NOTIFICATIONS.c.id,
        NOTIFICATIONS.c.reason,
        NOTIFICATIONS.c.created_at,
        TOLD.c.status,
        TOLD.c.occurrences,
    )
    query = select(*columns).join(TOLD, TOLD.c.notification_id == NOTIFICATIONS.c.id).where(TOLD.c.alert_id == alert_id)
    return [dict(row) for row in tx.conn.execute(query.order_by(NOTIFICATIONS.c.id.desc()).limit(limit)).mappings()]


def alerts_told(tx: Tx, notification_id: Id) -> list[dict[str, Any]]:
    """The alerts that a message tells, each with its title, what was said of it, and how many occurrences."""
    query = select(TOLD, ALERTS.c.title, ALERTS.c.kind).join(ALERTS, ALERTS.c.id == TOLD.c.alert_id)
    query = query.where(TOLD.c.notification_id == notification_id).order_by(TOLD.c.alert_id.desc()).limit(MAX_ALERTS)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def attempts_of(tx: Tx, notification_id: Id, channel_id: Id) -> list[dict[str, Any]]:
    """The attempts to bring a message to a channel, in their order."""
    mine = (DELIVERIES.c.notification_id == notification_id, DELIVERIES.c.channel_id == channel_id)
    query = select(DELIVERIES).where(*mine).order_by(DELIVERIES.c.attempt)
    return [dict(row) for row in tx.conn.execute(query).mappings()]
