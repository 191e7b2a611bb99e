"""Sources that should be heard of: since when each was silent, and whether that is an alarm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import and_, or_, select, update

from hub.store.base import Tx
from hub.store.sources import TABLE
from hub.store.tables import Receipt
from hub.types import SECOND, Id, Micros, first_id

RECEIPTS = Receipt.__table__
WATCHED = and_(
    TABLE.c.alert_after_s > 0, TABLE.c.enabled.is_(True), TABLE.c.deleted_at.is_(None), TABLE.c.paused_at.is_(None)
)
HEARD = ("accepted", "observed")
LATE = 60 * SECOND
"""How much later than its id says a receipt may be committed."""


def is_waiting(source: Mapping[str, Any]) -> bool:
    """Whether a source whose alarm is on is still watched, and not counted anew since."""
    rests = source["deleted_at"] is not None or source["paused_at"] is not None
    is_watched = bool(source["alert_after_s"] and source["enabled"] and not rests)
    return is_watched and int(source["heard_at"]) < int(source["silent_at"])


def to_look_at(tx: Tx, *, after: Id, limit: int) -> list[dict[str, Any]]:
    """Sources that have been silent for long enough to look, and those whose alarm is on; `after` an id."""
    quiet = and_(WATCHED, TABLE.c.silent_at.is_(None), TABLE.c.heard_at + TABLE.c.alert_after_s * SECOND <= tx.now)
    query = select(TABLE).where(TABLE.c.id > after, or_(quiet, TABLE.c.silent_at.is_not(None)))
    query = query.order_by(TABLE.c.id).limit(limit)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def last_heard(tx: Tx, source: Mapping[str, Any], *, since: Micros) -> Micros | None:
    """When the newest request since then came that started something and is no replay."""
    query = (
        select(RECEIPTS.c.received_at)
        .where(
            RECEIPTS.c.workspace_id == source["workspace_id"], RECEIPTS.c.source_id == source["id"],
            RECEIPTS.c.id >= first_id(since - LATE), RECEIPTS.c.received_at > since,
            RECEIPTS.c.verdict.in_(HEARD), RECEIPTS.c.replay_of.is_(None),
        )
        .order_by(RECEIPTS.c.id.desc())
        .limit(1)
    )  # fmt: skip
    found = tx.conn.execute(query).scalar()
    return None if found is None else int(found)


def note(tx: Tx, seen: Mapping[str, Any], *, heard_at: Micros, silent_at: Micros | None) -> bool:
    """Note what a look came to; False when the source was changed or looked at by another meanwhile.

    Doors need not know of it, so `updated_at` stays.
    """
    same = [TABLE.c[name].is_not_distinct_from(seen[name]) for name in ("heard_at", "silent_at", "updated_at")]
    values = {"heard_at": heard_at, "silent_at": silent_at}
    return bool(tx.conn.execute(update(TABLE).where(TABLE.c.id == seen["id"], *same).values(**values)).rowcount)
