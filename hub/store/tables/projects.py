"""What `hub apply` has made, and for which project."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Index
from sqlmodel import Field

from hub.store.tables.columns import Row, document, id_key, moment, ref, text


class ProjectItem(Row, table=True):
    """A definition that belongs to a project: the thing `item_id` under its name in a section of `hub.yaml`.

    `secret_refs` are the references from which its secrets came, never their values.
    """

    __tablename__: ClassVar[str] = "project_items"
    __table_args__: ClassVar[Any] = (Index("ix_project_items_project", "workspace_id", "project"),)
    workspace_id: str = id_key()
    section: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    project: str = text()
    item_id: str = ref()
    secret_refs: dict[str, Any] = document({})
    created_at: int = moment()
    updated_at: int = moment()
