"""Named limits, and the leased rows that are counted against them."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Index, Text, UniqueConstraint
from sqlmodel import Field

from hub.store.tables.columns import Row, id_key, integer, maybe_ref, moment, ref, text


class Limit(Row, table=True):
    """How much of something may be used at once (`slots`) and how often (`rate` in `period_us`). Null: not limited so.

    `tickets` numbers those who ask, in the order in which they asked.
    """

    __tablename__: ClassVar[str] = "limits"
    __table_args__: ClassVar[Any] = (UniqueConstraint("workspace_id", "name"),)
    id: str = id_key()
    workspace_id: str = ref()
    name: str = text()
    slots: int | None = Field(default=None, nullable=True)
    rate: int | None = Field(default=None, nullable=True)
    period_us: int = integer()
    tickets: int = integer()
    created_at: int = moment()
    updated_at: int = moment()


class LimitSlot(Row, table=True):
    """One who waits for a limit (WAITING), holds some of it (HELD), or has used some of its rate (SPENT).

    WAITING and HELD belong to an attempt: they are renewed and end with it. SPENT belongs to nobody and ends by itself.
    """

    __tablename__: ClassVar[str] = "limit_slots"
    __table_args__: ClassVar[Any] = (
        Index("ix_limit_slots_limit", "limit_id", "state", "ticket"),
        Index("ix_limit_slots_attempt", "attempt_id"),
        Index("ix_limit_slots_request", "request_id"),
    )
    id: str = id_key()
    workspace_id: str = ref()
    limit_id: str = ref()
    request_id: str = ref()
    state: str = text("WAITING")  # WAITING, HELD, SPENT
    occupy: int = integer(1)
    ticket: int = integer()
    run_id: str | None = maybe_ref()
    attempt_id: str | None = maybe_ref()
    task_run_id: str | None = maybe_ref()
    at: int = moment()
    expires_at: int = moment()


class Lane(Row, table=True):
    """When a lane (a deployment's runs of one key) was served last, so that lanes take turns."""

    __tablename__: ClassVar[str] = "lanes"
    __table_args__: ClassVar[Any] = (Index("ix_lanes_served", "served_at"),)
    id: str = Field(primary_key=True, sa_type=Text)
    workspace_id: str = ref()
    served_at: int = moment()
