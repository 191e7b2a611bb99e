"""The namespaced key-value store of third-party plugins, and what was set for plugins."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from hub.store.tables.columns import Row, blob, document, id_key, integer, moment, ref, text


class PluginValue(Row, table=True):
    """One value of one plugin in one workspace."""

    __tablename__: ClassVar[str] = "plugin_values"
    workspace_id: str = id_key()
    plugin: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    value: Any = document()
    updated_at: int = moment()


class PluginSetting(Row, table=True):
    """Whether a plugin is switched on, and its configuration as far as it was set here; the secret part is sealed.

    `secret_fields` names what is sealed. `reset_at`: failures of its hooks from before then are forgotten.
    """

    __tablename__: ClassVar[str] = "plugin_settings"
    __table_args__: ClassVar[Any] = (UniqueConstraint("workspace_id", "plugin"),)
    id: str = id_key()
    workspace_id: str = ref()
    plugin: str = text()
    enabled: bool = True
    fields: dict[str, Any] = document({})
    secret_fields: list[str] = document([])
    sealed: bytes | None = blob()
    key_id: str = text()
    version: int = integer(1)
    reset_at: int = integer()
    updated_by: str = text()
    created_at: int = moment()
    updated_at: int = moment()
