"""Lanes: runs of a deployment that share a limit. How many of them execute is counted from their live attempts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, func, select, text

from hub.engine.lanes import Overflow
from hub.engine.run import Run
from hub.store import raw, runs
from hub.store.attempts import IS_LIVE
from hub.store.base import Tx
from hub.store.flow_states import IS_OPEN
from hub.store.tables import Attempt, Deployment, Lane, RunRow
from hub.types import Id, Micros, Scope

TABLE = Lane.__table__
_RUNS = RunRow.__table__
_ATTEMPTS = Attempt.__table__
_DEPLOYMENTS = Deployment.__table__
_SPLIT = "/"
_MAX_KEY = 200


def name_of(deployment_id: Id, key: str = "") -> str:
    """The name of a lane."""
    return f"{deployment_id}{_SPLIT}{key}" if key else deployment_id


def key_of(lane: str) -> str:
    """The key in a lane's name; empty when its deployment has none."""
    return lane.partition(_SPLIT)[2]


def fit(key: object) -> str:
    """A key as it stands in a lane's name."""
    return str(key).replace("\0", "\ufffd")[:_MAX_KEY]


# Built once, for both dialects: the lanes in which as many runs execute as their deployment allows.
_FULL = (
    "SELECT r.lane FROM attempts a JOIN runs r ON r.id = a.run_id JOIN deployments d ON d.id = r.deployment_id "
    "WHERE a.state in ('PUBLISHED','CLAIMED') AND r.lane IS NOT NULL AND d.concurrency IS NOT NULL "
    "GROUP BY r.lane HAVING COUNT(*) >= MAX(d.concurrency)"
)
_WAITS = "state_type = 'SCHEDULED' AND lane IS NOT NULL"
_HEADS = (
    "WITH RECURSIVE heads(lane) AS ("  # noqa: S608 - fixed words
    f"SELECT (SELECT MIN(lane) FROM runs WHERE {_WAITS} AND queue = ?) UNION ALL "
    f"SELECT (SELECT MIN(lane) FROM runs WHERE {_WAITS} AND queue = ? AND lane > heads.lane) FROM heads "
    "WHERE heads.lane IS NOT NULL) "
)


class Waiting(NamedTuple):
    """A run that is due: its place in time, its lane, and the flow state that must let it through first."""

    at: Micros
    run: Run
    lane: str | None = None
    throttle: Id | None = None


def waiting(tx: Tx, queue: str, workspace_id: Id, *, limit: int) -> list[Waiting]:
    """The first due run of every lane that is not full, with its place in time and its lane, the first to be served
    in front.

    A lane that was served has its next run stand as if it had become due only then, so that lanes take turns, and
    nobody outside waits for a lane that has much to do. Blocked lanes do not appear, however many runs wait in them.
    """
    later = "MAX" if tx.dialect == "sqlite" else "GREATEST"
    place = f"{later}(r.due_at, COALESCE(l.served_at, 0))"
    columns = ", ".join(f'r."{name}"' for name in runs.RULE_COLUMNS)
    first = (
        f"SELECT id FROM runs WHERE {_WAITS} AND queue = ? AND lane = heads.lane AND home = 'worker' "  # noqa: S608
        f"AND workspace_id = ? AND due_at <= ? AND {IS_OPEN} ORDER BY due_at, id LIMIT 1"
    )
    said = (
        f"{_HEADS}SELECT {place}, heads.lane, r.throttle, {columns} FROM heads JOIN runs r ON r.id = ({first}) "  # noqa: S608 - fixed words
        f"LEFT JOIN lanes l ON l.id = heads.lane WHERE heads.lane IS NOT NULL AND heads.lane NOT IN ({_FULL}) "
        f"ORDER BY 1, r.id LIMIT {int(limit)}"
    )
    found = raw.fetch(tx, said, (queue, queue, queue, workspace_id, tx.now, tx.now))
    return [
        Waiting(row[0], runs.as_run(raw.as_row(_RUNS, runs.RULE_COLUMNS, row[3:])), row[1], row[2]) for row in found
    ]


def served(tx: Tx, workspace_id: Id, lane: str | None) -> None:
    """Note that a run of a lane was sent out; the lane stands at the end of the turn now."""
    if lane and key_of(lane):
        tx.upsert(TABLE, {"id": lane, "workspace_id": workspace_id, "served_at": tx.now}, keys=["id"])


