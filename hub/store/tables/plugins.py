"""The namespaced key-value store of third-party plugins."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlmodel import Field

from hub.store.tables.columns import Row, document, id_key, moment


class PluginValue(Row, table=True):
    """One value of one plugin in one workspace."""

    __tablename__: ClassVar[str] = "plugin_values"
    workspace_id: str = id_key()
    plugin: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    value: Any = document()
    updated_at: int = moment()
