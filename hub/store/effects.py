"""Work that follows a commit: added in its transaction, claimed by row with a lease, done at least once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, select, update

from hub.store import raw
from hub.store.base import Tx
from hub.store.tables import Effect
from hub.types import SECOND, Id, Micros, Scope, new_id

TABLE = Effect.__table__
MAX_TRIES = 8
HELD: Micros = 253_370_764_800_000_000
"""When that is due which a paused source holds: in the year 9999."""

_OPEN = (TABLE.c.done_at.is_(None), TABLE.c.dead_at.is_(None))
_HOLDERS = select(TABLE.c.claimed_by).where(*_OPEN, TABLE.c.claimed_until > bindparam("now")).distinct()


def add(
    tx: Tx,
    scope: Scope,
    kind: str,
    key: str,
    payload: Mapping[str, Any] | None = None,
    *,
    due_at: Micros | None = None,
) -> bool:
    """Add work of `kind`, once for every `key`. False when it is there already."""
    row = {
        "id": new_id(),
        "workspace_id": scope.workspace_id,
        "kind": kind,
        "key": key,
        "payload": dict(payload or {}),
        "due_at": tx.now if due_at is None else due_at,
        "tries": 0,
    }
    tx.wake(topic(kind))
    return tx.insert_ignore(TABLE, row)


def topic(kind: str) -> str:
    """Which wake-up tells of new work of a kind. Every transition tells plugins; the door's receipts come apart."""
    return "told" if kind == "run_state" else "effects"


def any_due(tx: Tx, kinds: Iterable[str]) -> bool:
    """Whether `claim` would find something. Only SQLite need be asked: it lets one write at a time."""
    given = tuple(kinds)
    also = (*given, tx.now, tx.now)
    return bool(raw.select_rows(tx, TABLE, ("id",), {}, guard=_due(len(given)), also=also, tail="LIMIT 1"))


def claim(tx: Tx, kinds: Iterable[str], holder: str, *, limit: int = 100, lease_s: float = 30) -> list[dict[str, Any]]:
    """Take due work, what is due first in front; whoever dies with it loses it when the lease ends. A try is counted
    at the claim, which the rows do not show yet."""
    return ask_claim(tx, kinds, holder, limit=limit, lease_s=lease_s)()


def ask_claim(
    tx: Tx, kinds: Iterable[str], holder: str, *, limit: int = 100, lease_s: float = 30
) -> Callable[[], list[dict[str, Any]]]:
    """As `claim`, for whoever looks at the rows once the transaction is committed."""
    given, names = tuple(kinds), raw.names_of(TABLE)
    also, tail = (*given, tx.now, tx.now), f"ORDER BY due_at LIMIT {int(limit)}"
    until = tx.now + int(lease_s * SECOND)
    if tx.dialect == "postgresql":
        asked = raw.Rows(raw.execute(tx, _claiming(len(given), tail), (*also, holder, until)), TABLE, names)
        return lambda: [{**row, "tries": row["tries"] - 1} for row in sorted(asked.all(), key=_by_time)]
    rows = raw.select_rows(tx, TABLE, names, {}, guard=_due(len(given)), also=also, tail=tail)
    changes = "claimed_by = ?, claimed_until = ?, tries = tries + 1"
    raw.change_many(tx, TABLE, changes, (holder, until), "id", [row["id"] for row in rows])
    return lambda: rows


def _by_time(row: Mapping[str, Any]) -> tuple[Micros, Id]:
    return row["due_at"], row["id"]


@lru_cache(maxsize=16)
def _claiming(kinds: int, tail: str) -> str:
    """The claim as one statement; its parameters: those of `_due`, the holder, until when."""
    columns = ", ".join(f"effects.{name}" for name in raw.names_of(TABLE))
    # What is taken is made once and first: as a mere part of the condition it might be asked for every row again.
    text = (
        f"WITH taken AS MATERIALIZED (SELECT id FROM effects WHERE {_due(kinds)} {tail} FOR UPDATE SKIP LOCKED) "  # noqa: S608
        "UPDATE effects SET claimed_by = ?, claimed_until = ?, tries = tries + 1 "
        f"FROM taken WHERE effects.id = taken.id RETURNING {columns}"
    )
    return raw.marked(text, "postgresql")


def holders(tx: Tx) -> list[str]:
    """Who has claimed work whose lease still runs."""
    return [str(found) for found in tx.conn.execute(_HOLDERS, {"now": tx.now}).scalars()]


def give_back(tx: Tx, holder: str) -> int:
    """Let others have at once what a holder, which is dead, has claimed; how many."""
    tx.wake("effects")
    mine = (*_OPEN, TABLE.c.claimed_by == holder, TABLE.c.claimed_until > tx.now)
    return tx.conn.execute(update(TABLE).where(*mine).values(claimed_until=None)).rowcount


def finish(tx: Tx, ids: list[Id]) -> None:
    """Mark work as done."""
    raw.change_many(tx, TABLE, "done_at = ?, claimed_until = NULL", (tx.now,), "id", ids)


def fail(tx: Tx, effect: Mapping[str, Any], error: str, *, retry_in_s: float) -> bool:
    """Give work back after a failure, or bury it when its tries are spent. True when buried."""
    dead: bool = effect["tries"] + 1 >= MAX_TRIES
    values = {"error": error[:2000], "claimed_until": None, "due_at": tx.now + int(retry_in_s * SECOND)}
    if dead:
        values["dead_at"] = tx.now
    raw.put(tx, TABLE, values, {"id": effect["id"]})
    return dead


def _due(kinds: int) -> str:
    """The condition on a row of one of so many kinds; its parameters: the kinds, now, and now again."""
    marks = ", ".join("?" * kinds)
    return (
        f"done_at IS NULL AND dead_at IS NULL AND kind IN ({marks}) AND due_at <= ? "
        "AND (claimed_until IS NULL OR claimed_until < ?)"
    )
