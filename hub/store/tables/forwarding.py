"""Webhooks that come to a plane for its sites: the addresses, and what waits there, sealed."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Index
from sqlmodel import Field

from hub.store.tables.columns import Row, blob, document, id_key, integer, maybe_moment, maybe_text, moment, ref, text


class LinkAddress(Row, table=True):
    """Site side: an address of a source at a link's plane. Its token is kept as SHA-256 only; `opened_at` is when the
    plane said first that it has it."""

    __tablename__: ClassVar[str] = "link_addresses"
    id: str = id_key()
    workspace_id: str = ref()
    link_id: str = ref(index=True)
    source_id: str = ref()
    digest: str = Field(unique=True, nullable=False)
    created_at: int = moment()
    opened_at: int | None = maybe_moment()


class PlaneAddress(Row, table=True):
    """Plane side: an address of a site's source, as the site told it. `answer_text` null: the receipt's id."""

    __tablename__: ClassVar[str] = "plane_addresses"
    digest: str = Field(primary_key=True)
    workspace_id: str = ref()
    site_row: str = ref(index=True)
    source_id: str = ref()
    methods: list[str] = document([])
    max_body: int = integer()
    rate_per_minute: int = integer()
    answer_status: int = integer(202)
    answer_text: str | None = maybe_text()
    answer_type: str = text("text/plain")


class PlaneWebhook(Row, table=True):
    """Plane side: a request that waits for its site. `head` (address, headers, sender) and `body` are sealed under a
    key of their own, and that one (`wrapped`) to the site's key `key_id`. `size` is that of the body in clear."""

    __tablename__: ClassVar[str] = "plane_webhooks"
    __table_args__: ClassVar[Any] = (Index("ix_plane_webhooks_site", "site_row", "id"),)
    id: str = id_key()
    workspace_id: str = ref()
    site_row: str = ref()
    source_id: str = ref()
    key_id: str = text()
    wrapped: bytes | None = blob()
    head: bytes | None = blob()
    body: bytes | None = blob()
    size: int = integer()
    received_at: int = moment()
