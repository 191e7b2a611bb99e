"""Artifacts: written once for each step that makes one, listed, removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, delete, select

from hub.errors import NotFoundError
from hub.store import events, kept, raw
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import Artifact
from hub.types import Id, Micros, Scope

TABLE = Artifact.__table__
KINDS = ("table", "markdown", "link", "image", "progress")
_LISTED = tuple(column for column in TABLE.c if column.name != "content")


def put(tx: Tx, scope: Scope, row: Mapping[str, Any]) -> None:
    """Write an artifact; where its step has been here before, the same artifact as it is now."""
    known = find(tx, scope, row["id"])
    tx.wake("artifacts")
    if known is None:
        tx.insert(TABLE, {**row, "workspace_id": scope.workspace_id, "created_at": tx.now, "updated_at": tx.now})
        _tell(tx, scope, "hub.artifact.created", row)
    elif (known["digest"], known["description"]) == (row["digest"], row["description"]):
        kept.leave(tx, scope.workspace_id, row["content"], row["content_format"])
    else:
        kept.leave(tx, scope.workspace_id, known["content"], known["content_format"])
        names = ("content", "content_format", "digest", "size", "description")
        values = {name: row[name] for name in names}
        raw.put(tx, TABLE, {**values, "updated_at": tx.now}, {"number": known["number"]})
        _tell(tx, scope, "hub.artifact.updated", row)


def progress(tx: Tx, scope: Scope, artifact_id: Id, values: Mapping[str, Any], *, done: bool) -> None:
    """Move a progress bar; only its end is an event, the way there would be too many."""
    where = {"id": artifact_id, "workspace_id": scope.workspace_id, "kind": "progress"}
    raw.put(tx, TABLE, {**values, "updated_at": tx.now}, where)
    tx.wake("artifacts")
    if done:
        row = find(tx, scope, artifact_id)
        if row is not None:
            _tell(tx, scope, "hub.artifact.updated", row)


def find(tx: Tx, scope: Scope, artifact_id: Id) -> dict[str, Any] | None:
    """An artifact by its id."""
    where = {"id": artifact_id, "workspace_id": scope.workspace_id}
    return raw.select_one(tx, TABLE, raw.names_of(TABLE), where)


def get(tx: Tx, scope: Scope, artifact_id: Id) -> dict[str, Any]:
    """The same; raises NotFoundError."""
    row = find(tx, scope, artifact_id)
    if row is None:
        raise NotFoundError(
            f"there is no artifact {artifact_id} in this workspace", hint="`hub artifacts ls` lists them."
        )
    return row


def listing(
    tx: Tx,
    scope: Scope,
    *,
    key: str | None = None,
    kind: str | None = None,
    run_id: Id | None = None,
    latest: bool = False,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[dict[str, Any]]:
    """Artifacts without their content, newest first; `latest`: of each key only the newest."""
    query = select(*_LISTED).where(TABLE.c.workspace_id == scope.workspace_id)
    for name, value in (("key", key), ("kind", kind), ("run_id", run_id)):
        if value is not None:
            query = query.where(TABLE.c[name] == value)
    if latest:
        query = query.where(_newest())
    return page(tx, query, TABLE.c.number, limit=limit, cursor=cursor, make=dict)


def of_run(tx: Tx, scope: Scope, run_id: Id, *, limit: int) -> list[dict[str, Any]]:
    """The artifacts of a run with what stands in their rows, in the order in which they were made."""
    query = select(TABLE).where(TABLE.c.run_id == run_id, TABLE.c.workspace_id == scope.workspace_id)
    return [dict(row) for row in tx.conn.execute(query.order_by(TABLE.c.number).limit(limit)).mappings()]


def remove(tx: Tx, scope: Scope, artifact_id: Id) -> dict[str, Any] | None:
    """Delete an artifact; None when there was none."""
    row = find(tx, scope, artifact_id)
    if row is not None:
        _remove(tx, TABLE.c.number == row["number"])
    return row


def trim(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove what was last written before then. How many went."""
    some = select(TABLE.c.number).where(TABLE.c.updated_at < before).order_by(TABLE.c.updated_at).limit(limit)
    return _remove(tx, TABLE.c.number.in_(list(tx.conn.execute(some).scalars())))


def _remove(tx: Tx, where: ColumnElement[bool]) -> int:
    back = (TABLE.c.workspace_id, TABLE.c.content.label("result"), TABLE.c.content_format.label("result_format"))
    rows = [dict(row) for row in tx.conn.execute(delete(TABLE).where(where).returning(*back)).mappings()]
    kept.leave_all(tx, rows)
    return len(rows)


def _newest() -> ColumnElement[bool]:
    """That there is no later one of the same key."""
    later = TABLE.alias("later")
    same = (later.c.workspace_id == TABLE.c.workspace_id, later.c.key == TABLE.c.key)
    return ~select(later.c.number).where(*same, later.c.number > TABLE.c.number).exists()


def _tell(tx: Tx, scope: Scope, type_: str, row: Mapping[str, Any]) -> None:
    names = ("kind", "key", "flow_name", "task_name", "task_run_id", "description")
    events.append(
        tx, scope, type_, subject=row["id"], run_id=row["run_id"], **{name: row[name] for name in names}
    )  # fmt: skip
