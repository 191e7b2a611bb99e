"""Schemas of a source's payloads by event type, and where payloads departed from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import delete, func, select

from hub.errors import ConflictError, NotFoundError
from hub.store import raw
from hub.store.base import Tx
from hub.store.tables import SourceDrift, SourceSchema
from hub.types import Id, Micros, derived_id

TABLE = SourceSchema.__table__
DRIFTS = SourceDrift.__table__
MAX_SCHEMAS = 200
MAX_DRIFTS = 500
"""Of a source; what comes beyond is not noted."""
Place = tuple[str, str, str]
"""Event type, path and kind of a departure."""


def put(tx: Tx, source: Mapping[str, Any], event_type: str, schema: str) -> None:
    """Keep the schema of a type, in place of the one it had; what departed from that is forgotten.

    Raises ConflictError when there are too many.
    """
    count = select(func.count()).where(TABLE.c.source_id == source["id"], TABLE.c.event_type != event_type)
    if tx.conn.execute(count).scalar_one() >= MAX_SCHEMAS:
        raise ConflictError(f"the source {source['name']} has {MAX_SCHEMAS} schemas, more it cannot have")
    row = {
        "id": derived_id(source["id"], "schema", event_type), "workspace_id": source["workspace_id"],
        "source_id": source["id"], "event_type": event_type, "document": schema, "updated_at": tx.now,
    }  # fmt: skip
    tx.upsert(TABLE, row, keys=["id"])
    _forget(tx, source["id"], event_type)


def remove(tx: Tx, source: Mapping[str, Any], event_type: str) -> None:
    """Remove the schema of a type. Raises NotFoundError."""
    where = (TABLE.c.source_id == source["id"], TABLE.c.event_type == event_type)
    if not tx.conn.execute(delete(TABLE).where(*where)).rowcount:
        raise _unknown(source, event_type)
    _forget(tx, source["id"], event_type)


def remove_all(tx: Tx, source_id: Id) -> None:
    """Remove all schemas of a source, and all departures."""
    for table in (TABLE, DRIFTS):
        tx.conn.execute(delete(table).where(table.c.source_id == source_id))


def get(tx: Tx, source: Mapping[str, Any], event_type: str) -> dict[str, Any]:
    """The schema of a type. Raises NotFoundError."""
    where = (TABLE.c.source_id == source["id"], TABLE.c.event_type == event_type)
    found = tx.conn.execute(select(TABLE).where(*where)).mappings().first()
    if found is None:
        raise _unknown(source, event_type)
    return dict(found)


def listing(tx: Tx, source_id: Id) -> list[dict[str, Any]]:
    """The types of a source that have schemas: type, bytes, when it was set, and how many departures are known."""
    known = select(func.count()).where(
        DRIFTS.c.source_id == TABLE.c.source_id,
        (DRIFTS.c.event_type == TABLE.c.event_type) | (TABLE.c.event_type == "*"),
    )
    columns = (TABLE.c.event_type, func.length(TABLE.c.document).label("bytes"), TABLE.c.updated_at)
    query = select(*columns, known.scalar_subquery().label("drifts")).where(TABLE.c.source_id == source_id)
    return [dict(row) for row in tx.conn.execute(query.order_by(TABLE.c.event_type)).mappings()]


def texts(tx: Tx, source_id: Id, types: Collection[str] | None = None) -> dict[str, str]:
    """The schemas of these types as they were written; None: of all."""
    query = select(TABLE.c.event_type, TABLE.c.document).where(TABLE.c.source_id == source_id)
    query = query if types is None else query.where(TABLE.c.event_type.in_(list(types)))
    return {row.event_type: row.document for row in tx.conn.execute(query)}


def note(tx: Tx, source: Mapping[str, Any], receipt_id: Id, counts: Mapping[Place, tuple[int, str]]) -> list[Place]:
    """Count departures, each with its detail; gives those that are new. No more than 500 of a source are kept."""
    query = select(DRIFTS.c.event_type, DRIFTS.c.path, DRIFTS.c.kind).where(DRIFTS.c.source_id == source["id"])
    known = {(row.event_type, row.path, row.kind) for row in tx.conn.execute(query)}
    new = [place for place in counts if place not in known][: max(0, MAX_DRIFTS - len(known))]
    for place in new:
        event_type, path, kind = place
        row = {
            "id": _id(source["id"], place), "workspace_id": source["workspace_id"], "source_id": source["id"],
            "event_type": event_type, "path": path, "kind": kind, "detail": counts[place][1], "count": 0,
            "first_at": tx.now, "last_at": tx.now, "receipt_id": receipt_id,
        }  # fmt: skip
        tx.insert_missing(DRIFTS, row)
    for place, (count, detail) in sorted(counts.items()):
        values = (count, tx.now, detail, receipt_id, _id(source["id"], place))
        raw.ask(tx, _COUNT, values)
    return new


_COUNT = "UPDATE source_drifts SET count = count + ?, last_at = ?, detail = ?, receipt_id = ? WHERE id = ?"


def drifts(tx: Tx, source_id: Id, *, event_type: str | None = None) -> list[dict[str, Any]]:
    """Departures of a source's payloads, the last seen first."""
    query = select(DRIFTS).where(DRIFTS.c.source_id == source_id)
    query = query if event_type is None else query.where(DRIFTS.c.event_type == event_type)
    return [dict(row) for row in tx.conn.execute(query.order_by(DRIFTS.c.last_at.desc(), DRIFTS.c.id)).mappings()]


def trim(tx: Tx, *, before: Micros, limit: int) -> int:
    """Forget departures that were not seen since then."""
    old = select(DRIFTS.c.id).where(DRIFTS.c.last_at < before).limit(limit)
    return tx.conn.execute(delete(DRIFTS).where(DRIFTS.c.id.in_(old))).rowcount


def _forget(tx: Tx, source_id: Id, event_type: str) -> None:
    same = () if event_type == "*" else (DRIFTS.c.event_type == event_type,)
    tx.conn.execute(delete(DRIFTS).where(DRIFTS.c.source_id == source_id, *same))


def _id(source_id: Id, place: Place) -> Id:
    return derived_id(source_id, "drift", *place)


def _unknown(source: Mapping[str, Any], event_type: str) -> NotFoundError:
    return NotFoundError(
        f"the source {source['name']} has no schema of {event_type!r}", hint="`hub webhooks catalog ls` lists them."
    )
