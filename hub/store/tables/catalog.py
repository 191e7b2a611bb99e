"""What can be run, where and when."""

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


class WorkPool(Row, table=True):
    """Where runs execute; the launcher is a plugin's name (warm: in the Celery child)."""

    __tablename__: ClassVar[str] = "work_pools"
    __table_args__: ClassVar[Any] = (UniqueConstraint("workspace_id", "name"),)
    id: str = id_key()
    workspace_id: str = ref()
    name: str = text()
    launcher: str = text("warm")
    options: dict[str, Any] = document({})
    created_at: int = moment()


class WorkQueue(Row, table=True):
    """A line of waiting runs. A lower `priority` is served first; `slots` null means no limit of its own."""

    __tablename__: ClassVar[str] = "work_queues"
    __table_args__: ClassVar[Any] = (UniqueConstraint("workspace_id", "name"),)
    id: str = id_key()
    workspace_id: str = ref()
    pool_id: str = ref()
    name: str = text()
    priority: int = integer(1)
    slots: int | None = Field(default=None, nullable=True)
    paused: bool = Field(default=False, nullable=False)
    created_at: int = moment()


class Deployment(Row, table=True):
    """A flow that the hub may start: where its code is, its default parameters, its queue."""

    __tablename__: ClassVar[str] = "deployments"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("workspace_id", "name"),
        Index("ix_deployments_ws", "workspace_id", "id"),
        # The few whose surplus runs are cancelled.
        Index(
            "ix_deployments_overflow",
            "id",
            sqlite_where=sql("overflow <> 'enqueue'"),
            postgresql_where=sql("overflow <> 'enqueue'"),
        ),
    )
    id: str = id_key()
    workspace_id: str = ref()
    name: str = text()
    flow_name: str = text()
    entrypoint: str = text()
    description: str = text()
    parameters: dict[str, Any] = document({})
    parameter_schema: dict[str, Any] = document({})
    tags: list[str] = document([])
    queue: str = text("default")
    retry_policy: dict[str, Any] = document({})
    timeout_s: float | None = Field(default=None, nullable=True)
    crash_retries: int = integer(2)
    state_hooks: list[str] = document([])
    alerts: dict[str, Any] = document({})
    export: str = text()
    paused: bool = Field(default=False, nullable=False)
    concurrency: int | None = Field(default=None, nullable=True)
    concurrency_key: str = text()
    overflow: str = text("enqueue")
    flow_control: dict[str, Any] = document({})
    version: int = integer(1)
    code_digest: str | None = maybe_text()
    created_at: int = moment()
    updated_at: int = moment()


class Schedule(Row, table=True):
    """When a deployment starts by itself. `kind` cron (`spec` is the expression) or interval (`spec` is seconds).

    `place` {"labels": ..., "site": ...}: at a site of this plane, not here.
    """

    __tablename__: ClassVar[str] = "schedules"
    __table_args__: ClassVar[Any] = (
        Index("ix_schedules_ws", "workspace_id", "id"),
        Index("ix_schedules_next", "active", "next_at"),
    )
    id: str = id_key()
    workspace_id: str = ref()
    deployment_id: str = ref(index=True)
    kind: str = text("cron")
    spec: str = text()
    timezone: str = text("UTC")
    anchor_at: int | None = maybe_moment()
    parameters: dict[str, Any] = document({})
    active: bool = Field(default=True, nullable=False)
    place: dict[str, Any] | None = document()
    next_at: int | None = maybe_moment()
    created_at: int = moment()
    updated_at: int = moment()


class Tick(Row, table=True):
    """One planned time of a schedule. The key makes it happen once, whatever number of schedulers runs."""

    __tablename__: ClassVar[str] = "ticks"
    __table_args__: ClassVar[Any] = (Index("ix_ticks_at", "at"),)
    schedule_id: str = id_key()
    planned_at: int = Field(primary_key=True, sa_type=BigInteger)
    workspace_id: str = ref()
    run_id: str | None = maybe_ref()
    at: int = moment()
