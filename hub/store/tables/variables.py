"""Small values by name."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import UniqueConstraint

from hub.store.tables.columns import Row, document, id_key, moment, ref, text


class Variable(Row, table=True):
    """A JSON value under a name, not sealed."""

    __tablename__: ClassVar[str] = "variables"
    __table_args__: ClassVar[Any] = (UniqueConstraint("workspace_id", "name"),)
    id: str = id_key()
    workspace_id: str = ref()
    name: str = text()
    value: Any = document()
    tags: list[str] = document([])
    updated_by: str = text()
    created_at: int = moment()
    updated_at: int = moment()
