"""Which definitions belong to which project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select

from hub.store.base import Tx
from hub.store.tables import ProjectItem
from hub.types import Id, Scope

TABLE = ProjectItem.__table__


def find(tx: Tx, scope: Scope, section: str, name: str) -> dict[str, Any] | None:
    """To whom something belongs; None when nobody has claimed it."""
    found = tx.conn.execute(select(TABLE).where(*_one(scope, section, name))).mappings().first()
    return None if found is None else dict(found)


def of_section(tx: Tx, scope: Scope, section: str) -> dict[str, dict[str, Any]]:
    """What belongs to somebody in a section, by name."""
    query = select(TABLE).where(TABLE.c.workspace_id == scope.workspace_id, TABLE.c.section == section)
    return {row["name"]: dict(row) for row in tx.conn.execute(query).mappings()}


def of_project(tx: Tx, scope: Scope, project: str) -> list[dict[str, Any]]:
    """What belongs to a project."""
    query = select(TABLE).where(TABLE.c.workspace_id == scope.workspace_id, TABLE.c.project == project)
    return [dict(row) for row in tx.conn.execute(query.order_by(TABLE.c.section, TABLE.c.name)).mappings()]


def claim(tx: Tx, scope: Scope, project: str, section: str, name: str, item_id: Id, refs: Mapping[str, Any]) -> None:
    """Say that something belongs to a project from now on."""
    known = find(tx, scope, section, name)
    row = {
        "workspace_id": scope.workspace_id, "section": section, "name": name, "project": project, "item_id": item_id,
        "secret_refs": dict(refs), "created_at": known["created_at"] if known else tx.now, "updated_at": tx.now,
    }  # fmt: skip
    tx.upsert(TABLE, row, keys=["workspace_id", "section", "name"])


def forget(tx: Tx, scope: Scope, section: str, name: str) -> None:
    """Say that it belongs to nobody."""
    tx.conn.execute(delete(TABLE).where(*_one(scope, section, name)))


def _one(scope: Scope, section: str, name: str) -> tuple[Any, ...]:
    return (TABLE.c.workspace_id == scope.workspace_id, TABLE.c.section == section, TABLE.c.name == name)
