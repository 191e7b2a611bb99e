"""Runs, their attempts, their tasks, their history."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Index, Integer, UniqueConstraint
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


class RunRow(Row, table=True):
    """A flow run: what was asked for, what it is now. Export classes of its fields: `hub/events.py`."""

    __tablename__: ClassVar[str] = "runs"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("workspace_id", "idempotency_key"),
        Index("ix_runs_ws", "workspace_id", "id"),
        Index("ix_runs_ws_state", "workspace_id", "state_type", "id"),
        Index("ix_runs_ws_flow", "workspace_id", "flow_name", "id"),
        Index("ix_runs_ws_name", "workspace_id", "name", "id"),
        Index("ix_runs_ws_deployment", "workspace_id", "deployment_id", "id"),
        Index("ix_runs_ws_parent", "workspace_id", "parent_run_id", "id"),
        # The dispatcher's question, answered from an index that only holds what waits.
        Index(
            "ix_runs_due",
            "queue",
            "due_at",
            sqlite_where=sql("state_type = 'SCHEDULED'"),
            postgresql_where=sql("state_type = 'SCHEDULED'"),
        ),
        # Of runs whose deployment limits how many execute at once: what waits, lane by lane.
        Index(
            "ix_runs_lane",
            "queue",
            "lane",
            "due_at",
            sqlite_where=sql("state_type = 'SCHEDULED' AND lane IS NOT NULL"),
            postgresql_where=sql("state_type = 'SCHEDULED' AND lane IS NOT NULL"),
        ),
        Index("ix_runs_ended", "ended_at"),
        # Runs whose first attempt is still to be let through.
        Index(
            "ix_runs_throttle",
            "throttle",
            sqlite_where=sql("throttle IS NOT NULL"),
            postgresql_where=sql("throttle IS NOT NULL"),
        ),
    )
    id: str = id_key()
    workspace_id: str = ref()
    name: str = text()
    flow_name: str = text()
    deployment_id: str | None = maybe_ref()
    deployment_name: str | None = maybe_text()
    entrypoint: str | None = maybe_text()
    parent_run_id: str | None = maybe_ref()
    parent_task_run_id: str | None = maybe_ref()
    restart_of: str | None = maybe_ref()
    restart_from: str | None = maybe_ref()  # a task run of that run, or START
    home: str = text("worker")
    queue: str = text("default")
    lane: str | None = maybe_text()
    throttle: str | None = maybe_ref()  # the flow state that says when its first attempt may start
    origin: str = text("api")
    origin_id: str | None = maybe_ref()
    created_by: str = text()
    idempotency_key: str | None = maybe_text()
    tags: list[str] = document([])
    parameters: dict[str, Any] = document({})
    state_type: str = text()
    state_name: str = text()
    state_message: str = text()
    version: int = integer()
    attempt: int = integer()
    epoch: int = integer()
    retries_used: int = integer()
    crashes: int = integer()
    crash_retries: int = integer(2)
    state_hooks: list[str] = document([])  # for which of its ends its flow has hooks
    alerts: dict[str, Any] = document({})  # what differs from the default: to, on, severity
    export: str = text()  # the most that may leave for a plane; empty: what its links let out
    result_secret: bool = Field(default=False, nullable=False)  # its result holds a secret that it has resolved
    retry_policy: dict[str, Any] = document({})
    timeout_s: float | None = Field(default=None, nullable=True)
    created_at: int = moment()
    due_at: int = moment()
    started_at: int | None = maybe_moment()
    ended_at: int | None = maybe_moment()
    updated_at: int = moment()
    error_type: str | None = maybe_text()
    error_message: str | None = maybe_text()
    error_trace: str | None = maybe_text()
    error_class: str | None = maybe_text()
    result: bytes | None = blob()
    result_format: str | None = maybe_text()


class Attempt(Row, table=True):
    """One execution of a run. Live rows (PUBLISHED, CLAIMED) are the slots; leases are counted, never a counter.

    Inline runs have one too, with the worker's columns naming host, boot and pid of the caller.
    """

    __tablename__: ClassVar[str] = "attempts"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("run_id", "number"),
        Index(
            "ix_attempts_live",
            "worker_id",
            "lease_until",
            sqlite_where=sql("state in ('PUBLISHED','CLAIMED')"),
            postgresql_where=sql("state in ('PUBLISHED','CLAIMED')"),
        ),
    )
    id: str = id_key()
    workspace_id: str = ref()
    run_id: str = ref()
    number: int = integer()
    epoch: int = integer()
    queue: str = text("default")
    state: str = text("PUBLISHED")  # PUBLISHED, CLAIMED, ENDED, LOST, RELEASED
    worker_id: str | None = maybe_ref()
    host: str = text()
    boot_id: str = text()
    pid: int | None = Field(default=None, nullable=True)
    pid_started: str = text()
    published_at: int | None = maybe_moment()
    claimed_at: int | None = maybe_moment()
    lease_until: int | None = maybe_moment()
    ended_at: int | None = maybe_moment()


class TaskRunRow(Row, table=True):
    """A task run. `journal_key` names the step across attempts, so a finished one is skipped by the next.

    No index guards that a key stands there once: keys are in no order, so that each new one would write a page of its
    own. It is the executor that gives a step the id it has had before, behind the fence.
    """

    __tablename__: ClassVar[str] = "task_runs"
    __table_args__: ClassVar[Any] = (Index("ix_task_runs_run", "run_id", "id"), {"sqlite_with_rowid": False})
    id: str = id_key()
    workspace_id: str = ref()
    run_id: str = ref()
    journal_key: str = text()
    task_name: str = text()
    name: str = text()
    parent_task_run_id: str | None = maybe_ref()
    upstream: list[str] = document([])
    state_type: str = text()
    state_name: str = text()
    state_message: str = text()
    version: int = integer()
    run_attempt: int = integer()
    attempt: int = integer()
    retries_used: int = integer()
    created_at: int = moment()
    due_at: int | None = maybe_moment()
    started_at: int | None = maybe_moment()
    ended_at: int | None = maybe_moment()
    error_type: str | None = maybe_text()
    error_message: str | None = maybe_text()
    error_trace: str | None = maybe_text()
    error_class: str | None = maybe_text()
    result: bytes | None = blob()
    result_format: str | None = maybe_text()


class StateRow(Row, table=True):
    """One row for every state a run or task run was in."""

    __tablename__: ClassVar[str] = "states"
    __table_args__: ClassVar[Any] = (Index("ix_states_run", "run_id", "id"),)
    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
    workspace_id: str = ref()
    run_id: str = ref()
    task_run_id: str | None = maybe_ref()
    type: str = text()
    name: str = text()
    message: str = text()
    attempt: int = integer()
    at: int = moment()
    actor: str = text("system")


class Log(Row, table=True):
    """One line a run wrote. `level` as in Python's logging; prints are INFO."""

    __tablename__: ClassVar[str] = "logs"
    __table_args__: ClassVar[Any] = (Index("ix_logs_run", "run_id", "id"),)
    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
    workspace_id: str = ref()
    run_id: str = ref()
    task_run_id: str | None = maybe_ref()
    attempt: int = integer()
    at: int = moment()
    level: int = integer(20)
    logger: str = text()
    message: str = text()
