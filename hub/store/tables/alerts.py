"""Alerts, where they go, and every attempt to get them there."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from hub.store.tables.columns import (
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


class Channel(SQLModel, table=True):
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
    enabled: bool = Field(default=True, nullable=False)
    disabled_reason: str = text()
    created_at: int = moment()
    updated_at: int = moment()


class Alert(SQLModel, table=True):
    """Something a person should know. `dedup_key` is its identity; one row per (key, occurrence)."""

    __tablename__: ClassVar[str] = "alerts"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("workspace_id", "dedup_key", "occurrence"),
        Index("ix_alerts_ws", "workspace_id", "id"),
    )
    id: str = id_key()
    workspace_id: str = ref()
    dedup_key: str = text()
    occurrence: str = text()
    status: str = text("firing")
    kind: str = text()
    severity: str = text("error")
    title: str = text()
    body: str = text()
    run_id: str | None = maybe_ref(index=True)
    labels: dict[str, Any] = document({})
    created_at: int = moment()
    resolved_at: int | None = maybe_moment()


class Delivery(SQLModel, table=True):
    """One attempt to bring one alert to one channel.

    `status` is pending, sending, sent, failed (a later row follows) or dead.
    """

    __tablename__: ClassVar[str] = "deliveries"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("alert_id", "channel_id", "attempt"),
        Index(
            "ix_deliveries_due",
            "due_at",
            sqlite_where=sql("status IN ('pending','sending')"),
            postgresql_where=sql("status IN ('pending','sending')"),
        ),
        Index("ix_deliveries_ws", "workspace_id", "id"),
    )
    id: str = id_key()
    workspace_id: str = ref()
    alert_id: str = ref()
    channel_id: str = ref()
    attempt: int = integer(1)
    status: str = text("pending")
    due_at: int = moment()
    claimed_until: int | None = maybe_moment()
    started_at: int | None = maybe_moment()
    ended_at: int | None = maybe_moment()
    error_class: str | None = maybe_text()
    error: str | None = maybe_text()
