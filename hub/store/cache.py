"""Entries of the cache: asked for, computed by one while others wait, listed, cleared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import delete, func, or_, select, update

from hub.store import attempts, kept
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import CacheEntry, RunRow, TaskRunRow
from hub.types import Id, Micros, Scope, new_id

TABLE = CacheEntry.__table__
_TASKS, _RUNS = TaskRunRow.__table__, RunRow.__table__
_SHOWN = tuple(column for column in TABLE.c if column.name not in ("result", "holder_attempt_id"))
NEAREST = 50
"""So many of a task's newest entries are compared with a key that was missed."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who asks: the attempt whose lease keeps the place, and the task run that computes."""

    attempt_id: Id
    run_id: Id
    task_run_id: Id


@dataclass(frozen=True, slots=True)
class Answer:
    """`hit`: the row has a result; `mine`: the asker shall compute it; `held`: somebody else does (see the row).

    `why`: whose result a hit is; what became of the one that was there, of a miss.
    """

    kind: Literal["hit", "mine", "held"]
    row: Mapping[str, Any]
    why: str = ""


def ask(
    tx: Tx, scope: Scope, key: str, holder: Holder, *, task_key: str, task_name: str, parts: Mapping[str, Any]
) -> Answer:
    """What there is under a key; where there is nothing (any more), the asker becomes its holder."""
    row = find(tx, scope, key)
    if row is None:
        row = {
            "id": new_id(), "workspace_id": scope.workspace_id, "key": key, "task_key": task_key,
            "task_name": task_name, "parts": dict(parts), **_held(tx, holder),
        }  # fmt: skip
        if tx.insert_ignore(TABLE, row):
            return Answer("mine", row)
        row = find(tx, scope, key)
        if row is None:  # made and removed meanwhile
            return Answer("held", {"holder_task_run_id": None})
    if row["state"] == "ready" and (row["expires_at"] is None or row["expires_at"] > tx.now):
        changes = {"hits": TABLE.c.hits + 1, "last_hit_at": tx.now, "used_at": tx.now}
        tx.conn.execute(update(TABLE).where(TABLE.c.id == row["id"]).values(**changes))
        return Answer("hit", row, f"the result of {_source(tx, row)}")
    if row["state"] == "held" and row["holder_task_run_id"] != holder.task_run_id and _alive(tx, row):
        return Answer("held", row)
    # Only from what was seen: of two who find an entry that is over, one becomes its holder.
    seen = [TABLE.c[name] == row[name] for name in ("id", "state", "created_at")]
    changed = tx.conn.execute(update(TABLE).where(*seen).values(**_held(tx, holder), expires_at=None)).rowcount
    if changed and row["state"] == "ready":
        kept.leave(tx, scope.workspace_id, row["result"], row["result_format"])
    over = "the entry has expired" if row["state"] == "ready" else "who computed it was lost"
    return Answer("mine", row, over) if changed else Answer("held", row)


def publish(
    tx: Tx, scope: Scope, key: str, holder: Holder, *, result: bytes | None, format_: str, size: int,
    expires_at: Micros | None,
) -> bool:  # fmt: skip
    """Give what was computed to everybody; False when the place is no longer the holder's."""
    values = {
        "state": "ready", "holder_attempt_id": None, "holder_task_run_id": None, "run_id": holder.run_id,
        "task_run_id": holder.task_run_id, "result": result, "result_format": format_, "size": size, "hits": 0,
        "created_at": tx.now, "expires_at": expires_at, "last_hit_at": None, "used_at": tx.now,
    }  # fmt: skip
    mine = (*_where(scope, key), TABLE.c.state == "held", TABLE.c.holder_task_run_id == holder.task_run_id)
    return bool(tx.conn.execute(update(TABLE).where(*mine).values(**values)).rowcount)


def take(
    tx: Tx, scope: Scope, key: str, holder: Holder, *, task_key: str, task_name: str, parts: Mapping[str, Any]
) -> None:
    """Become the holder whatever is there: for a task that computes anew in any case."""
    row = {
        "id": new_id(), "workspace_id": scope.workspace_id, "key": key, "task_key": task_key,
        "task_name": task_name, "parts": dict(parts), **_held(tx, holder),
    }  # fmt: skip
    if not tx.insert_ignore(TABLE, row):
        before = find(tx, scope, key)
        tx.conn.execute(update(TABLE).where(*_where(scope, key)).values(**_held(tx, holder)))
        if before is not None and before["state"] == "ready":
            kept.leave(tx, scope.workspace_id, before["result"], before["result_format"])


def release(tx: Tx, scope: Scope, key: str, holder: Holder) -> None:
    """Give the place up: nothing came of it."""
    mine = (TABLE.c.state == "held", TABLE.c.holder_task_run_id == holder.task_run_id)
    tx.conn.execute(delete(TABLE).where(*_where(scope, key), *mine))


