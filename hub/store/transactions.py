"""Steps of transactions as the tables know them: staged, committed, undone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, update

from hub.states import TERMINAL
from hub.store import attempts, events, kept, raw
from hub.store.base import Tx
from hub.store.tables import Compensation, RunRow, TaskRunRow, TransactionKey, TransactionRow
from hub.types import Id, Scope, derived_id, new_id

ROLLBACK = "rollback"
"""The origin of a run that undoes steps of another one."""
TABLE = Compensation.__table__
VALUES = TransactionRow.__table__
KEYS = TransactionKey.__table__
_RUNS, _TASKS = RunRow.__table__, TaskRunRow.__table__
OPEN = ("staged", "rolling_back")
UNDONE = ("rolling_back", "done", "failed")
"""What was (or is about to be) taken back, so that no later attempt counts it as done."""
_HEAVY = frozenset({"arguments", "result"})


def compensation_id(task_run_id: Id, attempt: int) -> Id:
    """The id of the row of one execution of a task; also what its hooks get as `idempotency_key`."""
    return derived_id(task_run_id, "compensation", str(attempt))


def held(tx: Tx, scope: Scope, run_id: Id, attempt: int, epoch: int) -> bool:
    """Whether the run is still executed by that attempt; until the end of the transaction."""
    tail = "FOR SHARE" if tx.dialect == "postgresql" else ""
    where = {"id": run_id, "workspace_id": scope.workspace_id}
    rows = raw.select_rows(tx, _RUNS, ("attempt", "epoch", "state_type"), where, tail=tail)
    return any(
        (row["attempt"], row["epoch"]) == (attempt, epoch) and row["state_type"] in ("RUNNING", "CANCELLING")
        for row in rows
    )


def move(tx: Tx, scope: Scope, key: Id, owner: Id, path: str) -> str | None:
    """Note that a staged step belongs to that transaction now; gives its state, None when it was never staged."""
    row = raw.select_one(tx, TABLE, ("state", "path", "owner_run_id"), {"id": key, "workspace_id": scope.workspace_id})
    if row is None:
        return None
    if row["state"] == "staged" and (row["path"], row["owner_run_id"]) != (path, owner):
        raw.put(tx, TABLE, {"path": path, "owner_run_id": owner}, {"id": key, "state": "staged"})
    return str(row["state"])


def state(tx: Tx, scope: Scope, key: Id) -> str | None:
    """The state of a staged step; None when it was never staged."""
    row = raw.select_one(tx, TABLE, ("state",), {"id": key, "workspace_id": scope.workspace_id})
    return None if row is None else str(row["state"])


def commit(tx: Tx, scope: Scope, owner: Id, path: str) -> int:
    """Keep for good what is staged in a transaction and those within it."""
    where = (*_of(scope, owner), TABLE.c.state == "staged", _within(path))
    return tx.conn.execute(update(TABLE).where(*where).values(state="committed", **_over(tx))).rowcount


def to_commit(tx: Tx, scope: Scope, owner: Id, path: str) -> list[dict[str, Any]]:
    """What is staged in a transaction and has hooks for its commit, first one first."""
    where = (*_of(scope, owner), TABLE.c.state == "staged", TABLE.c.commits > 0, _within(path))
    return [dict(row) for row in tx.conn.execute(select(TABLE).where(*where).order_by(TABLE.c.ordinal)).mappings()]


def begin_rollback(tx: Tx, scope: Scope, owner: Id, path: str = "") -> None:
    """From here on what is staged in a transaction (of the run, with an empty path) is undone, whatever happens."""
    where = (*_of(scope, owner), TABLE.c.state == "staged", _within(path))
    silent = update(TABLE).where(*where, TABLE.c.hooks == 0)
    tx.conn.execute(silent.values(state="done", ended_at=tx.now))
    tx.conn.execute(update(TABLE).where(*where).values(state="rolling_back"))


def to_undo(tx: Tx, scope: Scope, owner: Id, path: str = "") -> list[dict[str, Any]]:
    """What is being rolled back and not undone yet, last first."""
    where = (*_of(scope, owner), TABLE.c.state == "rolling_back", _within(path))
    query = select(TABLE).where(*where).order_by(TABLE.c.ordinal.desc())
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def note(tx: Tx, scope: Scope, row: Mapping[str, Any], **values: Any) -> bool:
    """Note what came of an attempt to undo a step; False when somebody else has ended it."""
    where = {"id": row["id"], "workspace_id": scope.workspace_id, "state": "rolling_back"}
    if values.get("state") == "done":
        values |= _over(tx)
    elif values.get("state") == "failed":
        values["ended_at"] = tx.now
    return raw.change(tx, TABLE, values, where) > 0


def give_up(tx: Tx, scope: Scope, row: Mapping[str, Any], error: str, rollback_run_id: Id | None) -> bool:
    """A step cannot be undone: say so, for good. False when somebody else has ended it."""
    if not note(tx, scope, row, state="failed", error=error):
        return False
    owner = raw.select_one(
        tx, _RUNS, ("name", "flow_name"), {"id": row["owner_run_id"], "workspace_id": scope.workspace_id}
    ) or {"name": "", "flow_name": ""}  # fmt: skip
    events.append(
        tx, scope, "hub.rollback.failed", subject=row["owner_run_id"], run_id=row["owner_run_id"],
        flow_name=owner["flow_name"], run_name=owner["name"], task_name=row["task_name"],
        task_run_id=row["task_run_id"], step=row["name"], tries=row["tries"], rollback_run_id=rollback_run_id,
        error=error,
    )  # fmt: skip
    return True


def give_up_all(tx: Tx, scope: Scope, owner: Id, error: str, rollback_run_id: Id) -> None:
    """Nobody undoes the steps of a run any more."""
    begin_rollback(tx, scope, owner)
    for row in to_undo(tx, scope, owner):
        give_up(tx, scope, row, f"{row['error']}; {error}" if row["error"] else error, rollback_run_id)


def retry(tx: Tx, scope: Scope, owner: Id) -> int:
    """The steps of a run that could not be undone are to be undone after all, with all their tries; says how many."""
    where = (*_of(scope, owner), TABLE.c.state == "failed")
    again = {"state": "rolling_back", "tries": 0, "error": None, "ended_at": None}
    return tx.conn.execute(update(TABLE).where(*where).values(**again)).rowcount


def lost(tx: Tx, scope: Scope, owner: Id) -> list[dict[str, Any]]:
    """Steps of a run that could not be undone, last first."""
    query = select(TABLE).where(*_of(scope, owner), TABLE.c.state == "failed").order_by(TABLE.c.ordinal.desc())
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def put_values(tx: Tx, row: Mapping[str, Any]) -> None:
    """Keep the values of a transaction."""
    raw.upsert(tx, VALUES, row, keys=("id",))


def values_row(scope: Scope, owner: Id, path: str, data: bytes | None, format_: str) -> dict[str, Any]:
    """The row of the values of a transaction."""
    return {
        "id": derived_id(owner, "transaction", path), "workspace_id": scope.workspace_id, "run_id": owner, "path": path,
        "values": data, "values_format": format_,
    }  # fmt: skip


def values(tx: Tx, scope: Scope, owner: Id, path: str) -> list[dict[str, Any]]:
    """The values of a transaction and of those around it, the outermost first."""
    parts = path.split("/")
    ids = [derived_id(owner, "transaction", "/".join(parts[: at + 1])) for at in range(len(parts))]
    rows = raw.select_many(tx, VALUES, ("id", "workspace_id", "values", "values_format"), "id", ids)
    known = {row["id"]: row for row in rows if row["workspace_id"] == scope.workspace_id}
    return [known[key] for key in ids if key in known]


def use_arguments(tx: Tx, scope: Scope, run_id: Id, data: bytes | None, format_: str) -> None:
    """Note that a run refers to arguments in a result store, so that they stay as long as it does."""
    kept.use(tx, scope.workspace_id, run_id, data, format_)


def undone(tx: Tx, scope: Scope, run_id: Id) -> set[Id]:
    """The task runs of a run whose last execution was undone, or is about to be."""
    same = and_(TABLE.c.task_run_id == _TASKS.c.id, TABLE.c.task_attempt == _TASKS.c.attempt)
    query = select(_TASKS.c.id).select_from(TABLE.join(_TASKS, same)).where(
        TABLE.c.run_id == run_id, TABLE.c.workspace_id == scope.workspace_id, TABLE.c.state.in_(UNDONE)
    )  # fmt: skip
    return set(tx.conn.execute(query).scalars())


def unfinished(tx: Tx, scope: Scope, owner: Id) -> int:
    """How many steps of a run are neither committed nor undone."""
    query = select(TABLE.c.id).where(*_of(scope, owner), TABLE.c.state.in_(OPEN))
    return len(tx.conn.execute(query).all())


def of_run(tx: Tx, scope: Scope, run_id: Id) -> list[dict[str, Any]]:
    """The steps with hooks that a run staged or that were staged for it, oldest first, without their contents."""
    columns = [column for column in TABLE.c if column.name not in _HEAVY]
    mine = or_(TABLE.c.run_id == run_id, TABLE.c.owner_run_id == run_id)
    where = (mine, TABLE.c.workspace_id == scope.workspace_id, TABLE.c.hooks > 0)
    query = select(*columns).where(*where).order_by(TABLE.c.ordinal).limit(1000)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def abandoned(tx: Tx, *, limit: int = 50) -> list[dict[str, Any]]:
    """Runs that have ended with steps that are neither committed nor undone, of all workspaces."""
    # Asked after every run, and mostly there is no such step anywhere.
    if not raw.fetch(tx, _ANY_OPEN):
        return []
    columns = [_RUNS.c[name] for name in ("id", "workspace_id", "name", "flow_name", "queue", "tags", "state_name")]
    owners = select(TABLE.c.owner_run_id).where(TABLE.c.state.in_(OPEN)).distinct()
    query = select(*columns).where(_RUNS.c.id.in_(owners), _RUNS.c.state_type.in_([one.value for one in TERMINAL]))
    return [dict(row) for row in tx.conn.execute(query.limit(limit)).mappings()]


# In the words of the partial index.
_ANY_OPEN = "SELECT owner_run_id FROM compensations WHERE state in ('staged','rolling_back') LIMIT 1"


def rollback_runs(tx: Tx, scope: Scope, owner: Id) -> list[dict[str, Any]]:
    """The runs that undo steps of a run, oldest first."""
    columns = [_RUNS.c[name] for name in ("id", "state_type", "state_name", "state_message", "ended_at")]
    where = (
        _RUNS.c.parent_run_id == owner, _RUNS.c.workspace_id == scope.workspace_id, _RUNS.c.origin == ROLLBACK,
    )  # fmt: skip
    query = select(*columns).where(*where).order_by(_RUNS.c.created_at, _RUNS.c.id)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


# --- keys -----------------------------------------------------------------------------------------------------------


def is_committed(tx: Tx, scope: Scope, key: str) -> bool:
    """Whether a transaction with that key has committed."""
    row = _key(tx, scope, key)
    return row is not None and row["committed_at"] is not None


def hold(
    tx: Tx, scope: Scope, key: str, *, run_id: Id, attempt_id: Id | None, holder: str, mine: Iterable[str]
) -> bool:  # fmt: skip
    """Become the only transaction with that key; False while another one is. `mine`: holders that are the asker."""
    row = _key(tx, scope, key)
    wanted = {"run_id": run_id, "holder": holder, "holder_attempt_id": attempt_id}
    if row is None:
        fresh = {"id": new_id(), "workspace_id": scope.workspace_id, "key": key, "committed_at": None, **wanted}
        return tx.insert_ignore(KEYS, fresh)
    if row["holder"] is not None and row["holder"] not in mine and _alive(tx, row["holder_attempt_id"]):
        return False
    if row["committed_at"] is not None:
        del wanted["run_id"]
    seen = [KEYS.c.id == row["id"], KEYS.c.holder.is_not_distinct_from(row["holder"])]
    return tx.conn.execute(update(KEYS).where(*seen).values(**wanted)).rowcount > 0


def release(tx: Tx, scope: Scope, key: str, holder: str) -> None:
    """Let the next one have the key."""
    where = (KEYS.c.workspace_id == scope.workspace_id, KEYS.c.key == key, KEYS.c.holder == holder)
    tx.conn.execute(update(KEYS).where(*where).values(holder=None, holder_attempt_id=None))


def commit_key(tx: Tx, scope: Scope, key: str, run_id: Id) -> None:
    """Remember that a transaction with that key has committed. The first one counts."""
    row = {"id": new_id(), "workspace_id": scope.workspace_id, "key": key, "run_id": run_id, "committed_at": tx.now}
    if not tx.insert_ignore(KEYS, row):
        where = (KEYS.c.workspace_id == scope.workspace_id, KEYS.c.key == key, KEYS.c.committed_at.is_(None))
        tx.conn.execute(update(KEYS).where(*where).values(committed_at=tx.now, run_id=run_id))


def _key(tx: Tx, scope: Scope, key: str) -> dict[str, Any] | None:
    return raw.select_one(tx, KEYS, raw.names_of(KEYS), {"key": key, "workspace_id": scope.workspace_id})


def _alive(tx: Tx, attempt_id: Id | None) -> bool:
    attempt = attempts.get(tx, attempt_id) if attempt_id else None
    return attempt is not None and attempt["state"] == "CLAIMED" and (attempt["lease_until"] or 0) > tx.now


def _over(tx: Tx) -> dict[str, Any]:
    """Of a step whose hooks are called no more: what they would need is dropped."""
    return {"ended_at": tx.now, "arguments": None, "result": None}


def _of(scope: Scope, owner: Id) -> tuple[ColumnElement[bool], ...]:
    return (TABLE.c.workspace_id == scope.workspace_id, TABLE.c.owner_run_id == owner)


def _within(path: str) -> ColumnElement[bool]:
    """Of the transaction of that path, and those within it; paths hold no wildcards."""
    return or_(TABLE.c.path == path, TABLE.c.path.like(f"{path}/%")) if path else TABLE.c.path != ""
