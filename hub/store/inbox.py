"""Searching the requests that came in. What no index helps with looks at so many of them, then hands out a cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

from sqlalchemy import ColumnElement, LargeBinary, Select, bindparam, func, select

from hub.store.base import Tx
from hub.store.pages import MAX_LIMIT, Page, encode, onward, page
from hub.store.receipts import SUMMARY, TABLE, received_before, received_from, with_verdict
from hub.types import Id, Micros, Scope

WINDOW = 2_000
WINDOW_BYTES = 64 * 1024 * 1024
"""How many requests, and how much of their bodies, one page of a search looks at."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which requests. `type` may end with `*`; `text` is looked for in the bytes as UTF-8, case and all.

    `replays`: only those that were replayed (True), only those that somebody sent (False). Times are half-open.
    """

    source_id: Id | None = None
    verdict: str = ""
    type: str = ""
    delivery: str = ""
    since: Micros | None = None
    until: Micros | None = None
    text: str = ""
    replays: bool | None = None
    replay_of: Id | None = None
    failed: bool = False
    """Only those that could not become events, and have not by a replay."""
    mended: bool = False
    """Only those that could not, and then have by a replay."""


def search(
    tx: Tx,
    scope: Scope,
    wanted: Wanted,
    *,
    limit: int = 50,
    cursor: str | None = None,
    order: Literal["newest", "oldest"] = "newest",
) -> Page[dict[str, Any]]:
    """Requests without bytes and headers. A page may hold fewer than there are, even none, and have a next one."""
    newest_first = order == "newest"
    indexed, others = _indexed(scope, wanted), _others(tx, wanted)
    query = select(*SUMMARY).where(*indexed)
    if not others:
        return page(tx, query, TABLE.c.id, limit=limit, cursor=cursor, newest_first=newest_first, make=dict)
    limit = max(1, min(limit, MAX_LIMIT))
    last, more = _window(tx, indexed, cursor, newest_first=newest_first, read=bool(wanted.text))
    if last is None:
        return Page([])
    inside = TABLE.c.id >= last if newest_first else TABLE.c.id <= last
    query = onward(query.where(*others, inside), TABLE.c.id, cursor, newest_first=newest_first)
    found = [dict(row) for row in tx.conn.execute(query.limit(limit + 1)).mappings()]
    if len(found) > limit:
        return Page(found[:limit], encode(found[limit - 1]["id"]))
    return Page(found, encode(last) if more else None)


def _indexed(scope: Scope, wanted: Wanted) -> list[ColumnElement[bool]]:
    """The conditions that the indexes of the listing serve, and those on the time."""
    where: list[ColumnElement[bool]] = [TABLE.c.workspace_id == scope.workspace_id]
    if wanted.source_id is not None:
        where.append(TABLE.c.source_id == wanted.source_id)
    if wanted.since is not None:
        where += received_from(wanted.since)
    if wanted.until is not None:
        where += received_before(wanted.until)
    if wanted.failed:
        where += [TABLE.c.error.is_not(None), TABLE.c.replayed_by.is_(None)]
    if wanted.mended:
        where.append(TABLE.c.replayed_by.is_not(None))
    return where + with_verdict(wanted.verdict)


def _others(tx: Tx, wanted: Wanted) -> list[ColumnElement[bool]]:
    """The conditions that must look at each request."""
    where: list[ColumnElement[bool]] = []
    if wanted.type.endswith("*"):
        where.append(TABLE.c.event_type.startswith(wanted.type[:-1], autoescape=True))
    elif wanted.type:
        where.append(TABLE.c.event_type == wanted.type)
    if wanted.delivery:
        where.append(TABLE.c.delivery_id == wanted.delivery)
    if wanted.replays is not None:
        where.append(TABLE.c.replay_of.is_not(None) if wanted.replays else TABLE.c.replay_of.is_(None))
    if wanted.replay_of is not None:
        where.append(TABLE.c.replay_of == wanted.replay_of)
    if wanted.text:
        where.append(_contains(tx, wanted.text))
    return where


def _contains(tx: Tx, text: str) -> ColumnElement[bool]:
    looked_for = bindparam("looked_for", text.encode("utf-8", "replace"), LargeBinary)
    if tx.dialect == "sqlite":
        return func.instr(TABLE.c.body, looked_for) > 0
    return func.position(looked_for.op("IN")(TABLE.c.body)) > 0


def _window(
    tx: Tx, indexed: Sequence[ColumnElement[bool]], cursor: str | None, *, newest_first: bool, read: bool
) -> tuple[Id | None, bool]:
    """The last request that this page looks at, None when there is none, and whether others follow it."""
    ids: Select[Any] = select(TABLE.c.id, TABLE.c.body_size).where(*indexed)
    query = onward(ids, TABLE.c.id, cursor, newest_first=newest_first).limit(WINDOW + 1)
    rows = tx.conn.execute(query).all()
    if not rows:
        return None, False
    size = min(len(rows), WINDOW)
    if read:
        over = (place for place, total in enumerate(accumulate(row.body_size for row in rows)) if total > WINDOW_BYTES)
        size = max(1, min(size, next(over, size)))
    return rows[size - 1].id, size < len(rows)
