"""Both ends of hub-sync: the site's links and command outcomes, the plane's replica and command log."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Index, Integer, UniqueConstraint
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


class Link(Row, table=True):
    """Site side: one plane we report to. `acked_seq` null: nothing yet, start with a snapshot."""

    __tablename__: ClassVar[str] = "links"
    __table_args__: ClassVar[Any] = (UniqueConstraint("workspace_id", "name"),)
    id: str = id_key()
    workspace_id: str = ref()
    name: str = text()
    url: str = text()
    sealed_token: bytes | None = blob()
    sealed_keys: bytes | None = blob()
    audience: str = text()
    protocol: int = integer(2)
    key_made_at: int = integer()
    key_until: int = integer()
    clock_offset: int = integer()
    key_id: str = text()
    site_id: str = text()
    plane_epoch: str = text()
    primary: bool = Field(default=True, nullable=False)
    authority_id: str = text()
    level: str = text("metadata")
    level_since: int = integer()
    log_epoch: str = text()
    log_start: int = integer()
    log_cursor: int = integer()
    log_gap: dict[str, Any] | None = document()  # lines that were left out, as long as the plane does not know
    acked_seq: int | None = Field(default=None, sa_type=BigInteger, nullable=True)
    command_cursor: int = integer()
    fence: int = integer()
    status: str = text("connecting")
    last_contact_at: int | None = maybe_moment()
    last_error: str = text()
    created_at: int = moment()
    disconnected_at: int | None = maybe_moment()


class CommandOutcome(Row, table=True):
    """A command that was applied here, with what came of it: the second delivery is answered from this row."""

    __tablename__: ClassVar[str] = "command_outcomes"
    __table_args__: ClassVar[Any] = (Index("ix_command_outcomes_at", "at"),)
    command_id: str = id_key()
    workspace_id: str = ref()
    op: str = text()
    target: str = text()
    via: str = text("api")
    actor: str = text()
    status: str = text("accepted")
    code: str = text()
    result: dict[str, Any] = document({})
    at: int = moment()


class PlaneSite(Row, table=True):
    """Plane side: a site that reports here. `plane_epoch` is random and new after every restore of the plane."""

    __tablename__: ClassVar[str] = "plane_sites"
    __table_args__: ClassVar[Any] = (UniqueConstraint("workspace_id", "site_id"),)
    id: str = id_key()
    workspace_id: str = ref()
    site_id: str = text()
    name: str = text()
    token_id: str = text()
    seal_key: str = text()
    rotate_key: bool = Field(default=False, nullable=False)
    protocol: int = integer(1)
    stream_epoch: str = text()
    acked_seq: int = integer()
    chain_hash: str = text()
    log_epoch: str = text()
    log_acked: int = integer()
    fence: int = integer()
    authority_id: str = text()
    command_head: int = integer()
    command_delivered: int = integer()
    plane_epoch: str = text()
    status: dict[str, Any] = document({})
    last_seen_at: int | None = maybe_moment()
    created_at: int = moment()
    removed_at: int | None = maybe_moment()


class PlaneEvent(Row, table=True):
    """Plane side: an event as the site stamped it."""

    __tablename__: ClassVar[str] = "plane_events"
    site_row: str = id_key()
    stream_epoch: str = Field(primary_key=True)
    seq: int = Field(primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
    workspace_id: str = ref()
    event: dict[str, Any] = document({})
    hash: str = text()
    received_at: int = moment()


class PlaneRun(Row, table=True):
    """Plane side: the replica of a site's run, written from its events and snapshots only.

    `more` is what of errors, parameters and results the site's policy let out; `snapshot` is the session whose snapshot
    held it last; `orphaned_at` is set when a later one did not.
    """

    __tablename__: ClassVar[str] = "plane_runs"
    __table_args__: ClassVar[Any] = (Index("ix_plane_runs_ws", "workspace_id", "run_id"),)
    site_row: str = id_key()
    run_id: str = id_key()
    workspace_id: str = ref()
    run: dict[str, Any] = document({})
    more: dict[str, Any] = document({})
    state_type: str = text()
    version: int = integer()
    updated_at: int = moment()
    cancel_requested_at: int | None = maybe_moment()
    snapshot: int = integer()
    orphaned_at: int | None = maybe_moment()


class PlaneLog(Row, table=True):
    """Plane side: a log line of a site's run. Without a run it is a mark: lines from `first` to its id are missing."""

    __tablename__: ClassVar[str] = "plane_logs"
    __table_args__: ClassVar[Any] = (
        Index("ix_plane_logs_run", "site_row", "run_id", "id"),
        Index("ix_plane_logs_received", "received_at"),
    )
    site_row: str = id_key()
    epoch: str = id_key()
    id: int = Field(primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
    workspace_id: str = ref()
    run_id: str = text()
    task_run_id: str | None = maybe_ref()
    attempt: int = integer()
    at: int = moment()
    level: int = integer(20)
    logger: str = text()
    message: str = text()
    first: int | None = Field(default=None, sa_type=BigInteger, nullable=True)
    received_at: int = moment()


class PlaneCommand(Row, table=True):
    """Plane side: a command for a site. Dense `seq` per site; `outcome` arrives as the site's event."""

    __tablename__: ClassVar[str] = "plane_commands"
    __table_args__: ClassVar[Any] = (UniqueConstraint("site_row", "seq"),)
    id: str = id_key()
    workspace_id: str = ref()
    site_row: str = ref()
    seq: int = integer()
    op: str = text()
    target: str = text()
    args: dict[str, Any] = document({})
    authority_id: str = text()
    issued_at: int = moment()
    issued_by: str = text()
    expires_at: int | None = maybe_moment()
    withdrawn_at: int | None = maybe_moment()
    outcome: str | None = maybe_text()
    outcome_at: int | None = maybe_moment()
