"""Alerts, where they go, and every attempt to get them there."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field

from hub.store.tables.columns import (
    Row,
    blob,
    document,
    id_key,
    integer,
    maybe_moment,
    maybe_ref,
    maybe_text,
    moment,
    ref,
    text,
)


class Channel(Row, table=True):
    """A target. The address is sealed; `label` is our own text, never Apprise's "private" URL."""

    __tablename__: ClassVar[str] = "channels"
    __table_args__: ClassVar[Any] = (UniqueConstraint("workspace_id", "name"),)
    id: str = id_key()
    workspace_id: str = ref()
    name: str = text()
    label: str = text()
    scheme: str = text()
    sealed: bytes | None = blob()
    key_id: str = text()
    tags: list[str] = document([])
    rate: int = integer(30)
    """Messages a minute."""
    burst: int = integer(10)
    """Messages at once after a rest."""
    free_at: int = integer(0)
    """When the bucket is full again: its one number (GCRA)."""
    enabled: bool = Field(default=True, nullable=False)
    disabled_reason: str = text()
    title_template: str = text()
    body_template: str = text()
    """Texts of its own; empty: the hub's."""
    template_error: str = text()
    """Why one of them was not used in the last message."""
    created_at: int = moment()
    updated_at: int = moment()


class Alert(Row, table=True):
    """Something a person should know, from its first occurrence until it is over.

    `dedup_key` is its identity: at most one alert of a key fires.
    """

    __tablename__: ClassVar[str] = "alerts"
    __table_args__: ClassVar[Any] = (
        Index("ix_alerts_ws", "workspace_id", "id"),
        Index("ix_alerts_ws_status", "workspace_id", "status", "id"),
        Index(
            "ux_alerts_firing",
            "workspace_id",
            "dedup_key",
            unique=True,
            sqlite_where=sql("status = 'firing'"),
            postgresql_where=sql("status = 'firing'"),
        ),
        Index(
            "ix_alerts_unrouted",
            "id",
            sqlite_where=sql("routed_at IS NULL"),
            postgresql_where=sql("routed_at IS NULL"),
        ),
    )
    id: str = id_key()
    workspace_id: str = ref()
    dedup_key: str = text()
    status: str = text("firing")
    kind: str = text()
    severity: str = text("error")
    title: str = text()
    body: str = text()
    run_id: str | None = maybe_ref(index=True)
    """Of the last occurrence."""
    labels: dict[str, Any] = document({})
    context: dict[str, Any] = document({})
    """Of the last occurrence: run, task, error, log lines, links."""
    count: int = integer(1)
    """Occurrences so far."""
    last_at: int = integer(0)
    created_at: int = moment()
    resolved_at: int | None = maybe_moment()
    routed_at: int | None = maybe_moment()
    """When it was given to the groups of its routes; null: it is to be."""
    acknowledged_at: int | None = maybe_moment()
    acknowledged_until: int | None = maybe_moment()
    acknowledged_by: str = text()


class AlertOccurrence(Row, table=True):
    """One time that it happened. Told once: the same one again changes nothing."""

    __tablename__: ClassVar[str] = "alert_occurrences"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("workspace_id", "dedup_key", "occurrence"),
        Index("ix_alert_occurrences_alert", "alert_id", "id"),
    )
    id: str = id_key()
    workspace_id: str = ref()
    alert_id: str = ref()
    dedup_key: str = text()
    occurrence: str = text()
    title: str = text()
    run_id: str | None = maybe_ref(index=True)
    run_name: str = text()
    at: int = moment()


class AlertRoute(Row, table=True):
    """Which alerts go where, how they are put together, and when."""

    __tablename__: ClassVar[str] = "alert_routes"
    __table_args__: ClassVar[Any] = (UniqueConstraint("workspace_id", "name"),)
    id: str = id_key()
    workspace_id: str = ref()
    name: str = text()
    position: int = integer(0)
    """Lower ones are asked first; the default route is the last."""
    is_default: bool = Field(default=False, nullable=False)
    enabled: bool = Field(default=True, nullable=False)
    spec: dict[str, Any] = document({})
    """As `hub_notifications.routes.Spec`."""
    created_at: int = moment()
    updated_at: int = moment()


class AlertGroup(Row, table=True):
    """Alerts of one route that are told together."""

    __tablename__: ClassVar[str] = "alert_groups"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("workspace_id", "route_id", "key"),
        Index("ix_alert_groups_due", "due_at"),
        Index("ix_alert_groups_escalate", "escalate_at"),
    )
    id: str = id_key()
    workspace_id: str = ref()
    route_id: str = ref()
    key: str = text()
    labels: dict[str, Any] = document({})
    due_at: int = moment()
    told_at: int | None = maybe_moment()
    muted: str = text()
    """Why it was not told when it was due last."""
    step: int = integer(0)
    """The next step of the escalation."""
    round: int = integer(0)
    escalate_at: int | None = maybe_moment()
    version: int = integer(0)
    """Grows with every look: of two that look at once, one writes."""
    created_at: int = moment()


