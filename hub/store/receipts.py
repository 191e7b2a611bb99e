"""Receipts: every request that came in, and the keys by which a second one is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam, delete, func, literal_column, select, tuple_, update

from hub.errors import NotFoundError
from hub.store.base import Tx
from hub.store.raw import CHUNK, Dialect, change, copy_rows, execute, insert_rows, mark, names_of, select_one
from hub.store.tables import Bookmark, Effect, Receipt, ReceiptKey, Source
from hub.types import SECOND, Id, Micros, Scope, first_id

TABLE = Receipt.__table__
KEYS = ReceiptKey.__table__
SOURCES = Source.__table__
EFFECTS = Effect.__table__
BOOKMARKS = Bookmark.__table__
FREE = ~select(BOOKMARKS.c.id).where(BOOKMARKS.c.receipt_id == TABLE.c.id).exists()
"""The condition that retention may take a receipt."""
_OVER_EXPIRED = (
    "ON CONFLICT (source_id, key) DO UPDATE SET receipt_id = excluded.receipt_id, expires_at = excluded.expires_at"
    " WHERE receipt_keys.expires_at <= ?"
)
_CLAIM = "INSERT INTO receipt_keys (source_id, key, receipt_id, expires_at) VALUES"
_CLAIM_ALL = (
    "INSERT INTO receipt_keys (source_id, key, receipt_id, expires_at) "  # noqa: S608 - fixed words
    "SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[]) " + _OVER_EXPIRED.replace("?", "%s")
)
_APART = 86_400 * SECOND
"""An id is made when its request comes: by this hub or by its plane, whose clock may be wrong by less than that. So the
time needs no index of its own."""
_ANNOUNCED = ("id", "workspace_id", "key", "payload", "due_at")
_ANNOUNCE_ALL = (
    "INSERT INTO effects (id, workspace_id, key, payload, due_at, kind, tries) "
    """SELECT id, workspace_id, id, '{"receipt_id":"' || id || '"}', """
    "%s::bigint + %s::bigint * (place - 1), 'receipt', 0 "
    "FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS given (id, workspace_id, place)"
)
_ANY = 16
_DEEPEST, _MOST_REPLAYS = 100, 1_000
"""How far replays of replays are followed, and how many of one request are looked at."""
_dumps = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
SUMMARY = tuple(column for column in TABLE.c if column.name not in ("body", "headers"))
_COUNT = (
    update(TABLE).where(TABLE.c.id == bindparam("receipt")).values(duplicates=TABLE.c.duplicates + bindparam("more"))
)


def find(tx: Tx, scope: Scope, receipt_id: Id) -> dict[str, Any] | None:
    """One receipt with its bytes, or None."""
    where = {"id": receipt_id, "workspace_id": scope.workspace_id}
    return select_one(tx, TABLE, names_of(TABLE), where)


def row(tx: Tx, scope: Scope, receipt_id: Id) -> dict[str, Any]:
    """One receipt with its bytes. Raises NotFoundError."""
    found = find(tx, scope, receipt_id)
    if found is None:
        raise NotFoundError(
            f"there is no receipt {receipt_id} in this workspace", hint="`hub webhooks receipts` lists them."
        )
    return found


def is_whole(row: Mapping[str, Any]) -> bool:
    """Whether a receipt holds the body that its events have: all of it, but for what was redacted."""
    is_redacted = row["redacted"] is not None and row["verdict"] in ("accepted", "observed")
    return is_redacted or len(row["body"] or b"") == row["body_size"]


def beside(tx: Tx, scope: Scope, receipt: Mapping[str, Any]) -> tuple[Id | None, Id | None]:
    """The requests of the same source that came right after and right before this one."""
    ids = select(TABLE.c.id).where(
        TABLE.c.workspace_id == scope.workspace_id, TABLE.c.source_id == receipt["source_id"]
    )
    later = ids.where(TABLE.c.id > receipt["id"]).order_by(TABLE.c.id).limit(1)
    earlier = ids.where(TABLE.c.id < receipt["id"]).order_by(TABLE.c.id.desc()).limit(1)
    return tx.conn.execute(later).scalar(), tx.conn.execute(earlier).scalar()


def counts(tx: Tx, scope: Scope, source_id: Id, since: Micros, limit: int = 1_000) -> dict[str, int]:
    """How many requests of a source had each verdict since then; of its last `limit` ones."""
    recent = select(TABLE.c.id, TABLE.c.verdict).where(
        TABLE.c.workspace_id == scope.workspace_id, TABLE.c.source_id == source_id, TABLE.c.id >= first_id(since)
    )
    last = recent.order_by(TABLE.c.id.desc()).limit(limit).subquery()
    query = select(last.c.verdict, func.count().label("many")).group_by(last.c.verdict)
    return {found.verdict: found.many for found in tx.conn.execute(query)}


def received_from(at: Micros) -> list[ColumnElement[bool]]:
    """The conditions that a request came at that time or later."""
    return [TABLE.c.received_at >= at, TABLE.c.id >= first_id(at - _APART)]


def received_before(at: Micros) -> list[ColumnElement[bool]]:
    """The conditions that a request came before then."""
    return [TABLE.c.received_at < at, TABLE.c.id < first_id(at + _APART)]


def with_verdict(verdict: str) -> list[ColumnElement[bool]]:
    """The conditions for a verdict, none for an empty one."""
    if verdict in ("", "accepted"):
        return [TABLE.c.verdict == verdict] if verdict else []
    # Said as the partial indexes say it: a planner that sees only a parameter could not know that they apply.
    return [TABLE.c.verdict == verdict, TABLE.c.verdict != literal_column("'accepted'")]


def last_at(tx: Tx, scope: Scope, source_ids: list[Id]) -> dict[Id, Micros]:
    """When each source last got a request."""
    if not source_ids:
        return {}
    newest = select(TABLE.c.source_id, func.max(TABLE.c.id).label("id"))
    newest = newest.where(TABLE.c.workspace_id == scope.workspace_id, TABLE.c.source_id.in_(source_ids))
    chosen = newest.group_by(TABLE.c.source_id).subquery()
    query = select(TABLE.c.source_id, TABLE.c.received_at).join(chosen, TABLE.c.id == chosen.c.id)
    return {found.source_id: found.received_at for found in tx.conn.execute(query)}


_BLANK: dict[str, Any] = {
    "method": "POST", "query": "", "headers": [], "body": None, "body_size": 0, "remote": "", "verdict": "accepted",
    "reason": "", "secret_id": None, "event_type": None, "delivery_id": None, "duplicate_of": None, "replay_of": None,
    "answer_status": 202, "duplicates": 0, "processed_at": None, "events": 0, "error": None, "redacted": None,
    "replayed_by": None, "replayed_at": None,
}  # fmt: skip


def complete(row: Mapping[str, Any]) -> dict[str, Any]:
    """A receipt with every column, as `insert` wants it; ids and `received_at` must be given."""
    return {**_BLANK, **row}


def insert(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Write receipts, all complete."""
    insert_rows(tx, TABLE, rows)