def around(tx: Tx, scope: Scope, run_id: Id) -> dict[str, Any] | None:
    """The lane in which a run waits: deployment's name, key, slots, the runs that execute, its place; None: no lane."""
    query = (
        select(_RUNS.c.lane, _RUNS.c.due_at, _RUNS.c.queue, _DEPLOYMENTS.c.name, _DEPLOYMENTS.c.concurrency)
        .join(_DEPLOYMENTS, _DEPLOYMENTS.c.id == _RUNS.c.deployment_id)
        .where(_RUNS.c.id == run_id, _RUNS.c.workspace_id == scope.workspace_id, _RUNS.c.lane.is_not(None))
    )
    row = tx.conn.execute(query).mappings().first()
    if row is None or row["concurrency"] is None:
        return None
    earlier = select(_RUNS.c.id).where(
        text(f"runs.{_WAITS.replace(' AND lane', ' AND runs.lane')}"), _RUNS.c.queue == row["queue"],
        _RUNS.c.lane == row["lane"], _RUNS.c.due_at < row["due_at"],
    ).limit(1000)  # fmt: skip
    ahead = int(tx.conn.execute(select(func.count()).select_from(earlier.subquery())).scalar_one())
    return {
        "deployment": row["name"], "key": key_of(row["lane"]), "slots": row["concurrency"],
        "holders": tuple(live(tx, row["lane"])), "position": ahead + 1,
    }  # fmt: skip


def live(tx: Tx, lane: str) -> list[Id]:
    """The runs of a lane that have a live attempt, oldest first."""
    return list(tx.conn.execute(_LIVE, {"of": lane}).scalars())


_LIVE = (
    select(_RUNS.c.id)
    .join(_ATTEMPTS, and_(_ATTEMPTS.c.run_id == _RUNS.c.id, IS_LIVE))
    .where(_RUNS.c.lane == bindparam("of"))
    .order_by(_RUNS.c.id)
)


@dataclass(frozen=True, slots=True)
class Choosy:
    """A deployment whose surplus runs are cancelled."""

    id: Id
    workspace_id: Id
    name: str
    concurrency: int
    overflow: Overflow
    queue: str


def choosy(tx: Tx) -> list[Choosy]:
    """The deployments whose surplus runs are cancelled."""
    return [Choosy(*row) for row in raw.fetch(tx, _CHOOSY)]


_CHOOSY = (
    "SELECT id, workspace_id, name, concurrency, overflow, queue FROM deployments "
    "WHERE overflow <> 'enqueue' AND concurrency IS NOT NULL"
)


def waiting_of(tx: Tx, deployment_id: Id, queue: str, *, limit: int = 500) -> list[Any]:
    """Due runs in a deployment's lanes: id, lane, attempt; oldest first."""
    query = select(_RUNS.c.id, _RUNS.c.lane, _RUNS.c.attempt).where(
        text("runs.state_type = 'SCHEDULED' AND runs.lane IS NOT NULL"), _RUNS.c.queue == queue,
        _RUNS.c.deployment_id == deployment_id, _RUNS.c.due_at <= tx.now,
    )  # fmt: skip
    return list(tx.conn.execute(query.order_by(_RUNS.c.id).limit(limit)))


def move_runs(tx: Tx, scope: Scope, deployment_id: Id, lane_for: Any) -> None:
    """Give every run of a deployment that has not ended the lane that `lane_for(parameters)` names (or None)."""
    query = select(_RUNS.c.id, _RUNS.c.parameters).where(
        _RUNS.c.workspace_id == scope.workspace_id, _RUNS.c.deployment_id == deployment_id, _RUNS.c.ended_at.is_(None)
    )
    page, last = query.order_by(_RUNS.c.id).limit(_PAGE), ""
    while rows := tx.conn.execute(page.where(_RUNS.c.id > last)).all():
        for row in rows:
            raw.put(tx, _RUNS, {"lane": lane_for(row.parameters)}, {"id": row.id})
        last = rows[-1].id


_PAGE = 1000


def clear_old(tx: Tx, *, before: Micros, limit: int) -> int:
    """Forget when lanes were served that had nothing to do since."""
    old = select(TABLE.c.id).where(TABLE.c.served_at < before).limit(limit)
    return tx.conn.execute(TABLE.delete().where(TABLE.c.id.in_(old))).rowcount
