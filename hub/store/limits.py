"""Named limits: asked for, given in the order of asking, given back. What is held is counted, never kept as a number.

Locks: a request first holds its run (so that it cannot end meanwhile), then its limits in the order of their ids.
Whoever frees takes no lock of a limit: a count that is too high for a moment gives nobody too much.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import bindparam, select

from hub.engine.limits import Blocked, Kind, LimitFacts, blocked, misfit
from hub.store import raw
from hub.store.base import Tx
from hub.store.tables import Limit, LimitSlot, RunRow
from hub.types import SECOND, Id, Micros, Scope, new_id

TABLE = Limit.__table__
SLOTS = LimitSlot.__table__
_RUNS = RunRow.__table__
ALIVE = ("RUNNING", "CANCELLING")


@dataclass(frozen=True, slots=True)
class Request:
    """Who wants how much of which limits. Asking again with the same `id` asks no second time."""

    id: Id
    names: tuple[str, ...]
    occupy: int
    kind: Kind
    run_id: Id
    run_attempt: int
    attempt_id: Id
    task_run_id: Id | None = None
    lease_s: float = 30.0
    strict: bool = True


Status: TypeAlias = Literal["granted", "waits", "missing", "misfit", "lost", "cancelled"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it. `sentence` says what is missing or does not fit; `blocked` what it waits for."""

    status: Status
    sentence: str = ""
    blocked: Blocked | None = None
    limits: int = 0
    """Of how many limits something is held now."""


def ask(tx: Tx, scope: Scope, request: Request, *, wait: bool = True) -> Answer:
    """Take all that is wanted, or nothing and (with `wait`) a place in every line. Call it until it is granted."""
    state = _fence(tx, request)
    if state != "RUNNING":
        return Answer("cancelled" if state == "CANCELLING" else "lost", f"the run is {state}")
    found = _locked(tx, scope, request.names)
    missing = [name for name in request.names if name not in {row["name"] for row in found}]
    if missing and request.strict:
        return Answer("missing", ", ".join(missing))
    for row in found:
        _drop_expired(tx, row["id"])
    given, own = _rows_of(tx, request)
    if given:
        # The answer to that request was lost: a connection that broke in its commit.
        return Answer("granted", limits=given)
    if own and own.keys() != {row["id"] for row in found}:
        # A place that was lost (or a limit that came or went) costs the others too: places of one request are taken
        # at one moment. Otherwise two requests could each stand before the other, and wait for ever.
        release(tx, request.id)
        own = {}
    facts = [_facts(tx, row, own.get(row["id"])) for row in found]
    for fact in facts:
        wrong = misfit(fact, request.kind, request.occupy)
        if wrong:
            return Answer("misfit", wrong)
    for fact in facts:
        why = blocked(fact, request.kind, request.occupy)
        if why is not None:
            if wait:
                _queue(tx, scope, request, [] if own else found)
            return Answer("waits", blocked=why)
    _grant(tx, scope, request, facts)
    return Answer("granted", limits=len(facts))


def next_in_line(tx: Tx, request_id: Id) -> bool:
    """Whether nobody who still waits asked before: only then is it worth to ask again. Reads only."""
    own = _places(tx, request_id)
    return not own or not any(_behind(tx, limit_id, ticket) for limit_id, ticket in own.items())


def release(tx: Tx, request_id: Id) -> int:
    """Give back what a request holds, or its places in line. How many rows there were; 0: they had run out."""
    found = raw.execute(
        tx, _said(tx, "DELETE FROM limit_slots WHERE request_id = ? AND state <> 'SPENT'"), (request_id,)
    )
    if found.rowcount:
        tx.wake("limits")
    return int(found.rowcount)


def end_of_attempt(tx: Tx, attempt_id: Id) -> None:
    """What an attempt held or waited for ends with it. What it spent of a rate stays spent."""
    raw.execute(tx, _said(tx, "DELETE FROM limit_slots WHERE attempt_id = ?"), (attempt_id,))
    tx.wake("limits")


def renew(tx: Tx, attempt_ids: Collection[Id], *, lease_s: float) -> None:
    """Renew what live attempts hold and wait for. Rows that somebody is changing now are left to the next time."""
    if not attempt_ids:
        return
    mine = f"SELECT id FROM limit_slots WHERE attempt_id IN ({', '.join('?' * len(attempt_ids))})"  # noqa: S608
    skip = " FOR UPDATE SKIP LOCKED" if tx.dialect == "postgresql" else ""
    text = f"UPDATE limit_slots SET expires_at = ? WHERE id IN ({mine}{skip})"  # noqa: S608 - fixed words
    raw.execute(tx, _said(tx, text), (tx.now + int(lease_s * SECOND), *attempt_ids))


def of_tags(tx: Tx, scope: Scope) -> frozenset[str]:
    """The names of the limits for tags (`tag:...`)."""
    found = raw.select_rows(
        tx, TABLE, ("name",), {"workspace_id": scope.workspace_id}, guard="substr(name, 1, 4) = 'tag:'"
    )
    return frozenset(row["name"] for row in found)


# --- the parts of asking -----------------------------------------------------------------------------------------


def _fence(tx: Tx, request: Request) -> str:
    """The run's state; held, so that the run does not end before this is committed."""
    share = " FOR SHARE" if tx.dialect == "postgresql" else ""
    text = f"SELECT attempt, state_type FROM runs WHERE id = ?{share}"  # noqa: S608 - fixed words
    found = raw.execute(tx, _said(tx, text), (request.run_id,)).fetchone()
    if found is None:
        return "gone"
    return str(found[1]) if found[0] == request.run_attempt else "given to another attempt"


