"""Sources, their secrets, and every request that came in."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Index, UniqueConstraint
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


class Source(SQLModel, table=True):
    """One endpoint, `/in/{token}`. The token is kept as a keyed hash only; `mode` is enforce or observe."""

    __tablename__: ClassVar[str] = "sources"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("workspace_id", "name"),
        Index("ix_sources_ws", "workspace_id", "id"),
    )
    id: str = id_key()
    workspace_id: str = ref()
    name: str = text()
    preset: str = text()
    options: dict[str, Any] = document({})
    token_digest: str = Field(unique=True, nullable=False)
    old_token_digest: str | None = Field(default=None, nullable=True, index=True)
    old_token_until: int | None = maybe_moment()
    mode: str = text("enforce")
    verify_none: bool = Field(default=False, nullable=False)
    enabled: bool = Field(default=True, nullable=False)
    max_body: int = integer(1_048_576)
    rate_per_minute: int = integer(6000)
    keep_s: int = integer(2_592_000)
    created_at: int = moment()
    updated_at: int = moment()
    deleted_at: int | None = maybe_moment()


class SourceSecret(SQLModel, table=True):
    """A signing secret of a source. All that have not expired are tried; a receipt records which one matched."""

    __tablename__: ClassVar[str] = "source_secrets"
    id: str = id_key()
    workspace_id: str = ref()
    source_id: str = ref(index=True)
    name: str = text()
    sealed: bytes | None = blob()
    key_id: str = text()
    created_at: int = moment()
    expires_at: int | None = maybe_moment()


class Receipt(SQLModel, table=True):
    """One request as it came: bytes, an allow-list of headers (secrets redacted), and the verdict.

    `verdict` is accepted, duplicate, handshake, rejected or observed (would have been rejected).
    """

    __tablename__: ClassVar[str] = "receipts"
    __table_args__: ClassVar[Any] = (
        Index("ix_receipts_ws", "workspace_id", "id"),
        Index("ix_receipts_source", "source_id", "id"),
        Index("ix_receipts_at", "received_at"),
    )
    id: str = id_key()
    workspace_id: str = ref()
    source_id: str = ref()
    received_at: int = moment()
    method: str = text("POST")
    query: str = text()
    headers: list[list[str]] = document([])
    body: bytes | None = blob()
    body_size: int = integer()
    remote: str = text()
    verdict: str = text("accepted")
    reason: str = text()
    secret_id: str | None = maybe_ref()
    event_type: str | None = maybe_text()
    delivery_id: str | None = maybe_text()
    duplicate_of: str | None = maybe_ref()
    replay_of: str | None = maybe_ref()
    answer_status: int = integer(202)
    duplicates: int = integer()
    processed_at: int | None = maybe_moment()
    events: int = integer()
    error: str | None = maybe_text()


class ReceiptKey(SQLModel, table=True):
    """A dedupe key of an accepted receipt; the primary key makes the second one lose."""

    __tablename__: ClassVar[str] = "receipt_keys"
    __table_args__: ClassVar[Any] = (Index("ix_receipt_keys_expires", "expires_at"),)
    source_id: str = id_key()
    key: str = Field(primary_key=True)
    receipt_id: str = ref()
    expires_at: int = Field(sa_type=BigInteger, nullable=False)
