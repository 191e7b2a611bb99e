"""What the code of runs waits for: somebody to resume it, an input, an event."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Index, Integer, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field

from hub.store.tables.columns import Row, document, id_key, maybe_moment, maybe_text, moment, ref, text


class WaitPoint(Row, table=True):
    """One place in the code of a run that waits, one row for a step of the run however many attempts come to it.

    `run_id` is the run whose code waits, `wakes_run_id` the one that goes on when it is answered: another one where
    the waiting flow is nested in it. `asks` says what is waited for, `answer` what came; both belong to the `kind`.
    """

    __tablename__: ClassVar[str] = "wait_points"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("run_id", "step_key"),
        Index("ix_wait_points_wakes", "wakes_run_id"),
        # What upkeep asks every second, answered from an index that holds only what can run out.
        Index(
            "ix_wait_points_open",
            "expires_at",
            sqlite_where=sql("state = 'open' AND expires_at IS NOT NULL"),
            postgresql_where=sql("state = 'open' AND expires_at IS NOT NULL"),
        ),
        # Whoever looks at new events asks it.
        Index(
            "ix_wait_points_events",
            "created_at",
            sqlite_where=sql("state = 'open' AND kind = 'event'"),
            postgresql_where=sql("state = 'open' AND kind = 'event'"),
        ),
    )
    id: str = id_key()
    workspace_id: str = ref()
    run_id: str = ref()
    wakes_run_id: str = ref()
    step_key: str = text()
    kind: str = text()
    key: str = text()  # its name for people and for those who answer
    state: str = text("open")  # open, answered, expired, closed (its run ended)
    asks: dict[str, Any] = document({})
    answer: Any = document()
    answered_by: str | None = maybe_text()
    created_at: int = moment()
    expires_at: int | None = maybe_moment()
    answered_at: int | None = maybe_moment()


class Message(Row, table=True):
    """A message that its run has not received yet; the row goes when it has. `id` counts: the order of sending."""

    __tablename__: ClassVar[str] = "run_messages"
    __table_args__: ClassVar[Any] = (Index("ix_run_messages_to", "run_id", "name", "id"),)
    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
    workspace_id: str = ref()
    run_id: str = ref()
    name: str = text()
    value: Any = document()
    sent_by: str = text()
    created_at: int = moment()
