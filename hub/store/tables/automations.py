"""When an event matches, do something."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from hub.store.tables.columns import document, id_key, integer, maybe_ref, maybe_text, moment, ref, text


class Automation(SQLModel, table=True):
    """When `trigger` {"kind": "event", "match": CEL, "types": [...]}, then each of `actions`
    {"run_deployment": name, "parameters": mapping}.
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


class Firing(SQLModel, table=True):
    """What an automation did about one event; the key makes it once. `outcome` is fired or error."""

    __tablename__: ClassVar[str] = "firings"
    __table_args__: ClassVar[Any] = (Index("ix_firings_event", "event_id"), Index("ix_firings_at", "at"))
    automation_id: str = id_key()
    event_id: str = id_key()
    workspace_id: str = ref()
    at: int = moment()
    outcome: str = text("fired")
    run_id: str | None = maybe_ref()
    error: str | None = maybe_text()
