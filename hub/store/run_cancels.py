"""Which events cancel which runs, and how far the events were looked at for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, select, update

from hub.store import raw
from hub.store.base import Tx
from hub.store.tables import Deployment, RunCancel, RunRow, SiteValue
from hub.types import Id, Micros, Scope, derived_id

TABLE = RunCancel.__table__
_RUNS = RunRow.__table__
_DEPLOYMENTS = Deployment.__table__
_VALUES = SiteValue.__table__
_CURSOR = "cancel_on.cursor"
_COLUMNS = (
    *TABLE.c, _RUNS.c.parameters, _RUNS.c.attempt, _RUNS.c.deployment_id, _RUNS.c.deployment_name, _RUNS.c.origin,
    _DEPLOYMENTS.c.parameter_schema,
)  # fmt: skip

_WITH_RUNS = (
    select(*_COLUMNS)
    .join(_RUNS, _RUNS.c.id == TABLE.c.run_id)
    .join(_DEPLOYMENTS, _DEPLOYMENTS.c.id == _RUNS.c.deployment_id, isouter=True)
)


def add(tx: Tx, scope: Scope, run_id: Id, rows: Sequence[Mapping[str, Any]]) -> None:
    """Let events cancel a run. `rows`: event, condition, after_seq, expires_at."""
    for number, row in enumerate(rows):
        id_ = derived_id(run_id, "cancel_on", str(number))
        tx.insert_missing(TABLE, {"id": id_, "workspace_id": scope.workspace_id, "run_id": run_id, **row})


def patterns(tx: Tx, *, new: bool = False) -> set[str]:
    """The types of events that cancel any run; `new`: of those for which older events are still to be looked at."""
    query = select(TABLE.c.event).distinct()
    return set(tx.conn.execute(query.where(TABLE.c.caught_up.is_(False)) if new else query).scalars())


def first_seq(tx: Tx) -> int:
    """Nothing up to this event cancels any run."""
    return int(tx.conn.execute(select(func.min(TABLE.c.after_seq))).scalar() or 0)


def of_patterns(tx: Tx, wanted: Collection[str]) -> list[dict[str, Any]]:
    """What waits for events of these types, for runs of any workspace that have not ended, with these runs."""
    query = _WITH_RUNS.where(TABLE.c.event.in_(list(wanted)), _RUNS.c.ended_at.is_(None))
    return [dict(row) for row in tx.conn.execute(query.order_by(TABLE.c.id)).mappings()]


def new_ones(tx: Tx, *, limit: int) -> list[dict[str, Any]]:
    """The same for those for which older events are still to be looked at."""
    query = _WITH_RUNS.where(TABLE.c.caught_up.is_(False))
    return [dict(row) for row in tx.conn.execute(query.order_by(TABLE.c.id).limit(limit)).mappings()]


def move(tx: Tx, ids: Collection[Id], *, seq: int, caught_up: bool) -> None:
    """Events up to `seq` were looked at for these."""
    query = update(TABLE).where(TABLE.c.id.in_(list(ids)))
    tx.conn.execute(query.where(TABLE.c.after_seq < seq).values(after_seq=seq))
    if caught_up:
        tx.conn.execute(query.values(caught_up=True))


def cursor(tx: Tx) -> int:
    """The last event that was looked at for all that had caught up."""
    found = raw.select_one(tx, _VALUES, ("value",), {"name": _CURSOR})
    return 0 if found is None else int(found["value"])


def lock(tx: Tx) -> int:
    """The cursor, which nobody else moves until the end of this transaction."""
    if tx.dialect == "sqlite":
        return cursor(tx)  # a transaction that writes is alone
    tx.insert_missing(_VALUES, {"name": _CURSOR, "value": 0})
    return int(raw.select_rows(tx, _VALUES, ("value",), {"name": _CURSOR}, tail="FOR UPDATE")[0]["value"])


def advance(tx: Tx, seq: int) -> None:
    """Move the cursor, which the caller holds."""
    tx.upsert(_VALUES, {"name": _CURSOR, "value": seq}, keys=["name"])


def trim(tx: Tx, *, before: Micros, limit: int) -> int:
    """Forget those whose run has ended, or whose time was over before then."""
    ended = select(TABLE.c.id).join(_RUNS, _RUNS.c.id == TABLE.c.run_id, isouter=True)
    ended = ended.where(_RUNS.c.ended_at.is_not(None) | _RUNS.c.id.is_(None) | (TABLE.c.expires_at < before))
    ids = list(tx.conn.execute(ended.limit(limit)).scalars())
    return tx.conn.execute(delete(TABLE).where(TABLE.c.id.in_(ids))).rowcount if ids else 0
