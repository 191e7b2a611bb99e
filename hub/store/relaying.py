"""Receipts of ordered sources that are not events yet: they become events one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from hub.store.base import Tx
from hub.store.effects import HELD, MAX_TRIES
from hub.store.effects import TABLE as EFFECTS
from hub.store.tables import Receipt, Source
from hub.types import Id

RECEIPTS = Receipt.__table__
SOURCES = Source.__table__


def ordered(tx: Tx, receipt_ids: Sequence[Id]) -> dict[Id, Id]:
    """The ordered sources of some receipts, each with its last receipt among them."""
    query = (
        select(RECEIPTS.c.source_id, func.max(RECEIPTS.c.id).label("last"))
        .join(SOURCES, SOURCES.c.id == RECEIPTS.c.source_id)
        .where(RECEIPTS.c.id.in_(receipt_ids), SOURCES.c.order_by != "")
        .group_by(RECEIPTS.c.source_id)
    )
    return {row.source_id: row.last for row in tx.conn.execute(query)}


def sources_of(tx: Tx, receipt_ids: Sequence[Id]) -> dict[Id, Id]:
    """Whose some receipts are."""
    query = select(RECEIPTS.c.id, RECEIPTS.c.source_id).where(RECEIPTS.c.id.in_(receipt_ids))
    return {row.id: row.source_id for row in tx.conn.execute(query)}


def until(tx: Tx, source_id: Id, last: Id) -> list[dict[str, Any]]:
    """The outbox rows of a source's receipts before the last that are no events yet, in the order of arrival.

    Those that wait to be tried again are among them, those on their last try are not: one that never succeeds is
    given up, and must not take those behind it along.
    """
    query = (
        select(EFFECTS)
        .join(RECEIPTS, RECEIPTS.c.id == EFFECTS.c.id)
        .where(
            EFFECTS.c.kind == "receipt", EFFECTS.c.done_at.is_(None), EFFECTS.c.dead_at.is_(None),
            EFFECTS.c.due_at < HELD, EFFECTS.c.tries < MAX_TRIES, EFFECTS.c.id < last,
            RECEIPTS.c.source_id == source_id, RECEIPTS.c.processed_at.is_(None),
        )
        .order_by(EFFECTS.c.id)
    )  # fmt: skip
    return [dict(row) for row in tx.conn.execute(query).mappings()]
