"""Cursor pages, newest first: stable while rows arrive, as quick on the last page as on the first."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, Select

from hub.errors import UsageError
from hub.store.base import Tx

T = TypeVar("T")
MAX_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items and how to get the next ones (`next_cursor` None: there are no more)."""

    items: list[T]
    next_cursor: str | None = None


def page(
    tx: Tx,
    query: Select[Any],
    column: Column[Any],
    *,
    limit: int = 50,
    cursor: str | None = None,
    newest_first: bool = True,
    make: Callable[[Mapping[str, Any]], T],
) -> Page[T]:
    """One page of `query` in the order of `column`, which must be unique. Limit 1 to 200."""
    limit = max(1, min(limit, MAX_LIMIT))
    rows = tx.conn.execute(onward(query, column, cursor, newest_first=newest_first).limit(limit + 1)).mappings().all()
    more = len(rows) > limit
    return Page([make(dict(row)) for row in rows[:limit]], encode(rows[limit - 1][column.name]) if more else None)


def onward(query: Select[Any], column: Column[Any], cursor: str | None, *, newest_first: bool = True) -> Select[Any]:
    """The query in the order of `column`, from the cursor on. Raises UsageError for one that nobody gave out."""
    if cursor:
        after = _decode(cursor, column)
        query = query.where(column < after if newest_first else column > after)
    return query.order_by(column.desc() if newest_first else column.asc())


def encode(value: object) -> str:
    """The cursor after the row whose ordering column holds `value`."""
    return base64.urlsafe_b64encode(str(value).encode()).decode().rstrip("=")


def _decode(cursor: str, column: Column[Any]) -> Any:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True).decode("ascii")
        if not text.isprintable() or len(text) > 64:
            raise ValueError(text)
        return _position(text) if column.type.python_type is int else text
    except (ValueError, binascii.Error):
        raise UsageError("the cursor is not one that this hub gave out", hint="Start without a cursor.") from None


def _position(text: str) -> int:
    number = int(text)
    if abs(number) >= 2**63:  # more than a database integer holds
        raise ValueError(text)
    return number
