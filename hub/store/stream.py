"""The stream of stamped events: where it ends, where it begins since old ones were removed, and its epoch.

Positions are dense: an event's `seq` is the one before plus 1, and its `hash` chains to the one before. The end is
kept beside the events, so that it stays known when retention has removed them all. The epoch is random and changes
when a peer proves that this database was restored from a backup: history was rewritten from there on.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

from sqlalchemy import delete, func, select

from hub import events as catalog
from hub.store import exporting, raw
from hub.store.base import Tx
from hub.store.tables import Event, Link, SiteValue
from hub.types import Id, Micros

EVENTS = Event.__table__
LINKS = Link.__table__
VALUES = SiteValue.__table__


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
    return _known(_ask(tx))


def _ask(tx: Tx) -> raw.Rows:
    return raw.ask_rows(tx, VALUES, ("value",), {"name": "stream"})


def _known(asked: raw.Rows) -> Stream:
    found = asked.all()
    return Stream(**found[0]["value"]) if found else Stream("")


def site_id(tx: Tx) -> Id:
    """Who this installation is, to a plane; minted at the first use (needs a writing transaction then)."""
    found = tx.conn.execute(select(VALUES.c.value).where(VALUES.c.name == "site_id")).scalar()
    if found is None:
        tx.insert_missing(VALUES, {"name": "site_id", "value": str(uuid.uuid4())})
        found = tx.conn.execute(select(VALUES.c.value).where(VALUES.c.name == "site_id")).scalar()
    return str(found)


def unstamped(tx: Tx) -> bool:
    """Whether there are events without a position."""
    return bool(raw.fetch(tx, "SELECT id FROM events WHERE seq IS NULL LIMIT 1"))


def stamp(tx: Tx, *, holds: Callable[[], object] | None = None, limit: int = 1000) -> int:
    """Give committed events without a position theirs, and say how many. Only the sequencer calls this; `holds` says
    whether it has the lock that it has asked for in this transaction: with None nothing happens."""
    asked, policies, columns = _ask(tx), exporting.ask_policies(tx), (*catalog.CHAINED, "workspace_id")
    unstamped_ = raw.ask_rows(tx, EVENTS, columns, {}, guard="seq IS NULL", tail=f"ORDER BY id LIMIT {int(limit)}")
    if holds is not None and holds() is None:
        return 0
    found, policy = unstamped_.all(), policies()
    if not found:
        return 0
    rows = _in_order(found + (_left_out(tx, found, columns) if len(found) == limit else []))
    if policy:
        exporting.let_out(tx, rows, policy)
    ends = _begun(tx, _known(asked))
    seq, hash_ = ends.seq, ends.hash
    stamps = []
    for row in rows:
        seq, hash_ = seq + 1, catalog.chain(hash_, catalog.digest(row))
        stamps.append((seq, hash_, row["id"]))
    if tx.dialect == "postgresql":
        # One statement: for each row one it would cost the server more than the rows.
        raw.execute(tx, _STAMP_ALL, tuple(list(column) for column in zip(*stamps, strict=True)))
    else:
        raw.execute_many(tx, _STAMP, stamps)
    for row in rows:
        changed = {name: row[name] for name in row.get("clean", ())} | ({"more": row["more"]} if "more" in row else {})
        if changed:
            raw.put(tx, EVENTS, changed, {"id": row["id"]})
    save(tx, replace(ends, seq=seq, hash=hash_))
    tx.wake("events")
    return len(rows)


_STAMP = "UPDATE events SET seq = ?, hash = ? WHERE id = ?"
_STAMP_ALL = (
    "UPDATE events SET seq = given.seq, hash = given.hash "
    "FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS given (seq, hash, id) WHERE events.id = given.id"
)


_Row: TypeAlias = dict[str, Any]


def _in_order(rows: list[_Row]) -> list[_Row]:
    """Order by id, but two kinds among themselves by what says more: a run's events by its version, because hosts'
    clocks differ and versions do not; what a source sent by when its request was dealt with, because the ids of a
    batch's items are digests."""
    ordered = list(rows)
    for places, key in ((_of_runs(rows), _version), (_of_sources(rows), _dealt_with)):
        for own in places.values():
            for place, row in zip(own, sorted((rows[place] for place in own), key=key), strict=True):
                ordered[place] = row
    return ordered


def _left_out(tx: Tx, rows: list[_Row], columns: tuple[str, ...]) -> list[_Row]:
    """What comes before others of an ordered source and is not among the rows, since the ids of a batch's items are
    digests: what is stamped must not overtake it."""
    last: dict[str, int] = {}
    for row in rows:
        if "order_no" in row["body"] and row["id"][14] != "7":
            last[row["subject"]] = max(last.get(row["subject"], 0), row["body"]["order_no"])
    known = {row["id"] for row in rows}
    found: list[_Row] = []
    for subject, number in last.items():
        same = raw.select_rows(tx, EVENTS, columns, {"subject": subject}, guard="seq IS NULL")
        found += [row for row in same if row["id"] not in known and row["body"].get("order_no", number) < number]
    return found


def _of_runs(rows: list[_Row]) -> dict[Id, list[int]]:
    places: dict[Id, list[int]] = {}
    for place, row in enumerate(rows):
        if row["run_id"] is not None and "version" in row["body"]:
            places.setdefault(row["run_id"], []).append(place)
    return places


def _of_sources(rows: list[_Row]) -> dict[Id, list[int]]:
    places: dict[Id, list[int]] = {}
    for place, row in enumerate(rows):
        if "source_id" in row["body"] and "index" in row["body"]:
            places.setdefault(row["body"]["source_id"], []).append(place)
    return places


def _version(row: _Row) -> int:
    return int(row["body"]["version"])


def _dealt_with(row: _Row) -> tuple[int, Micros, int]:
    # Of an ordered source it is counted from the first one on; clocks of several hosts differ.
    return row["body"].get("order_no", 0), row["at"], row["body"]["index"]


def begin(tx: Tx) -> Stream:
    """The stream, with an epoch: its first is minted here."""
    return _begun(tx, read(tx))


def _begun(tx: Tx, ends: Stream) -> Stream:
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
    found = raw.fetch(tx, "SELECT hash FROM events WHERE seq = ?", (seq,))
    return str(found[0][0]) if found else None


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