def drop(tx: Tx, scope: Scope, row: Mapping[str, Any]) -> None:
    """Remove an entry whose result cannot be read any more."""
    same = (TABLE.c.id == row["id"], TABLE.c.created_at == row["created_at"], TABLE.c.state == "ready")
    tx.conn.execute(delete(TABLE).where(TABLE.c.workspace_id == scope.workspace_id, *same))


def find(tx: Tx, scope: Scope, key: str) -> dict[str, Any] | None:
    """The entry under a key."""
    found = tx.conn.execute(select(TABLE).where(*_where(scope, key))).mappings().first()
    return None if found is None else dict(found)


def _source(tx: Tx, row: Mapping[str, Any]) -> str:
    """The task run whose result this is, for people."""
    named = select(_TASKS.c.name, _RUNS.c.name.label("run")).join(_RUNS, _RUNS.c.id == _TASKS.c.run_id)
    found = tx.conn.execute(named.where(_TASKS.c.id == row["task_run_id"])).first()
    return f"{found.name} in run {found.run}" if found else f"task run {row['task_run_id']}, which is gone"


def newest(tx: Tx, scope: Scope, task_key: str) -> list[dict[str, Any]]:
    """The newest results of a task: their parts, to say why a key was missed."""
    columns = (TABLE.c.parts, TABLE.c.task_run_id, TABLE.c.expires_at)
    where = (TABLE.c.workspace_id == scope.workspace_id, TABLE.c.task_key == task_key, TABLE.c.state == "ready")
    query = select(*columns).where(*where).order_by(TABLE.c.id.desc()).limit(NEAREST)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def listing(
    tx: Tx, scope: Scope, *, task: str | None = None, limit: int = 50, cursor: str | None = None
) -> Page[dict[str, Any]]:
    """Entries, newest first, without their results."""
    query = select(*_SHOWN).where(TABLE.c.workspace_id == scope.workspace_id, *_of_task(task))
    return page(tx, query, TABLE.c.id, limit=limit, cursor=cursor, make=dict)


def chosen(tx: Tx, scope: Scope, *, task: str | None, key: str | None, expired: bool) -> tuple[int, int]:
    """How many ready entries a clearing would take, and how many bytes."""
    where = _clearing(tx, scope, task, key, expired)
    row = tx.conn.execute(select(func.count(), func.coalesce(func.sum(TABLE.c.size), 0)).where(*where)).one()
    return int(row[0]), int(row[1])


def clear(
    tx: Tx, scope: Scope, *, task: str | None, key: str | None, expired: bool, limit: int
) -> list[dict[str, Any]]:
    """Remove ready entries, at most `limit`; what was removed."""
    some = select(TABLE.c.id).where(*_clearing(tx, scope, task, key, expired)).limit(limit)
    return _gone(tx, some)


def trim(tx: Tx, *, before: Micros | None, limit: int) -> int:
    """Remove what has expired and, with `before`, what nobody has used since then. How many went."""
    over = TABLE.c.expires_at <= tx.now if before is None else TABLE.c.used_at < before
    some = select(TABLE.c.id).where(over).limit(limit)
    return len(_gone(tx, some))


def _gone(tx: Tx, some: Any) -> list[dict[str, Any]]:
    """Remove entries; their results in stores are looked at later."""
    back = (TABLE.c.workspace_id, TABLE.c.result, TABLE.c.result_format, TABLE.c.size)
    rows = tx.conn.execute(delete(TABLE).where(TABLE.c.id.in_(some)).returning(*back)).mappings()
    found = [dict(row) for row in rows]
    kept.leave_all(tx, [row for row in found if row["result"] is not None])
    return found


def _held(tx: Tx, holder: Holder) -> dict[str, Any]:
    return {
        "state": "held", "holder_attempt_id": holder.attempt_id, "holder_task_run_id": holder.task_run_id,
        "created_at": tx.now, "used_at": tx.now,
    }  # fmt: skip


def _alive(tx: Tx, row: Mapping[str, Any]) -> bool:
    """Whether the attempt that computes is: the lease of its run is the lease of the place."""
    attempt = attempts.get(tx, row["holder_attempt_id"]) if row["holder_attempt_id"] else None
    return attempt is not None and attempt["state"] == "CLAIMED" and (attempt["lease_until"] or 0) > tx.now


def _where(scope: Scope, key: str) -> tuple[Any, ...]:
    return (TABLE.c.workspace_id == scope.workspace_id, TABLE.c.key == key)


def _of_task(task: str | None) -> tuple[Any, ...]:
    return () if task is None else (or_(TABLE.c.task_key == task, TABLE.c.task_name == task),)


def _clearing(tx: Tx, scope: Scope, task: str | None, key: str | None, expired: bool) -> tuple[Any, ...]:
    wanted: list[Any] = [TABLE.c.workspace_id == scope.workspace_id, TABLE.c.state == "ready", *_of_task(task)]
    if key is not None:
        wanted.append(TABLE.c.key == key)
    if expired:
        wanted.append(TABLE.c.expires_at <= tx.now)
    return tuple(wanted)
