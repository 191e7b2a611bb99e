"""What runs leave for people to read."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Index, Integer, String
from sqlmodel import Field

from hub.store.tables.columns import Row, blob, integer, maybe_ref, maybe_text, moment, ref, text


class Artifact(Row, table=True):
    """A table, text, link, image or progress bar. Those of one key are versions of one thing, in order of `number`.

    `id` is derived from the step that made it, so that a step that is replayed finds its own. `content` is JSON, or
    with `<store>:` before its format a reference into a result store; `digest` is the SHA-256 of the JSON.
    """

    __tablename__: ClassVar[str] = "artifacts"
    __table_args__: ClassVar[Any] = (
        Index("ix_artifacts_ws", "workspace_id", "number"),
        Index("ix_artifacts_ws_key", "workspace_id", "key", "number"),
        Index("ix_artifacts_ws_kind", "workspace_id", "kind", "number"),
        Index("ix_artifacts_ws_run", "workspace_id", "run_id", "number"),
        Index("ix_artifacts_updated", "updated_at"),
    )
    number: int | None = Field(default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
    id: str = Field(sa_type=String(36), nullable=False, unique=True)
    workspace_id: str = ref()
    key: str | None = maybe_text()
    kind: str = text()
    description: str | None = maybe_text()
    content: bytes | None = blob()
    content_format: str | None = maybe_text()
    digest: str = text()
    size: int = integer()
    run_id: str | None = maybe_ref()
    task_run_id: str | None = maybe_ref()
    flow_name: str | None = maybe_text()
    task_name: str | None = maybe_text()
    created_by: str = text()
    created_at: int = moment()
    updated_at: int = moment()
