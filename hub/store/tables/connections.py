"""Services that flows and result stores reach by name."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import UniqueConstraint

from hub.store.tables.columns import Row, blob, document, id_key, moment, ref, text


class Connection(Row, table=True):
    """Typed settings of a service. The secret ones are sealed together as JSON; `secret_fields` names those given."""

    __tablename__: ClassVar[str] = "connections"
    __table_args__: ClassVar[Any] = (UniqueConstraint("workspace_id", "name"),)
    id: str = id_key()
    workspace_id: str = ref()
    name: str = text()
    kind: str = text()
    fields: dict[str, Any] = document({})
    secret_fields: list[str] = document([])
    sealed: bytes | None = blob()
    key_id: str = text()
    created_at: int = moment()
    updated_at: int = moment()
