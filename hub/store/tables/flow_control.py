"""What flow control remembers: counts and pending runs by key, and which events cancel which runs."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Index
from sqlalchemy import text as sql
from sqlmodel import Field

from hub.store.tables.columns import Row, document, id_key, integer, maybe_moment, maybe_ref, moment, ref, text


class FlowState(Row, table=True):
    """What one control of one owner (a deployment, or an action of an automation) remembers for one key.

    `opened_at` and `count`: of the window (rate_limit), of the pending run `run_id` (debounce, batch); `run_id` is
    also the active run (singleton) and the run that a key has made (idempotency). Of a throttle `free_at` is the
    theoretical arrival time of GCRA, `opened_at` from when on one more run may start, `settings` what it was asked
    with. Of no use after `expires_at`.
    """

    __tablename__: ClassVar[str] = "flow_states"
    __table_args__: ClassVar[Any] = (
        Index("ix_flow_states_owner", "owner_id"),
        Index("ix_flow_states_expires", "expires_at"),
    )
    id: str = id_key()
    workspace_id: str = ref()
    owner_id: str = ref()
    control: str = text()
    key: str = text()
    opened_at: int | None = maybe_moment()
    count: int = integer(0)
    size: int = integer(0)  # bytes of a batch
    run_id: str | None = maybe_ref()
    free_at: int = integer(0)
    settings: dict[str, Any] = document({})
    expires_at: int = moment()


class RunCancel(Row, table=True):
    """Events of the type `event` that come after `after_seq` cancel the run, if `condition` (CEL) says so.

    `caught_up` false: what was stamped between `after_seq` and the stand of the loop is still to be looked at.
    """

    __tablename__: ClassVar[str] = "run_cancels"
    __table_args__: ClassVar[Any] = (
        Index("ix_run_cancels_run", "run_id"),
        Index("ix_run_cancels_event", "event"),
        Index(
            "ix_run_cancels_new",
            "id",
            sqlite_where=sql("NOT caught_up"),
            postgresql_where=sql("NOT caught_up"),
        ),
    )
    id: str = id_key()
    workspace_id: str = ref()
    run_id: str = ref()
    event: str = text()
    condition: str = text()
    after_seq: int = integer(0)
    expires_at: int | None = maybe_moment()
    caught_up: bool = Field(default=False, nullable=False)
