"""What happened (events, stamped in order) and what is still to be done about it (effects, claimed by row)."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field

from hub.store.tables.columns import (
    Row,
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


class Event(Row, table=True):
    """A fact, written in the transaction that made it true.

    `body` holds fields of class metadata only: it is hashed, chained and may leave the site. `private` holds the
    other classes ({"errors": {...}, "params": {...}}) and stays; `more` holds what of it the policy of a link lets out,
    without secrets, each class with a salt. `seq` and `hash` are null until the one
    sequencer has stamped the committed row; readers that need order read stamped rows only.
    """

    __tablename__: ClassVar[str] = "events"
    __table_args__: ClassVar[Any] = (
        Index("ix_events_unstamped", "id", sqlite_where=sql("seq IS NULL"), postgresql_where=sql("seq IS NULL")),
        Index("ix_events_ws_seq", "workspace_id", "seq"),
        Index("ix_events_ws_type", "workspace_id", "type", "seq"),
        Index(
            "ix_events_ws_run",
            "workspace_id",
            "run_id",
            "seq",
            sqlite_where=sql("run_id IS NOT NULL"),
            postgresql_where=sql("run_id IS NOT NULL"),
        ),
        Index("ix_events_at", "at"),
    )
    id: str = id_key()
    workspace_id: str = ref()
    seq: int | None = Field(default=None, sa_type=BigInteger, nullable=True, unique=True)
    hash: str | None = maybe_text()
    type: str = text()
    source: str = text()
    subject: str = text()
    run_id: str | None = maybe_ref()
    at: int = moment()
    actor: str = text("system")
    schema_version: int = integer(1)
    body: dict[str, Any] = document({})
    private: dict[str, Any] | None = document()
    more: dict[str, Any] | None = document()


class Effect(Row, table=True):
    """Work that must follow a commit: at least once, idempotent, claimed by row with a lease.

    `kind` names who carries it out (receipt, run_state, alert, ...); `dead_at` is set when tries are spent.
    """

    __tablename__: ClassVar[str] = "effects"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("kind", "key"),
        Index(
            "ix_effects_due",
            "kind",
            "due_at",
            sqlite_where=sql("done_at IS NULL AND dead_at IS NULL"),
            postgresql_where=sql("done_at IS NULL AND dead_at IS NULL"),
        ),
        Index(
            "ix_effects_done",
            "done_at",
            sqlite_where=sql("done_at IS NOT NULL"),
            postgresql_where=sql("done_at IS NOT NULL"),
        ),
    )
    id: str = id_key()
    workspace_id: str = ref()
    kind: str = text()
    key: str = text()
    payload: dict[str, Any] = document({})
    due_at: int = moment()
    tries: int = integer()
    claimed_by: str | None = maybe_text()
    claimed_until: int | None = maybe_moment()
    done_at: int | None = maybe_moment()
    dead_at: int | None = maybe_moment()
    error: str | None = maybe_text()


class Leader(Row, table=True):
    """A lock with a lease, for work that must have one doer (the sequencer). `fence` grows with every change."""

    __tablename__: ClassVar[str] = "leaders"
    name: str = Field(primary_key=True)
    holder: str = text()
    fence: int = integer()
    lease_until: int = moment()
