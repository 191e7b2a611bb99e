"""Clean-up at a plane: events and ended runs that sites reported long ago, in small bites."""

from __future__ import annotations

from hub.plugins import Loop
from hub.settings import Settings
from hub.states import TERMINAL
from hub.store.base import Store, Tx
from hub.types import SECOND
from sqlalchemy import and_, delete, or_, select, tuple_

from hub_hybrid import joining
from hub_hybrid.loglines import LINES
from hub_hybrid.replica import COMMANDS, EVENTS, RUNS

BITE = 500


class Keeper:
    """Removes what is older than the plane's own retention. The chain's end stays with the site's row."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._events = settings.retention_events
        self._runs = settings.retention_runs

    def step(self) -> bool:
        """Remove one bite of each. True when there was something."""
        with self._store.write() as tx:
            removed = joining.forget(tx, BITE)
            if self._events:
                removed += _events(tx, tx.now - int(self._events * SECOND))
            if self._runs:
                removed += _runs(tx, tx.now - int(self._runs * SECOND))
                removed += _lines(tx, tx.now - int(self._runs * SECOND))
                removed += _commands(tx, tx.now - int(self._runs * SECOND))
        return removed > 0

    def loop(self) -> Loop:
        """As an upkeep loop."""
        return Loop("plane-retention", self.step, interval=300.0)


def _events(tx: Tx, before: int) -> int:
    old = select(EVENTS.c.site_row, EVENTS.c.stream_epoch, EVENTS.c.seq).where(EVENTS.c.received_at < before)
    rows = tx.conn.execute(old.limit(BITE)).all()
    for row in rows:
        key = and_(EVENTS.c.site_row == row[0], EVENTS.c.stream_epoch == row[1], EVENTS.c.seq == row[2])
        tx.conn.execute(delete(EVENTS).where(key))
    return len(rows)


def _runs(tx: Tx, before: int) -> int:
    ended = or_(RUNS.c.state_type.in_([state.value for state in TERMINAL]), RUNS.c.orphaned_at.is_not(None))
    old = select(RUNS.c.site_row, RUNS.c.run_id).where(RUNS.c.updated_at < before, ended)
    rows = tx.conn.execute(old.limit(BITE)).all()
    for row in rows:
        tx.conn.execute(delete(RUNS).where(RUNS.c.site_row == row[0], RUNS.c.run_id == row[1]))
    return len(rows)


def _lines(tx: Tx, before: int) -> int:
    key = (LINES.c.site_row, LINES.c.epoch, LINES.c.id)
    rows = tx.conn.execute(select(*key).where(LINES.c.received_at < before).limit(BITE)).all()
    if rows:
        tx.conn.execute(delete(LINES).where(tuple_(*key).in_([tuple(row) for row in rows])))
    return len(rows)


def _commands(tx: Tx, before: int) -> int:
    """Answered and long expired commands; the newest position of a site is kept in its own row."""
    done = or_(COMMANDS.c.outcome.is_not(None), COMMANDS.c.withdrawn_at.is_not(None))
    old = select(COMMANDS.c.id).where(COMMANDS.c.issued_at < before, COMMANDS.c.expires_at < before, done)
    ids = list(tx.conn.execute(old.limit(BITE)).scalars())
    if ids:
        tx.conn.execute(delete(COMMANDS).where(COMMANDS.c.id.in_(ids)))
    return len(ids)