class AlertMember(Row, table=True):
    """An alert in a group, and how it was told last."""

    __tablename__: ClassVar[str] = "alert_members"
    __table_args__: ClassVar[Any] = (Index("ix_alert_members_alert", "alert_id"),)
    group_id: str = id_key()
    alert_id: str = id_key()
    told: str = text()
    """firing, or empty when it was not told yet."""
    told_count: int = integer(0)


class Notification(Row, table=True):
    """One message, as it is brought to each of its channels."""

    __tablename__: ClassVar[str] = "notifications"
    __table_args__: ClassVar[Any] = (Index("ix_notifications_ws", "workspace_id", "id"),)
    id: str = id_key()
    workspace_id: str = ref()
    route_id: str | None = maybe_ref()
    group_id: str | None = maybe_ref()
    reason: str = text()
    content: dict[str, Any] = document({})
    created_at: int = moment()


class NotificationAlert(Row, table=True):
    """Which alerts a message told, and how many of their occurrences."""

    __tablename__: ClassVar[str] = "notification_alerts"
    __table_args__: ClassVar[Any] = (Index("ix_notification_alerts_alert", "alert_id"),)
    notification_id: str = id_key()
    alert_id: str = id_key()
    status: str = text()
    occurrences: int = integer(0)


class AlertSilence(Row, table=True):
    """Alerts that nobody is told of for a while, once or again and again (a maintenance window)."""

    __tablename__: ClassVar[str] = "alert_silences"
    __table_args__: ClassVar[Any] = (Index("ix_alert_silences_ends", "workspace_id", "ends_at"),)
    id: str = id_key()
    workspace_id: str = ref()
    match: str = text()
    comment: str = text()
    author: str = text()
    starts_at: int = moment()
    ends_at: int | None = maybe_moment()
    """Null: until it is ended by hand; only with a schedule."""
    schedule: dict[str, Any] | None = document()
    """{"cron", "timezone", "duration_s"}; null: once, from start to end."""
    created_at: int = moment()


class AlertInhibition(Row, table=True):
    """Alerts of which nobody is told while another one fires that explains them."""

    __tablename__: ClassVar[str] = "alert_inhibitions"
    __table_args__: ClassVar[Any] = (UniqueConstraint("workspace_id", "name"),)
    id: str = id_key()
    workspace_id: str = ref()
    name: str = text()
    source: str = text()
    target: str = text()
    equal: list[str] = document([])
    created_at: int = moment()


class SlaRow(Row, table=True):
    """What is expected of a flow. What was told of it is its alert."""

    __tablename__: ClassVar[str] = "slas"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("workspace_id", "name"),
        Index("ix_slas_ws", "workspace_id", "id"),
    )
    id: str = id_key()
    workspace_id: str = ref()
    name: str = text()
    spec: dict[str, Any] = document({})
    """As `hub_notifications.slas.Sla`, what is no default."""
    enabled: bool = Field(default=True, nullable=False)
    created_at: int = moment()
    updated_at: int = moment()
    """It counts from then."""


class Delivery(Row, table=True):
    """One attempt to bring one message to one channel.

    `status` is pending, sending, sent, failed (a later row follows), dead, or merged (a digest tells it).
    """

    __tablename__: ClassVar[str] = "deliveries"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("notification_id", "channel_id", "attempt"),
        Index(
            "ix_deliveries_due",
            "due_at",
            sqlite_where=sql("status IN ('pending','sending')"),
            postgresql_where=sql("status IN ('pending','sending')"),
        ),
        Index("ix_deliveries_ws", "workspace_id", "id"),
        Index("ix_deliveries_alert", "alert_id"),
    )
    id: str = id_key()
    workspace_id: str = ref()
    notification_id: str = ref()
    alert_id: str = ref()
    """The first alert of the message."""
    channel_id: str = ref()
    attempt: int = integer(1)
    status: str = text("pending")
    due_at: int = moment()
    claimed_until: int | None = maybe_moment()
    started_at: int | None = maybe_moment()
    ended_at: int | None = maybe_moment()
    error_class: str | None = maybe_text()
    error: str | None = maybe_text()
    title: str = text()
    """As it was rendered."""
    provider_id: str = text()
    """What the receiver calls the message, where it says so."""
    merged_into: str | None = maybe_ref()
    """The digest's notification that tells it."""
    cursor: str = text()
    """The last alert that it told a service that gets one event an alert; empty at the beginning."""