def _locked(tx: Tx, scope: Scope, names: Sequence[str]) -> list[dict[str, Any]]:
    """The limits of these names, nobody else's until the end of the transaction; always in the same order."""
    query = _NAMED_LOCKED if tx.dialect == "postgresql" else _NAMED
    found = tx.conn.execute(query, {"of": scope.workspace_id, "names": sorted(set(names))})
    return [dict(row) for row in found.mappings()]


_NAMED = (
    select(TABLE)
    .where(TABLE.c.workspace_id == bindparam("of"), TABLE.c.name.in_(bindparam("names", expanding=True)))
    .order_by(TABLE.c.id)
)
_NAMED_LOCKED = _NAMED.with_for_update()


def _drop_expired(tx: Tx, limit_id: Id) -> None:
    if tx.dialect == "postgresql":
        # Not waited for: whoever holds such a row is ending or renewing it.
        old = "SELECT id FROM limit_slots WHERE limit_id = ? AND expires_at <= ? FOR UPDATE SKIP LOCKED"
        text = f"DELETE FROM limit_slots WHERE id IN ({old})"  # noqa: S608 - fixed words
    else:
        text = "DELETE FROM limit_slots WHERE limit_id = ? AND expires_at <= ?"
    raw.execute(tx, _said(tx, text), (limit_id, tx.now))


def _rows_of(tx: Tx, request: Request) -> tuple[int, dict[Id, int]]:
    """Of how many limits a request has been given what it asks for, and the tickets that it holds, by limit."""
    text = _said(tx, "SELECT limit_id, ticket, state FROM limit_slots WHERE request_id = ?")
    rows = raw.execute(tx, text, (request.id,)).fetchall()
    given = "HELD" if request.kind == "slots" else "SPENT"
    return sum(row[2] == given for row in rows), {row[0]: row[1] for row in rows if row[2] == "WAITING"}


def _places(tx: Tx, request_id: Id) -> dict[Id, int]:
    """The tickets that a request holds, by limit."""
    text = _said(tx, "SELECT limit_id, ticket FROM limit_slots WHERE request_id = ? AND state = 'WAITING'")
    return {row[0]: row[1] for row in raw.execute(tx, text, (request_id,)).fetchall()}


def _behind(tx: Tx, limit_id: Id, ticket: int | None) -> bool:
    text = "SELECT 1 FROM limit_slots WHERE limit_id = ? AND state = 'WAITING' AND expires_at > ?"
    values: list[Any] = [limit_id, tx.now]
    if ticket is not None:
        text += " AND ticket < ?"
        values.append(ticket)
    return raw.execute(tx, _said(tx, f"{text} LIMIT 1"), values).fetchone() is not None


def _facts(tx: Tx, row: dict[str, Any], ticket: int | None) -> LimitFacts:
    held = _said(tx, "SELECT COALESCE(SUM(occupy), 0) FROM limit_slots WHERE limit_id = ? AND state = 'HELD'")
    spent: tuple[tuple[Micros, int], ...] = ()
    if row["rate"] is not None:
        text = _said(tx, "SELECT expires_at, occupy FROM limit_slots WHERE limit_id = ? AND state = 'SPENT'")
        spent = tuple((found[0], found[1]) for found in raw.execute(tx, text, (row["id"],)).fetchall())
    return LimitFacts(
        row["id"], row["name"], row["slots"], row["rate"], row["period_us"],
        held=int(raw.execute(tx, held, (row["id"],)).fetchone()[0]), spent=spent,
        behind=_behind(tx, row["id"], ticket),
    )  # fmt: skip


def _queue(tx: Tx, scope: Scope, request: Request, limits: list[dict[str, Any]]) -> None:
    until = tx.now + int(request.lease_s * SECOND)
    for row in limits:
        ticket = row["tickets"] + 1
        raw.put(tx, TABLE, {"tickets": ticket}, {"id": row["id"]})
        tx.insert(SLOTS, _row(tx, scope, request, row["id"], "WAITING", until, ticket))


def _grant(tx: Tx, scope: Scope, request: Request, facts: list[LimitFacts]) -> None:
    release(tx, request.id)
    until = tx.now + int(request.lease_s * SECOND)
    for fact in facts:
        if request.kind == "slots" and fact.slots is not None:
            tx.insert(SLOTS, _row(tx, scope, request, fact.id, "HELD", until, 0))
        if fact.rate is not None:
            spent = _row(tx, scope, request, fact.id, "SPENT", tx.now + fact.period, 0)
            tx.insert(SLOTS, {**spent, "attempt_id": None})


def _row(
    tx: Tx, scope: Scope, request: Request, limit_id: Id, state: str, until: Micros, ticket: int
) -> dict[str, Any]:  # fmt: skip
    return {
        "id": new_id(), "workspace_id": scope.workspace_id, "limit_id": limit_id, "request_id": request.id,
        "state": state, "occupy": request.occupy, "ticket": ticket, "run_id": request.run_id,
        "attempt_id": request.attempt_id, "task_run_id": request.task_run_id, "at": tx.now, "expires_at": until,
    }  # fmt: skip


def _said(tx: Tx, text: str) -> str:
    return text.replace("?", raw.mark(tx.dialect))
