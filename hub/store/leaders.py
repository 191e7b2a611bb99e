"""Locks with a lease, for work that must have one doer at a time (the sequencer, a link's agent)."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import bindparam, delete, select, update

from hub.store import raw
from hub.store.base import Tx
from hub.store.tables import Leader
from hub.types import SECOND, Micros

TABLE = Leader.__table__


def take(tx: Tx, name: str, holder: str, *, lease_s: float = 30) -> int | None:
    """Take the lock, or renew it when `holder` has it. Gives its fence, or None when somebody else has it.

    The fence grows with every change of holder. The row stays locked until the transaction ends, so on
    PostgreSQL too nobody else can take the lock while this transaction works under it.
    """
    return ask(tx, name, holder, lease_s=lease_s)()


def ask(tx: Tx, name: str, holder: str, *, lease_s: float = 30) -> Callable[[], int | None]:
    """As `take`, for whoever looks later whether he has it: what is asked in between is asked under the lock."""
    until = tx.now + int(lease_s * SECOND)
    taken = raw.ask(tx, _TAKE, (holder, holder, until, name, holder, tx.now))

    def fence() -> int | None:
        found = taken.fetchone()
        if found is not None:
            return int(found[0])
        first = {"name": name, "holder": holder, "fence": 1, "lease_until": until}
        return 1 if tx.insert_ignore(TABLE, first) else None

    return fence


_TAKE = (
    "UPDATE leaders SET fence = CASE WHEN holder = ? THEN fence ELSE fence + 1 END, holder = ?, lease_until = ? "
    "WHERE name = ? AND (holder = ? OR lease_until < ?) RETURNING fence"
)


def give_back(tx: Tx, name: str, holder: str) -> None:
    """Let the next one have the lock at once."""
    tx.conn.execute(update(TABLE).where(TABLE.c.name == name, TABLE.c.holder == holder).values(lease_until=0))


def held(tx: Tx) -> list[tuple[str, str, Micros]]:
    """(name, holder, until) of every lock whose lease runs."""
    return [(name, holder, until) for name, holder, until in tx.conn.execute(_HELD, {"now": tx.now})]


_HELD = select(TABLE.c.name, TABLE.c.holder, TABLE.c.lease_until).where(TABLE.c.lease_until > bindparam("now"))


def forget(tx: Tx, name: str) -> None:
    """Remove a lock whose work is gone for ever."""
    tx.conn.execute(delete(TABLE).where(TABLE.c.name == name))


def forget_old(tx: Tx, prefix: str, *, before: Micros) -> int:
    """Remove locks whose name begins with `prefix` and whose lease ended before that; how many."""
    where = (TABLE.c.name.startswith(prefix, autoescape=True), TABLE.c.lease_until < before)
    return tx.conn.execute(delete(TABLE).where(*where)).rowcount
