"""Sources, their secrets, and every request that came in."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Index, UniqueConstraint
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

_FAILED = sql("error IS NOT NULL AND replayed_by IS NULL")
_MENDED = sql("replayed_by IS NOT NULL")
_REPLAY = sql("replay_of IS NOT NULL")
_RARE = sql("verdict <> 'accepted'")


class Source(Row, table=True):
    """One endpoint, `/in/{token}`. The token is kept as a keyed hash only; `mode` is enforce or observe.

    While `paused_at` is set, what its requests start is held. `alert_after_s` 0: silence is no alarm. It is counted
    from `heard_at`; since `silent_at` the alarm is on. With a `connection` its messages come from a broker, and nothing
    answers at its address. `order_by` is the expression of the key in whose order runs start; `order_no` counts the
    events that have one. `schema_mode` is off, observe or enforce: what is done where a payload departs from its
    schema. `keep_bytes` 0: no limit. `allow_from` are networks, none: from anywhere. `answer` replaces the preset's.
    `handshake` is open, or closed since the source was confirmed; `confirm_error` says why not."""

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
    paused_at: int | None = maybe_moment()
    redact: list[str] = document([])
    alert_after_s: int = integer()
    heard_at: int | None = maybe_moment()
    silent_at: int | None = maybe_moment()
    connection: str | None = maybe_text()
    order_by: str = text()
    order_no: int = integer()
    schema_mode: str = text("off")
    keep_bytes: int = integer()
    allow_from: list[str] = document([])
    answer: dict[str, Any] | None = document()
    handshake: str = text("open")
    confirmed_at: int | None = maybe_moment()
    confirm_error: str | None = maybe_text()


class SourceConsumer(Row, table=True):
    """What the process that consumes for a source said last: connecting, running, waiting (for a retry), stopped."""

    __tablename__: ClassVar[str] = "source_consumers"
    source_id: str = id_key()
    workspace_id: str = ref()
    state: str = text("connecting")
    reason: str = text()
    since: int = moment()
    retry_at: int | None = maybe_moment()


class SourceSchema(Row, table=True):
    """What the payloads of an event type look like, as JSON Schema; type `*` stands for all that have none."""

    __tablename__: ClassVar[str] = "source_schemas"
    __table_args__: ClassVar[Any] = (UniqueConstraint("source_id", "event_type"),)
    id: str = id_key()
    workspace_id: str = ref()
    source_id: str = ref()
    event_type: str = text()
    document: str = text()
    updated_at: int = moment()


class Dismissal(Row, table=True):
    """What the hub proposed for a source and a person does not want: the `schema` of an event type, or a `preset`."""

    __tablename__: ClassVar[str] = "dismissals"
    __table_args__: ClassVar[Any] = (UniqueConstraint("source_id", "kind", "about"),)
    id: str = id_key()
    workspace_id: str = ref()
    source_id: str = ref()
    kind: str = text()
    about: str = text()
    dismissed_by: str = text()
    dismissed_at: int = moment()


class SourceDrift(Row, table=True):
    """A place where payloads departed from their schema. `receipt_id` is the last that did."""

    __tablename__: ClassVar[str] = "source_drifts"
    __table_args__: ClassVar[Any] = (UniqueConstraint("source_id", "event_type", "path", "kind"),)
    id: str = id_key()
    workspace_id: str = ref()
    source_id: str = ref()
    event_type: str = text()
    path: str = text()
    kind: str = text()
    detail: str = text()
    count: int = integer()
    first_at: int = moment()
    last_at: int = moment()
    receipt_id: str = ref()


class SourceSecret(Row, table=True):
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


class Receipt(Row, table=True):
    """One request as it came: bytes, an allow-list of headers (secrets redacted), and the verdict.

    `verdict` is accepted, duplicate, handshake, rejected or observed (would have been rejected). `redacted` names the
    places whose values were left out, `body` for all of it; null: these are the exact bytes. `replayed_by` is the
    receipt that became the events which this one, a dead letter, could not become.
    """

    __tablename__: ClassVar[str] = "receipts"
    __table_args__: ClassVar[Any] = (
        Index("ix_receipts_ws", "workspace_id", "id"),
        Index("ix_receipts_ws_source", "workspace_id", "source_id", "id"),
        # Few among many, and looked for. What is accepted, which must be quick, pays nothing for them.
        Index("ix_receipts_ws_rare", "workspace_id", "verdict", "id", sqlite_where=_RARE, postgresql_where=_RARE),
        Index(
            "ix_receipts_source_rare",
            "workspace_id",
            "source_id",
            "verdict",
            "id",
            sqlite_where=_RARE,
            postgresql_where=_RARE,
        ),
        Index("ix_receipts_ws_failed", "workspace_id", "id", sqlite_where=_FAILED, postgresql_where=_FAILED),
        Index("ix_receipts_ws_mended", "workspace_id", "id", sqlite_where=_MENDED, postgresql_where=_MENDED),
        Index(
            "ix_receipts_replay_of", "workspace_id", "replay_of", "id", sqlite_where=_REPLAY, postgresql_where=_REPLAY
        ),
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
    redacted: list[str] | None = document()
    replayed_by: str | None = maybe_ref()
    replayed_at: int | None = maybe_moment()


class ReceiptKey(Row, table=True):
    """A dedupe key of an accepted receipt; the primary key makes the second one lose."""

    __tablename__: ClassVar[str] = "receipt_keys"
    __table_args__: ClassVar[Any] = (Index("ix_receipt_keys_expires", "expires_at"),)
    source_id: str = id_key()
    key: str = Field(primary_key=True)
    receipt_id: str = ref()
    expires_at: int = Field(sa_type=BigInteger, nullable=False)


class Bookmark(Row, table=True):
    """A kept request by a name that somebody gave it."""

    __tablename__: ClassVar[str] = "bookmarks"
    __table_args__: ClassVar[Any] = (UniqueConstraint("workspace_id", "name"),)
    id: str = id_key()
    workspace_id: str = ref()
    name: str = text()
    receipt_id: str = ref(index=True)
    source_id: str = ref()
    created_at: int = moment()
