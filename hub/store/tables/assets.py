"""Things outside that tasks make, each time that one was made, and what was made from what."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Index, Integer, String, UniqueConstraint
from sqlmodel import Field

from hub.store.tables.columns import Row, document, id_key, integer, maybe_text, moment, ref, text


class Asset(Row, table=True):
    """An asset by its URI. Written once and never changed, so that runs that make the same ones do not meet."""

    __tablename__: ClassVar[str] = "assets"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("workspace_id", "key"),
        Index("ix_assets_ws", "workspace_id", "id"),
    )
    id: str = id_key()
    workspace_id: str = ref()
    key: str = text()
    created_at: int = moment()


class Materialization(Row, table=True):
    """One time that a task made an asset, or failed to. `id` is derived from the try of its task run."""

    __tablename__: ClassVar[str] = "materializations"
    __table_args__: ClassVar[Any] = (
        Index("ix_materializations_asset", "asset_id", "number"),
        Index("ix_materializations_ws_run", "workspace_id", "run_id", "number"),
        Index("ix_materializations_at", "at"),
    )
    number: int | None = Field(default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
    id: str = Field(sa_type=String(36), nullable=False, unique=True)
    workspace_id: str = ref()
    asset_id: str = ref()
    asset_key: str = text()
    state: str = text()  # materialized, failed
    run_id: str = ref()
    task_run_id: str = ref()
    flow_name: str = text()
    task_name: str = text()
    attempt: int = integer()
    upstream: list[str] = document([])
    details: dict[str, Any] = document({})
    error: str | None = maybe_text()
    at: int = moment()


class AssetLink(Row, table=True):
    """That an asset was made from another one."""

    __tablename__: ClassVar[str] = "asset_links"
    __table_args__: ClassVar[Any] = (Index("ix_asset_links_upstream", "upstream_id", "asset_id"),)
    asset_id: str = Field(primary_key=True, sa_type=String(36))
    upstream_id: str = Field(primary_key=True, sa_type=String(36))
    workspace_id: str = ref()
