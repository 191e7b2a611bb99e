"""Where webhooks of our own go, and every attempt to get them there."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field

from hub.store.tables.columns import (
    Row,
    blob,
    id_key,
    integer,
    maybe_moment,
    maybe_text,
    moment,
    ref,
    text,
)

_RARE = sql("status <> 'delivered'")


class Endpoint(Row, table=True):
    """A receiver. Its address is sealed, `label` shows only its host. `failing_since`: no attempt went well since."""

    __tablename__: ClassVar[str] = "endpoints"
    __table_args__: ClassVar[Any] = (UniqueConstraint("workspace_id", "name"),)
    id: str = id_key()
    workspace_id: str = ref()
    name: str = text()
    label: str = text()
    sealed: bytes | None = blob()
    key_id: str = text()
    enabled: bool = Field(default=True, nullable=False)
    disabled_reason: str = text()
    failing_since: int | None = maybe_moment()
    created_at: int = moment()
    updated_at: int = moment()


class EndpointKey(Row, table=True):
    """A signing key of an endpoint; what is sent is signed with all that have not expired.

    `scheme` is v1 or v1a; `public` what the receiver verifies v1a with.
    """

    __tablename__: ClassVar[str] = "endpoint_keys"
    id: str = id_key()
    workspace_id: str = ref()
    endpoint_id: str = ref(index=True)
    scheme: str = text("v1")
    public: str = text()
    sealed: bytes | None = blob()
    key_id: str = text()
    created_at: int = moment()
    expires_at: int | None = maybe_moment()


class OutgoingWebhook(Row, table=True):
    """A message to one endpoint; its id is the `webhook-id` of every attempt.

    `status` is pending, sending, delivered or failed. `tries` is the place in the schedule, `attempts` counts all.
    """

    __tablename__: ClassVar[str] = "outgoing_webhooks"
    __table_args__: ClassVar[Any] = (
        Index(
            "ix_outgoing_webhooks_due",
            "due_at",
            sqlite_where=sql("status IN ('pending','sending')"),
            postgresql_where=sql("status IN ('pending','sending')"),
        ),
        Index("ix_outgoing_webhooks_ws", "workspace_id", "endpoint_id", "id"),
        Index("ix_outgoing_webhooks_newest", "workspace_id", "id"),
        # Few among many, and looked for.
        Index(
            "ix_outgoing_webhooks_ws_rare", "workspace_id", "status", "id", sqlite_where=_RARE, postgresql_where=_RARE
        ),
        Index(
            "ix_outgoing_webhooks_endpoint_rare",
            "workspace_id",
            "endpoint_id",
            "status",
            "id",
            sqlite_where=_RARE,
            postgresql_where=_RARE,
        ),
        Index("ix_outgoing_webhooks_ended", "ended_at"),
    )
    id: str = id_key()
    workspace_id: str = ref()
    endpoint_id: str = ref()
    type: str = text()
    body: bytes | None = blob()
    origin: str = text()
    status: str = text("pending")
    tries: int = integer()
    attempts: int = integer()
    due_at: int = moment()
    claimed_by: str | None = maybe_text()
    claimed_until: int | None = maybe_moment()
    created_at: int = moment()
    ended_at: int | None = maybe_moment()
    error: str | None = maybe_text()


class OutgoingAttempt(Row, table=True):
    """One attempt: what the receiver answered, or why there was no answer. `response` is its first 2,000 bytes."""

    __tablename__: ClassVar[str] = "outgoing_attempts"
    __table_args__: ClassVar[Any] = (UniqueConstraint("webhook_id", "number"),)
    id: str = id_key()
    workspace_id: str = ref()
    webhook_id: str = ref()
    number: int = integer(1)
    started_at: int = moment()
    duration_us: int = integer()
    status_code: int | None = Field(default=None, nullable=True)
    response: str = text()
    error: str | None = maybe_text()
