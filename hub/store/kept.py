"""Results in stores as the tables know them: references, who uses them, what may go."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, delete, select, update

from hub.store.base import Tx
from hub.store.tables import Artifact, CacheEntry, ResultGarbage, ResultUse, RunRow, TaskRunRow
from hub.types import SECOND, Id, Micros, Scope

USES = ResultUse.__table__
GARBAGE = ResultGarbage.__table__
_RUNS, _TASKS, _CACHE = RunRow.__table__, TaskRunRow.__table__, CacheEntry.__table__
_ARTIFACTS = Artifact.__table__
_ID = 36
_LONGEST_PAUSE = 86_400


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a result is, as its row says."""

    store: str
    key: str
    size: int
    sha256: str
    serializer: str


def reference(result: bytes | None, format_: str | None) -> Reference | None:
    """What the columns `result` and `result_format` refer to; None for a result that stands in its row, or nowhere."""
    store, colon, serializer = (format_ or "").partition(":")
    if not colon or result is None:
        return None
    try:
        found = json.loads(bytes(result))
        return Reference(store, str(found["key"]), int(found["bytes"]), str(found["sha256"]), serializer)
    except (ValueError, KeyError, TypeError):
        return None


def use(tx: Tx, workspace_id: Id, run_id: Id, result: bytes | None, format_: str | None) -> None:
    """Note that a run refers to a result of another one."""
    found = reference(result, format_)
    if found is not None:
        row = {"key": found.key, "run_id": run_id, "workspace_id": workspace_id, "store": found.store, "at": tx.now}
        tx.insert_missing(USES, row)


def leave(tx: Tx, workspace_id: Id, result: bytes | None, format_: str | None) -> None:
    """Somebody stops referring to a result: it will be looked at."""
    found = reference(result, format_)
    if found is not None:
        row = {
            "key": found.key, "workspace_id": workspace_id, "store": found.store, "size": found.size,
            "due_at": tx.now, "tries": 0, "error": "",
        }  # fmt: skip
        tx.insert_missing(GARBAGE, row)


def leave_all(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    """The same for rows with `workspace_id`, `result` and `result_format`."""
    for row in rows:
        leave(tx, row["workspace_id"], row["result"], row["result_format"])


def end_uses(tx: Tx, run_ids: Sequence[Id], *, limit: int) -> int:
    """Runs are removed: what they used is looked at. How many uses went."""
    query = select(USES).where(USES.c.run_id.in_(run_ids)).limit(limit)
    rows = [dict(row) for row in tx.conn.execute(query).mappings()]
    for row in rows:
        gone = {name: row[name] for name in ("key", "workspace_id", "store")}
        tx.insert_missing(GARBAGE, {**gone, "size": 0, "due_at": tx.now, "tries": 0, "error": ""})
        tx.conn.execute(delete(USES).where(USES.c.key == row["key"], USES.c.run_id == row["run_id"]))
    return len(rows)


def garbage(tx: Tx, *, limit: int, workspace_id: Id | None = None) -> list[dict[str, Any]]:
    """What is to be looked at now."""
    query: Select[Any] = select(GARBAGE).where(GARBAGE.c.due_at <= tx.now).order_by(GARBAGE.c.due_at).limit(limit)
    if workspace_id is not None:
        query = query.where(GARBAGE.c.workspace_id == workspace_id)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def forget(tx: Tx, keys: Sequence[str]) -> None:
    """They have been looked at, and are gone or in use."""
    tx.conn.execute(delete(GARBAGE).where(GARBAGE.c.key.in_(list(keys))))


def failed(tx: Tx, row: Mapping[str, Any], error: str) -> None:
    """A store did not let it go: later again, each time after a longer pause."""
    pause: Micros = min(60 * 2 ** min(row["tries"], 20), _LONGEST_PAUSE) * SECOND
    values = {"tries": row["tries"] + 1, "error": error[:500], "due_at": tx.now + pause}
    tx.conn.execute(update(GARBAGE).where(GARBAGE.c.key == row["key"]).values(**values))


def in_use(tx: Tx, key: str) -> bool:
    """Whether anything refers to a result: the task or run that wrote it, the cache, or another run."""
    run_id, task_run_id = parsed(key)
    artifact_id = _artifact(key)
    used = select(USES.c.key).where(USES.c.key == key).limit(1)
    if tx.conn.execute(used).first() is not None:
        return True
    columns = ("result", "result_format")
    if artifact_id is not None:
        content = (_ARTIFACTS.c.content.label("result"), _ARTIFACTS.c.content_format.label("result_format"))
        queries = [select(*content).where(_ARTIFACTS.c.id == artifact_id)]
    elif task_run_id is None:
        queries = [select(*(_RUNS.c[name] for name in columns)).where(_RUNS.c.id == run_id)]
    else:
        queries = [
            select(*(_TASKS.c[name] for name in columns)).where(_TASKS.c.id == task_run_id),
            select(*(_CACHE.c[name] for name in columns)).where(_CACHE.c.task_run_id == task_run_id),
        ]
    for query in queries:
        for row in tx.conn.execute(query).mappings():
            found = reference(row["result"], row["result_format"])
            if found is not None and found.key == key:
                return True
    return False


def orphans(tx: Tx, keys: Sequence[str]) -> list[str]:
    """Those of some keys that nothing refers to, and that no running run may still refer to."""
    runs = {parsed(key)[0] for key in keys}
    query = select(_RUNS.c.id).where(_RUNS.c.id.in_(runs), _RUNS.c.ended_at.is_(None))
    alive = set(tx.conn.execute(query).scalars())
    return [key for key in keys if parsed(key)[0] not in alive and not in_use(tx, key)]


def parsed(key: str) -> tuple[Id, Id | None]:
    """Run and task run (None: the run itself) of a key, as `hub.runtime.executor.places` makes it."""
    with contextlib.suppress(ValueError):
        _, run_id, part = key.split("/", 2)
        return run_id, None if part.startswith("run-") else part[:_ID]
    return "", None


def _artifact(key: str) -> Id | None:
    """The artifact of a key; None when it is that of a run or a task run."""
    part = key.rpartition("/")[2]
    return part.removeprefix("artifact-")[:_ID] if part.startswith("artifact-") else None


def of_run(tx: Tx, scope: Scope, run_id: Id, task: str | None) -> dict[str, Any] | None:
    """The row of a run, or of the task run with that id, name or (the newest) task name."""
    if task is None:
        query = select(_RUNS).where(_RUNS.c.id == run_id, _RUNS.c.workspace_id == scope.workspace_id)
    else:
        named = (_TASKS.c.id == task) | (_TASKS.c.name == task) | (_TASKS.c.task_name == task)
        where = (_TASKS.c.run_id == run_id, _TASKS.c.workspace_id == scope.workspace_id, named)
        query = select(_TASKS).where(*where).order_by(_TASKS.c.id.desc()).limit(1)
    found = tx.conn.execute(query).mappings().first()
    return None if found is None else dict(found)


def names(tx: Tx, scope: Scope, ids: Sequence[Id]) -> list[dict[str, Any]]:
    """Id, name and state of task runs."""
    columns = (_TASKS.c.id, _TASKS.c.name, _TASKS.c.state_name)
    query = select(*columns).where(_TASKS.c.id.in_(list(ids)), _TASKS.c.workspace_id == scope.workspace_id)
    return [dict(row) for row in tx.conn.execute(query.order_by(_TASKS.c.id)).mappings()]
