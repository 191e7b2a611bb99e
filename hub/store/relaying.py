"""Receipts of ordered sources that are not events yet: they become events one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from hub.store import raw
from hub.store.base import Tx
from hub.store.effects import HELD, MAX_TRIES
from hub.store.effects import TABLE as EFFECTS
from hub.store.tables import Receipt, Source
from hub.types import Id

RECEIPTS = Receipt.__table__
SOURCES = Source.__table__


@dataclass(frozen=True, slots=True)
class About:
    """What is to be known of a receipt before it is read. `body_size` in bytes."""

    source_id: Id
    body_size: int
    is_ordered: bool


def about(tx: Tx, receipt_ids: Sequence[Id]) -> dict[Id, About]:
    """By the ids of some receipts; those past their retention are not in it."""
    found: dict[Id, About] = {}
    for guard, some in raw.among("r.id", receipt_ids):
        for receipt_id, source_id, body_size, order_by in raw.fetch(tx, f"{_ABOUT} WHERE {guard}", some):
            found[receipt_id] = About(source_id, body_size, order_by != "")
    return found


_ABOUT = "SELECT r.id, r.source_id, r.body_size, s.order_by FROM receipts r JOIN sources s ON s.id = r.source_id"


def given(tx: Tx, effects: Sequence[Mapping[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]] | None]:
    """Of each outbox row its source, deleted or not, and its receipt with its bytes; None when that has become events,
    or is past its retention."""
    asked = [
        raw.ask_rows(
            tx, RECEIPTS, raw.names_of(RECEIPTS),
            {"id": row["payload"]["receipt_id"], "workspace_id": row["workspace_id"]}, guard="processed_at IS NULL",
        )
        for row in effects
    ]  # fmt: skip
    # Of all of them and in the same round trip.
    theirs = "id IN (SELECT source_id FROM receipts WHERE {})"
    known = [
        raw.ask_rows(tx, SOURCES, raw.names_of(SOURCES), {}, guard=theirs.format(guard), also=some)
        for guard, some in raw.among("id", [row["payload"]["receipt_id"] for row in effects])
    ]
    found = [next(iter(one.all()), None) for one in asked]
    sources = {row["id"]: row for rows in known for row in rows.all()}
    return [
        None if row is None or row["source_id"] not in sources else (sources[row["source_id"]], row) for row in found
    ]


def until(tx: Tx, source_id: Id, last: Id) -> list[dict[str, Any]]:
    """The outbox rows of a source's receipts before the last that are no events yet, each with the receipt's
    `body_size`, in the order of arrival.

    Those that wait to be tried again are among them, those on their last try are not: one that never succeeds is
    given up, and must not take those behind it along.
    """
    query = (
        select(EFFECTS, RECEIPTS.c.body_size)
        .join(RECEIPTS, RECEIPTS.c.id == EFFECTS.c.id)
        .where(
            EFFECTS.c.kind == "receipt", EFFECTS.c.done_at.is_(None), EFFECTS.c.dead_at.is_(None),
            EFFECTS.c.due_at < HELD, EFFECTS.c.tries < MAX_TRIES, EFFECTS.c.id < last,
            RECEIPTS.c.source_id == source_id, RECEIPTS.c.processed_at.is_(None),
        )
        .order_by(EFFECTS.c.id)
    )  # fmt: skip
    return [dict(row) for row in tx.conn.execute(query).mappings()]
