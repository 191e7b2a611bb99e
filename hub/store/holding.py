"""What a paused source holds back: outbox rows of its receipts whose time is put off for ever, until they drain."""

from __future__ import annotations

from sqlalchemy import ColumnElement, ScalarSelect, func, select, update

from hub.store.base import Tx
from hub.store.effects import HELD, TABLE
from hub.store.tables import Receipt
from hub.types import Id

RECEIPTS = Receipt.__table__
MOST = 10_000
_WAITS = (TABLE.c.kind == "receipt", TABLE.c.done_at.is_(None), TABLE.c.dead_at.is_(None))


def hold(tx: Tx, source_id: Id) -> int:
    """Put off what waits already and nobody is at; how many. What comes later the door puts off."""
    idle = TABLE.c.claimed_until.is_(None) | (TABLE.c.claimed_until < tx.now)
    where = (*_WAITS, TABLE.c.due_at < HELD, idle, _of("source_id") == source_id)
    return tx.conn.execute(update(TABLE).where(*where).values(due_at=HELD)).rowcount


def drain(tx: Tx, source_id: Id) -> int:
    """Let it go, in the order of arrival and before what comes now; how many."""
    tx.wake("effects")
    at = func.coalesce(_of("received_at"), tx.now)
    return tx.conn.execute(update(TABLE).where(*_held(source_id)).values(due_at=at)).rowcount


def drop(tx: Tx, source_id: Id) -> int:
    """Give up what a source holds that will never drain."""
    return tx.conn.execute(update(TABLE).where(*_held(source_id)).values(done_at=tx.now)).rowcount


def count(tx: Tx, source_id: Id) -> int:
    """How many requests a source holds, counted no further than 10,000."""
    held = select(TABLE.c.id).where(*_held(source_id)).limit(MOST).subquery()
    return int(tx.conn.execute(select(func.count()).select_from(held)).scalar_one())


def _held(source_id: Id) -> tuple[ColumnElement[bool], ...]:
    # Those whose receipts are past their retention belong to nobody; whoever drains next takes them along.
    return (*_WAITS, TABLE.c.due_at == HELD, func.coalesce(_of("source_id"), source_id) == source_id)


def _of(column: str) -> ScalarSelect[str]:
    """A column of the receipt of an outbox row; they share their ids."""
    return select(RECEIPTS.c[column]).where(RECEIPTS.c.id == TABLE.c.id).scalar_subquery()
