"""When an event matches, do something: rules, what came of them, what is being counted, what is still to be done."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Index, UniqueConstraint
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


class Automation(Row, table=True):
    """When `trigger` {"kind": "event" or "schedule", "match": CEL, "types": [...], ...}, then each of `actions`
    {"run_deployment": name, "parameters": mapping}, {"run_action": name, ...}, {"cancel_run": id}, ...
    """

    __tablename__: ClassVar[str] = "automations"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("workspace_id", "name"),
        Index("ix_automations_ws", "workspace_id", "id"),
    )
    id: str = id_key()
    workspace_id: str = ref()
    name: str = text()
    description: str = text()
    enabled: bool = Field(default=True, nullable=False)
    trigger: dict[str, Any] = document({})
    actions: list[dict[str, Any]] = document([])
    version: int = integer(1)
    created_at: int = moment()
    updated_at: int = moment()


class AutomationSchedule(Row, table=True):
    """The set times of an automation that is switched on; columns as those of a deployment's schedule."""

    __tablename__: ClassVar[str] = "automation_schedules"
    __table_args__: ClassVar[Any] = (Index("ix_automation_schedules_next", "next_at"),)
    automation_id: str = id_key()
    workspace_id: str = ref()
    kind: str = text("cron")
    spec: str = text()
    timezone: str = text("UTC")
    anchor_at: int | None = maybe_moment()
    next_at: int | None = maybe_moment()
    created_at: int = moment()


class Firing(Row, table=True):
    """What came of an automation on one event that it matched or erred on; the key makes it once.

    `outcome` is one of `hub.runtime.counting.OUTCOMES`, `reason` says why in words, `key` is the value that
    `for_each` gave. `events` are the ids of all that were counted, null where it is this event alone.
    """

    __tablename__: ClassVar[str] = "firings"
    __table_args__: ClassVar[Any] = (
        Index("ix_firings_event", "event_id"),
        Index("ix_firings_at", "at"),
    )
    automation_id: str = id_key()
    event_id: str = id_key()
    workspace_id: str = ref()
    at: int = moment()
    outcome: str = text("fired")
    run_id: str | None = maybe_ref()
    error: str | None = maybe_text()
    reason: str | None = maybe_text()
    key: str | None = maybe_text()
    events: list[str] | None = document()


class AutomationWindow(Row, table=True):
    """What an automation has counted for one value of its `for_each`.

    `opened_at` null: nothing is being counted, the row remembers `fired_at` for the cool-down. `due_at` is set where
    the end of the window must be looked at (proactive); of no use after `expires_at`. Parts of a trigger that is made
    of triggers count under ids of their own in place of the automation's; `progress` says which parts of such a whole
    have fired: {part: [began, [event ids]]}.
    """

    __tablename__: ClassVar[str] = "automation_windows"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("automation_id", "key"),
        Index(
            "ix_automation_windows_due",
            "due_at",
            sqlite_where=sql("due_at IS NOT NULL"),
            postgresql_where=sql("due_at IS NOT NULL"),
        ),
        Index("ix_automation_windows_expires", "expires_at"),
    )
    id: str = id_key()
    workspace_id: str = ref()
    automation_id: str = ref()
    key: str = text()
    opened_at: int | None = maybe_moment()
    until_at: int | None = maybe_moment()
    count: int = integer(0)
    events: list[str] = document([])
    fired_at: int | None = maybe_moment()
    is_spent: bool = Field(default=False, nullable=False)
    due_at: int | None = maybe_moment()
    progress: dict[str, Any] | None = document()
    expires_at: int = moment()


_IN_LANE = sql("lane IS NOT NULL")
_HEADS = sql("lane IS NOT NULL AND status <> 'waiting'")


class AutomationAction(Row, table=True):
    """One action of one firing: written with the firing, carried out after, again until it is done or failed.

    `action` is how it stood when the automation fired. `target` is the id of what it made or changed, `depth` how many
    automations in a row led to it.

    Of a `lane` one at a time is carried out, in the order of `place`: the others are `waiting`. Its first one keeps the
    lane until the run that it made has ended, then loses it to the next.
    """

    __tablename__: ClassVar[str] = "automation_actions"
    __table_args__: ClassVar[Any] = (
        Index("ix_automation_actions_firing", "automation_id", "event_id", "number"),
        Index(
            "ix_automation_actions_due",
            "due_at",
            sqlite_where=sql("status = 'pending'"),
            postgresql_where=sql("status = 'pending'"),
        ),
        Index(
            "ix_automation_actions_target",
            "target",
            sqlite_where=sql("target IS NOT NULL"),
            postgresql_where=sql("target IS NOT NULL"),
        ),
        Index("ix_automation_actions_at", "at"),
        Index("ix_automation_actions_lane", "lane", "place", sqlite_where=_IN_LANE, postgresql_where=_IN_LANE),
        Index("ix_automation_actions_heads", "lane", sqlite_where=_HEADS, postgresql_where=_HEADS),
    )
    id: str = id_key()
    workspace_id: str = ref()
    automation_id: str = ref()
    event_id: str = ref()
    number: int = integer(0)
    seq: int = integer(0)  # of the event: actions are carried out in the order of events
    at: int = moment()
    action: dict[str, Any] = document({})
    status: str = text("pending")
    tries: int = integer(0)
    due_at: int = moment()
    depth: int = integer(1)
    target: str | None = maybe_ref()
    error: str | None = maybe_text()
    lane: str | None = maybe_text()
    place: int = integer()
