"""Receipts: every request that came in, and the keys by which a second one is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import bindparam, delete, func, select, tuple_, update

from hub.errors import NotFoundError
from hub.store.base import Tx
from hub.store.bulk import execute, insert_rows, mark
from hub.store.pages import Page, page
from hub.store.tables import Receipt, ReceiptKey, Source
from hub.types import SECOND, Id, Micros, Scope

TABLE = Receipt.__table__  # type: ignore[attr-defined]
KEYS = ReceiptKey.__table__  # type: ignore[attr-defined]
SOURCES = Source.__table__  # type: ignore[attr-defined]
_OVER_EXPIRED = (
    "ON CONFLICT (source_id, key) DO UPDATE SET receipt_id = excluded.receipt_id, expires_at = excluded.expires_at"
    " WHERE receipt_keys.expires_at <= "
)
_SUMMARY = tuple(column for column in TABLE.c if column.name not in ("body", "headers"))
_COUNT = (
    update(TABLE).where(TABLE.c.id == bindparam("receipt")).values(duplicates=TABLE.c.duplicates + bindparam("more"))
)


def find(tx: Tx, scope: Scope, receipt_id: Id) -> dict[str, Any] | None:
    """One receipt with its bytes, or None."""
    query = select(TABLE).where(TABLE.c.id == receipt_id, TABLE.c.workspace_id == scope.workspace_id)
    found = tx.conn.execute(query).mappings().first()
    return None if found is None else dict(found)


def row(tx: Tx, scope: Scope, receipt_id: Id) -> dict[str, Any]:
    """One receipt with its bytes. Raises NotFoundError."""
    found = find(tx, scope, receipt_id)
    if found is None:
        raise NotFoundError(
            f"there is no receipt {receipt_id} in this workspace", hint="`hub webhooks receipts` lists them."
        )
    return found


def listing(
    tx: Tx,
    scope: Scope,
    *,
    source_id: Id | None = None,
    verdict: str = "",
    limit: int = 50,
    cursor: str | None = None,
) -> Page[dict[str, Any]]:
    """Receipts without bytes and headers, newest first."""
    query = select(*_SUMMARY).where(TABLE.c.workspace_id == scope.workspace_id)
    if source_id is not None:
        query = query.where(TABLE.c.source_id == source_id)
    if verdict:
        query = query.where(TABLE.c.verdict == verdict)
    return page(tx, query, TABLE.c.id, limit=limit, cursor=cursor, make=dict)


def last_at(tx: Tx, source_ids: list[Id]) -> dict[Id, Micros]:
    """When each source last got a request."""
    if not source_ids:
        return {}
    newest = select(TABLE.c.source_id, func.max(TABLE.c.id).label("id")).where(TABLE.c.source_id.in_(source_ids))
    chosen = newest.group_by(TABLE.c.source_id).subquery()
    query = select(TABLE.c.source_id, TABLE.c.received_at).join(chosen, TABLE.c.id == chosen.c.id)
    return {found.source_id: found.received_at for found in tx.conn.execute(query)}


_BLANK: dict[str, Any] = {
    "method": "POST", "query": "", "headers": [], "body": None, "body_size": 0, "remote": "", "verdict": "accepted",
    "reason": "", "secret_id": None, "event_type": None, "delivery_id": None, "duplicate_of": None, "replay_of": None,
    "answer_status": 202, "duplicates": 0, "processed_at": None, "events": 0, "error": None,
}  # fmt: skip


def complete(row: Mapping[str, Any]) -> dict[str, Any]:
    """A receipt with every column, as `insert` wants it; ids and `received_at` must be given."""
    return {**_BLANK, **row}


def insert(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Write receipts, all complete."""
    insert_rows(tx, TABLE, rows)


def known(tx: Tx, keys: Iterable[tuple[Id, str]]) -> dict[tuple[Id, str], Id]:
    """Which of the keys (source, key) were seen inside their window, and by which receipt."""
    by_source: dict[Id, list[str]] = {}
    for source_id, key in keys:
        by_source.setdefault(source_id, []).append(key)
    found: dict[tuple[Id, str], Id] = {}
    one = mark(tx.dialect)
    for source_id, wanted in by_source.items():
        marks = ", ".join([one] * len(wanted))
        text = (
            "SELECT key, receipt_id FROM receipt_keys"  # noqa: S608 - only parameter marks are put in
            f" WHERE source_id = {one} AND expires_at > {one} AND key IN ({marks})"
        )
        for key, receipt_id in execute(tx, text, (source_id, tx.now, *wanted)):
            found[source_id, key] = receipt_id
    return found


def claim_keys(tx: Tx, rows: list[dict[str, Any]]) -> bool:
    """Write dedupe keys, over expired ones. False when somebody else holds one of them: roll back and look again."""
    # In one order everywhere, so that two writers cannot wait for each other.
    ordered = sorted(rows, key=lambda key: (key["source_id"], key["key"]))
    suffix = _OVER_EXPIRED + mark(tx.dialect)
    return insert_rows(tx, KEYS, ordered, suffix=suffix, also=(tx.now,)) == len(rows)


def count_duplicates(tx: Tx, counts: Mapping[Id, int]) -> None:
    """Count repeated requests on the receipts of the first ones."""
    if counts:
        tx.conn.execute(_COUNT, [{"receipt": receipt, "more": more} for receipt, more in sorted(counts.items())])


def settle(tx: Tx, receipt_id: Id, *, events: int = 0, error: str | None = None) -> bool:
    """Note that a receipt became events, or why it could not; False when that was noted before."""
    where = (TABLE.c.id == receipt_id, TABLE.c.processed_at.is_(None))
    values = {"processed_at": tx.now, "events": events, "error": error}
    return bool(tx.conn.execute(update(TABLE).where(*where).values(**values)).rowcount)


def trim(tx: Tx, *, limit: int = 1_000) -> int:
    """Delete receipts that are older than their source keeps them, the oldest first; returns how many."""
    gone = 0
    for source in tx.conn.execute(select(SOURCES.c.id, SOURCES.c.keep_s)).all():
        oldest = select(TABLE.c.id, TABLE.c.received_at).where(TABLE.c.source_id == source.id)
        found = tx.conn.execute(oldest.order_by(TABLE.c.id).limit(limit)).all()
        old = [hit.id for hit in found if hit.received_at < tx.now - source.keep_s * SECOND]
        if old:
            gone += tx.conn.execute(delete(TABLE).where(TABLE.c.id.in_(old))).rowcount
    return gone


def forget_keys(tx: Tx, *, limit: int = 1_000) -> int:
    """Delete dedupe keys whose window is over; returns how many."""
    old = select(KEYS.c.source_id, KEYS.c.key).where(KEYS.c.expires_at <= tx.now).limit(limit)
    return tx.conn.execute(delete(KEYS).where(tuple_(KEYS.c.source_id, KEYS.c.key).in_(old))).rowcount