ARRIVED = (
    "id", "workspace_id", "source_id", "received_at", "method", "query", "headers", "body", "body_size", "remote",
    "verdict", "reason", "secret_id", "event_type", "delivery_id", "answer_status", "redacted",
)  # fmt: skip
"""What the door says of a request; the rest of its receipt is blank."""
_arrived = itemgetter(*ARRIVED)


def accept(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write receipts as the door hands them over, with the columns `ARRIVED`; headers may be JSON already, `redacted`
    is."""
    values = [_arrived(row) for row in rows]
    at = ARRIVED.index("headers")
    values = [
        found if isinstance(found[at], str) else (*found[:at], _dumps(found[at]), *found[at + 1 :]) for found in values
    ]
    _add(tx, TABLE, ARRIVED, values, {"duplicates": 0, "events": 0})


def announce(tx: Tx, rows: Sequence[Mapping[str, Any]], *, due_at: Micros | None = None) -> None:
    """Write the outbox rows that turn receipts into events, in this order; each takes its receipt's id."""
    # They are taken up in the order of `due_at`: a microsecond apart, and none in the future.
    first, step = (tx.now - len(rows), 1) if due_at is None else (due_at, 0)
    if rows and tx.dialect == "postgresql":
        ids, owners = [row["id"] for row in rows], [row["workspace_id"] for row in rows]
        execute(tx, _ANNOUNCE_ALL, (first, step, ids, owners))
        return
    values = [
        (
            row["id"],
            row["workspace_id"],
            row["id"],
            f'{{"receipt_id":"{row["id"]}"}}',
            first + step * place,
        )
        for place, row in enumerate(rows)
    ]
    _add(tx, EFFECTS, _ANNOUNCED, values, {"kind": "receipt", "tries": 0})


def known(tx: Tx, keys: Iterable[tuple[Id, str]]) -> dict[tuple[Id, str], Id]:
    """Which of the keys (source, key) were seen inside their window, and by which receipt."""
    by_source: dict[Id, list[str]] = {}
    for source_id, key in keys:
        by_source.setdefault(source_id, []).append(key)
    found: dict[tuple[Id, str], Id] = {}
    for source_id, wanted in by_source.items():
        for key, receipt_id in _looked_up(tx, source_id, wanted):
            found[source_id, key] = receipt_id
    return found


def _looked_up(tx: Tx, source_id: Id, wanted: list[str]) -> Any:
    if tx.dialect == "postgresql":
        return execute(tx, _LOOK_UP, (wanted, source_id, tx.now))
    marks = ", ".join("?" * len(wanted))
    text = "SELECT key, receipt_id FROM receipt_keys WHERE source_id = ? AND expires_at > ? AND key IN"
    return execute(tx, f"{text} ({marks})", (source_id, tx.now, *wanted))


_LOOK_UP = (
    # One by one through the primary key: a planner that knows a young table as an empty one reads all keys of the
    # source for a list of keys, and goes on to when it has grown.
    "SELECT found.key, found.receipt_id FROM unnest(%s::text[]) AS wanted (key) CROSS JOIN LATERAL ("
    "SELECT key, receipt_id FROM receipt_keys WHERE source_id = %s AND key = wanted.key AND expires_at > %s LIMIT 1"
    ") AS found"
)


def ask_keys(tx: Tx, rows: list[tuple[Id, str, Id, Micros]]) -> Callable[[], bool]:
    """Write dedupe keys (source, key, receipt, expiry), over expired ones; for whoever looks later how that went.

    False when somebody else holds one of them: roll back and look again.
    """
    # In one order everywhere, so that two writers cannot wait for each other.
    if rows and tx.dialect == "postgresql":
        # One statement for every number of rows: it is prepared and planned once.
        columns = (list(column) for column in zip(*sorted(rows), strict=True))
        written = [execute(tx, _CLAIM_ALL, (*columns, tx.now))]
    else:
        written = _write(tx, _CLAIM, "(?,?,?,?)", sorted(rows), _OVER_EXPIRED, (tx.now,))
    return lambda: sum(found.rowcount for found in written) == len(rows)


def count_duplicates(tx: Tx, counts: Mapping[Id, int]) -> None:
    """Count repeated requests on the receipts of the first ones."""
    if counts:
        tx.conn.execute(_COUNT, [{"receipt": receipt, "more": more} for receipt, more in sorted(counts.items())])


def settle(tx: Tx, receipt_id: Id, *, events: int = 0, error: str | None = None) -> bool:
    """Note that a receipt became events, or why it could not; False when that was noted before."""
    values = {"processed_at": tx.now, "events": events, "error": error}
    return bool(change(tx, TABLE, values, {"id": receipt_id}, guard="processed_at IS NULL"))


def give_up(tx: Tx, receipt_id: Id, error: str) -> bool:
    """Note that a receipt will never become events; False when it has."""
    return settle(tx, receipt_id, error=error[:2_000])


def mend(tx: Tx, replay: Mapping[str, Any]) -> None:
    """A replay has become events: the dead letter that it repeats, and earlier replays of that which failed, are dealt
    with. To be called where the replay is settled, so that the one is never there without the other."""
    family = _family(tx, replay)
    mended = update(TABLE).where(TABLE.c.id.in_(family), TABLE.c.error.is_not(None), TABLE.c.replayed_by.is_(None))
    if family:
        tx.conn.execute(mended.values(replayed_by=replay["id"], replayed_at=tx.now))


def _family(tx: Tx, replay: Mapping[str, Any]) -> list[Id]:
    """The request of which this is a replay, perhaps of a replay, and what came of it before; in one order, so that
    two replays do not wait for each other."""
    whose = TABLE.c.workspace_id == replay["workspace_id"]
    root = replay["replay_of"]
    for _ in range(_DEEPEST):
        above = tx.conn.execute(select(TABLE.c.replay_of).where(whose, TABLE.c.id == root)).scalar()
        if above is None:
            break
        root = above
    found, level = {root}, [root]
    while level and len(found) < _MOST_REPLAYS:
        below = select(TABLE.c.id).where(whose, TABLE.c.replay_of.in_(level), TABLE.c.replay_of.is_not(None))
        # Only what failed leads on: what became events has nothing to be mended, and no failure is its fault.
        query = below.where(TABLE.c.error.is_not(None), TABLE.c.id != replay["id"]).limit(_MOST_REPLAYS)
        level = [one for one in tx.conn.execute(query).scalars() if one not in found]
        found.update(level)
    return sorted(found)


def replays_of(tx: Tx, scope: Scope, receipt_id: Id, *, limit: int = 20) -> list[dict[str, Any]]:
    """How a request happened again, the last time first, at most so often."""
    where = (TABLE.c.workspace_id == scope.workspace_id, TABLE.c.replay_of == receipt_id)
    query = select(*SUMMARY).where(*where, TABLE.c.replay_of.is_not(None)).order_by(TABLE.c.id.desc()).limit(limit)
    return [dict(found) for found in tx.conn.execute(query).mappings()]


def outcome(row: Mapping[str, Any]) -> str:
    """What came of a receipt so far: waiting, events, or failed."""
    return "waiting" if row["processed_at"] is None else "events" if row["error"] is None else "failed"


def trim(tx: Tx, *, limit: int = 1_000) -> int:
    """Delete receipts that are older than their source keeps them, the oldest first; returns how many."""
    gone = 0
    for source in tx.conn.execute(select(SOURCES.c.id, SOURCES.c.workspace_id, SOURCES.c.keep_s)).all():
        whose = (TABLE.c.workspace_id == source.workspace_id, TABLE.c.source_id == source.id, FREE)
        oldest = select(TABLE.c.id, TABLE.c.received_at).where(*whose)
        found = tx.conn.execute(oldest.order_by(TABLE.c.id).limit(limit)).all()
        old = [hit.id for hit in found if hit.received_at < tx.now - source.keep_s * SECOND]
        if old:
            gone += tx.conn.execute(delete(TABLE).where(TABLE.c.id.in_(old))).rowcount
    return gone + _trim_bytes(tx, limit)


def _trim_bytes(tx: Tx, limit: int) -> int:
    """Delete the oldest receipts of sources that keep so many bytes, until the bodies of the others are no more."""
    gone = 0
    limited = select(SOURCES.c.id, SOURCES.c.workspace_id, SOURCES.c.keep_bytes).where(SOURCES.c.keep_bytes > 0)
    for source in tx.conn.execute(limited).all():
        whose = (TABLE.c.workspace_id == source.workspace_id, TABLE.c.source_id == source.id)
        # Refused ones apart, and a tenth: whoever cannot sign must not push out what is genuine.
        kinds = ((source.keep_bytes, TABLE.c.verdict != "rejected"),
                 (source.keep_bytes // 10, TABLE.c.verdict == "rejected"))  # fmt: skip
        for most, which in kinds:
            old = _beyond(tx, most, limit, *whose, which)
            gone += tx.conn.execute(delete(TABLE).where(TABLE.c.id.in_(old))).rowcount if old else 0
    return gone


def _beyond(tx: Tx, most: int, limit: int, *where: ColumnElement[bool]) -> list[Id]:
    """The oldest receipts behind the newest `most` bytes that may go: their events are made, nobody marked them."""
    # Neither reads the bytes themselves: where they lie apart, their length stands with the row.
    length = func.length if tx.dialect == "sqlite" else func.octet_length
    total = func.sum(func.coalesce(length(TABLE.c.body), 0)).over(order_by=TABLE.c.id.desc())
    sums = select(TABLE.c.id, total.label("total")).where(*where).subquery()
    is_over = TABLE.c.processed_at.is_not(None) | TABLE.c.verdict.in_(("rejected", "handshake"))
    query = select(TABLE.c.id).join(sums, sums.c.id == TABLE.c.id).where(sums.c.total > most, is_over, FREE)
    return list(tx.conn.execute(query.order_by(TABLE.c.id).limit(limit)).scalars())


def forget_keys(tx: Tx, *, limit: int = 1_000) -> int:
    """Delete dedupe keys whose window is over; returns how many."""
    old = select(KEYS.c.source_id, KEYS.c.key).where(KEYS.c.expires_at <= tx.now).limit(limit)
    return tx.conn.execute(delete(KEYS).where(tuple_(KEYS.c.source_id, KEYS.c.key).in_(old))).rowcount


_FEW = 3


def _add(tx: Tx, table: Table, names: tuple[str, ...], rows: Sequence[Sequence[Any]], fixed: Mapping[str, Any]) -> None:
    """Insert rows that nothing stands in the way of; all have the `fixed` values, texts without quotes or numbers."""
    if tx.dialect == "postgresql" and len(rows) > _FEW:
        also = tuple(fixed.values())
        copy_rows(tx, table, (*names, *fixed), [(*row, *also) for row in rows])
    else:
        # A value that stands in the text need not be bound for every row.
        values = [
            *"?" * len(names),
            *(f"'{value}'" if isinstance(value, str) else str(value) for value in fixed.values()),
        ]
        _write(tx, f"INSERT INTO {table.name} ({', '.join((*names, *fixed))}) VALUES", f"({','.join(values)})", rows)


def _write(
    tx: Tx, beginning: str, one: str, rows: Sequence[Sequence[Any]], end: str = "", also: tuple[Any, ...] = ()
) -> list[Any]:
    """Insert rows, many in a statement; gives the cursors of these."""
    written, at = [], 0
    while at < len(rows):
        size = _size(len(rows) - at)
        chunk = rows[at : at + size]
        text = _statement(beginning, one, size, end, tx.dialect)
        written.append(execute(tx, text, (*chain.from_iterable(chunk), *also)))
        at += size
    return written


def _size(left: int) -> int:
    """Of few sizes, so that the statements stay prepared; of enough that a batch is one to three statements."""
    return min(left, _ANY) if left < 2 * _ANY else 2 * _ANY if left < CHUNK else CHUNK


@lru_cache(maxsize=256)
def _statement(beginning: str, one: str, size: int, end: str, dialect: Dialect) -> str:
    return f"{beginning} {','.join([one] * size)} {end}".replace("?", mark(dialect))
