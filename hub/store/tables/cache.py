"""Results that other runs may take."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Index, UniqueConstraint

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


class CacheEntry(Row, table=True):
    """The result of one call of a task under its key, or who computes it (`state` held).

    `parts` are digests of what the key is made of, never values. A holder lives as long as its attempt's lease.
    """

    __tablename__: ClassVar[str] = "cache_entries"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("workspace_id", "key"),
        Index("ix_cache_task", "workspace_id", "task_key", "id"),
        Index("ix_cache_expires", "expires_at"),
        Index("ix_cache_used", "used_at"),
        Index("ix_cache_task_run", "task_run_id"),
    )
    id: str = id_key()
    workspace_id: str = ref()
    key: str = text()
    task_key: str = text()
    task_name: str = text()
    parts: dict[str, Any] = document({})
    state: str = text("held")  # held, ready
    holder_attempt_id: str | None = maybe_ref()
    holder_task_run_id: str | None = maybe_ref()
    run_id: str | None = maybe_ref()
    task_run_id: str | None = maybe_ref()
    result: bytes | None = blob()
    result_format: str | None = maybe_text()
    size: int = integer()
    hits: int = integer()
    created_at: int = moment()
    expires_at: int | None = maybe_moment()
    last_hit_at: int | None = maybe_moment()
    used_at: int = moment()
