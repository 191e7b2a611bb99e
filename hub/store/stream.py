"""The stream of stamped events: where it ends, where it begins since old ones were removed, and its epoch.

Positions are dense: an event's `seq` is the one before plus 1, and its `hash` chains to the one before. The end is
kept beside the events, so that it stays known when retention has removed them all. The epoch is random and changes
when a peer proves that this database was restored from a backup: history was rewritten from there on.
"""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, replace

from sqlalchemy import bindparam, delete, func, select, update

from hub import events as catalog
from hub.store.base import Tx
from hub.store.tables import Event, Link, SiteValue
from hub.types import Id, Micros

EVENTS = Event.__table__  # type: ignore[attr-defined]
LINKS = Link.__table__  # type: ignore[attr-defined]
VALUES = SiteValue.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Stream:
    """The stream's ends: events after `base_seq` up to `seq` are here. Empty hash: before the first event."""

    epoch: str
    seq: int = 0
    hash: str = ""
    base_seq: int = 0
    base_hash: str = ""


def read(tx: Tx) -> Stream:
    """The stream as it stands; epoch empty as long as nothing was ever stamped."""
    value = tx.conn.execute(select(VALUES.c.value).where(VALUES.c.name == "stream")).scalar()
    return Stream("") if value is None else Stream(**value)


def site_id(tx: Tx) -> Id:
    """Who this installation is, to a plane; minted at the first use (needs a writing transaction then)."""
    found = tx.conn.execute(select(VALUES.c.value).where(VALUES.c.name == "site_id")).scalar()
    if found is None:
        tx.insert_ignore(VALUES, {"name": "site_id", "value": str(uuid.uuid4())})
        found = tx.conn.execute(select(VALUES.c.value).where(VALUES.c.name == "site_id")).scalar()
    return str(found)


def stamp(tx: Tx, *, limit: int = 1000) -> int:
    """Give committed events without a position theirs, and say how many. Only the sequencer calls this."""
    columns = [EVENTS.c[name] for name in catalog.CHAINED]
    query = select(*columns).where(EVENTS.c.seq.is_(None)).order_by(EVENTS.c.id).limit(limit)
    rows = _by_version([dict(row) for row in tx.conn.execute(query).mappings()])
    if not rows:
        return 0
    ends = begin(tx)
    seq, hash_ = ends.seq, ends.hash
    stamps = []
    for row in rows:
        seq, hash_ = seq + 1, catalog.chain(hash_, catalog.digest(row))
        stamps.append({"row": row["id"], "position": seq, "chained": hash_})
    tx.conn.execute(_STAMP, stamps)
    save(tx, replace(ends, seq=seq, hash=hash_))
    tx.wake("events")
    return len(rows)


_STAMP = (
    update(EVENTS).where(EVENTS.c.id == bindparam("row")).values(seq=bindparam("position"), hash=bindparam("chained"))
)


def _by_version(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Order by id, but a run's events among themselves by its version: hosts' clocks differ, versions do not."""
    places: dict[object, list[int]] = {}
    for place, row in enumerate(rows):
        if row["run_id"] is not None and "version" in row["body"]:  # type: ignore[operator]
            places.setdefault(row["run_id"], []).append(place)
    ordered = list(rows)
    for own in places.values():
        same = sorted((rows[place] for place in own), key=lambda row: row["body"]["version"])  # type: ignore[index]
        for place, row in zip(own, same, strict=True):
            ordered[place] = row
    return ordered


def begin(tx: Tx) -> Stream:
    """The stream, with an epoch: its first is minted here."""
    ends = read(tx)
    if not ends.epoch:
        ends = replace(ends, epoch=str(uuid.uuid4()))
        save(tx, ends)
    return ends


def renew_epoch(tx: Tx) -> Stream:
    """Mint a new epoch: a peer knows a history that is not ours."""
    ends = replace(read(tx), epoch=str(uuid.uuid4()))
    save(tx, ends)
    return ends


def save(tx: Tx, ends: Stream) -> None:
    """Keep the stream's ends."""
    tx.upsert(VALUES, {"name": "stream", "value": asdict(ends)}, keys=["name"])


def hash_at(tx: Tx, seq: int) -> str | None:
    """The hash of the stream at a position; None when it is not known here (removed, or never reached)."""
    ends = read(tx)
    if seq in (ends.seq, ends.base_seq):
        return ends.hash if seq == ends.seq else ends.base_hash
    found: str | None = tx.conn.execute(select(EVENTS.c.hash).where(EVENTS.c.seq == seq)).scalar()
    return found


def trim(tx: Tx, *, before: Micros, limit: int = 5000) -> int:
    """Remove up to `limit` of the oldest events from before that time which every link has delivered.

    Gives how many. A link that never had anything acknowledged starts with a snapshot and holds nothing back.
    """
    ends = read(tx)
    wanted = select(func.min(LINKS.c.acked_seq)).where(LINKS.c.disconnected_at.is_(None))
    slowest: int | None = tx.conn.execute(wanted).scalar()
    last = min(ends.seq if slowest is None else slowest, ends.seq, ends.base_seq + limit)
    # The stream is removed from its old end only: it stays dense, whatever the clocks said.
    young = select(func.min(EVENTS.c.seq)).where(EVENTS.c.seq <= last, EVENTS.c.at >= before)
    keep: int | None = tx.conn.execute(young).scalar()
    last = last if keep is None else keep - 1
    if last <= ends.base_seq:
        return 0
    base_hash = hash_at(tx, last)
    assert base_hash is not None
    tx.conn.execute(delete(EVENTS).where(EVENTS.c.seq <= last))
    save(tx, replace(ends, base_seq=last, base_hash=base_hash))
    return last - ends.base_seq
