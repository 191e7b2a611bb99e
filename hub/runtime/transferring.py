"""Moving a whole hub into another database: definitions, history and who it is. Resumable, and verified by digests.

What was moved is marked, and no process starts on it any more: two hubs that are the same one would both tick its
schedules.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from hub.errors import ConflictError, UsageError
from hub.runtime import process
from hub.store import stream, transfer
from hub.store.base import Store
from hub.store.transfer import MOVED, UNDER_WAY, Sum
from hub.types import SECOND, now_us

Tell = Callable[[str, int, int], object]
"""Hears of progress: table, rows that are there, rows in all."""
_DONE = "done"


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of a table."""

    table: str
    rows: int
    equal: bool


def shown(url: str) -> str:
    """A database's URL without its password. Raises UsageError for what is none."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        raise UsageError("this is not the URL of a database", hint="Use sqlite:////path or postgresql://...") from None


def plan(source: Store) -> Iterator[tuple[str, int]]:
    """Which tables hold how many rows."""
    with source.read() as tx:
        for name in transfer.names():
            if rows := transfer.count(tx, name):
                yield name, rows


def wait_until_unused(
    source: Store, said: Callable[[float], object], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Wait for the leases of processes that have ended. Raises ConflictError when somebody renews one."""
    last = None
    while True:
        with source.read() as tx:
            found = [one for one in transfer.in_use(tx) if not process.is_dead(one[0])]
        if not found:
            return
        holder, until = max(found, key=lambda one: one[1])
        if last is not None and until > last:
            who = process.Identity.parse(holder.partition("#")[0])
            named = holder if who is None else f"process {who.pid} on {who.host}"
            raise ConflictError(f"{named} works on this database", hint="Stop the hub first.", code="in-use")
        last = until
        said((until - now_us()) / SECOND)
        sleep(2.0)


def move(source: Store, target: Store, *, to: str, anew: bool, tell: Tell) -> list[Moved]:
    """Copy everything, verify it, and mark the source as moved to `to`; what was begun before goes on.

    `anew`: whatever the target holds is removed first. Both are migrated and nobody else works on them. Raises
    ConflictError when the target holds something else, or differs in the end.
    """
    with source.write() as tx:
        ident = stream.site_id(tx)
    if _prepared(target, ident, anew=anew):
        rows = dict(plan(source))
        for name in transfer.names():
            _copy(source, target, name, rows.get(name, 0), tell)
        with target.write() as tx:
            transfer.count_on(tx)
    found = list(compare(source, target))
    if differing := [one.table for one in found if not one.equal]:
        raise ConflictError(
            f"the databases differ in {', '.join(differing)}: the hub has worked since the transfer began",
            hint="Begin again with --anew.", code="differ",
        )  # fmt: skip
    # Cut off between the two, both are whole, and another call finds that and sets the mark.
    with target.write() as tx:
        transfer.note(tx, UNDER_WAY, None)
    with source.write() as tx:
        transfer.note(tx, MOVED, {"to": to, "at": tx.now})
    return found


def undo(source: Store) -> str | None:
    """Take the mark back; gives where everything had gone to, None when there was no mark."""
    with source.write() as tx:
        mark = transfer.value(tx, MOVED)
        transfer.note(tx, MOVED, None)
    return None if mark is None else str(mark["to"])


def compare(source: Store, target: Store) -> Iterator[Moved]:
    """Whether both hold the same, table by table."""
    for name in transfer.names():
        here, there = _sum(source, name), _sum(target, name)
        if here.rows or there.rows:
            yield Moved(name, there.rows, here == there)


def _sum(store: Store, name: str) -> Sum:
    found = Sum()
    with store.read() as tx:
        for rows, _ in transfer.batches(tx, name):
            found = found.plus(rows)
    return found


def _prepared(target: Store, ident: str, *, anew: bool) -> bool:
    """Have the target empty and marked as what this hub moves to, or find it so; False when all is there already."""
    with target.write() as tx:
        mark = transfer.value(tx, UNDER_WAY)
        if not anew and (mark["site"] if mark is not None else transfer.value(tx, "site_id")) == ident:
            return mark is not None
        if not anew and (mark is not None or transfer.not_empty(tx)):
            held = ", ".join(f"{rows} {name}" for name, rows in list(transfer.not_empty(tx).items())[:3])
            raise ConflictError(
                f"the database to move to is not empty: {held or 'another hub is being moved there'}",
                hint="Give an empty one, or --anew to remove what it holds.", code="not-empty",
            )  # fmt: skip
        transfer.clear(tx)
        transfer.note(tx, MOVED, None)
        transfer.note(tx, UNDER_WAY, {"site": ident, "at": {}})
    return True


def _copy(source: Store, target: Store, name: str, rows: int, tell: Tell) -> None:
    """Copy what is missing of a table."""
    with target.read() as tx:
        at = transfer.value(tx, UNDER_WAY)["at"].get(name)
        there = transfer.count(tx, name) if at is not None else 0
    if at == _DONE:
        return
    with source.read() as tx:
        for batch, after in transfer.batches(tx, name, None if at is None else tuple(at)):
            _add(target, name, batch, list(after))
            tell(name, there := there + len(batch), rows)
    _add(target, name, [], _DONE)


def _add(target: Store, name: str, batch: list[transfer.Key], at: object) -> None:
    with target.write() as tx:
        mark = transfer.value(tx, UNDER_WAY)
        if batch:
            transfer.write(tx, name, batch)
        transfer.note(tx, UNDER_WAY, {**mark, "at": {**mark["at"], name: at}})
