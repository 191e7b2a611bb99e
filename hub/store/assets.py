"""Assets: noted when a task makes them, listed with their newest try, and what was made from what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select

from hub.errors import NotFoundError
from hub.store import events
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import Asset, AssetLink, Materialization
from hub.types import Id, Micros, Scope, derived_id, new_id

TABLE = Asset.__table__
MADE = Materialization.__table__
LINKS = AssetLink.__table__


@dataclass(frozen=True, slots=True)
class Tried:
    """What a try of a task run says of the assets that it makes. `error` None: it made them."""

    keys: tuple[str, ...]
    upstream: tuple[str, ...]
    run_id: Id
    task_run_id: Id
    flow_name: str
    task_name: str
    attempt: int
    error: str | None = None
    details: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def record(tx: Tx, scope: Scope, tried: Tried) -> None:
    """Note that a task made its assets, or failed to; once for each try."""
    # In one order, so that two who note new ones at once do not wait for each other.
    ids = {key: _known(tx, scope, key) for key in sorted({*tried.keys, *tried.upstream})}
    state = "materialized" if tried.error is None else "failed"
    for key in tried.keys:
        details = dict(tried.details.get(key, {}))
        row = {
            "id": derived_id(tried.task_run_id, "asset", key, str(tried.attempt)), "workspace_id": scope.workspace_id,
            "asset_id": ids[key], "asset_key": key, "state": state, "run_id": tried.run_id,
            "task_run_id": tried.task_run_id, "flow_name": tried.flow_name, "task_name": tried.task_name,
            "attempt": tried.attempt, "upstream": list(tried.upstream), "details": details, "error": tried.error,
            "at": tx.now,
        }  # fmt: skip
        if tx.insert_ignore(MADE, row):
            _tell(tx, scope, row)
        for upstream in tried.upstream:
            link = {"asset_id": ids[key], "upstream_id": ids[upstream], "workspace_id": scope.workspace_id}
            if upstream != key and tried.error is None:
                tx.insert_missing(LINKS, link)
    tx.wake("artifacts")


def listing(
    tx: Tx, scope: Scope, *, key: str | None = None, limit: int = 50, cursor: str | None = None
) -> Page[dict[str, Any]]:
    """Assets with their newest try (`state` null: none), the newest assets first."""
    query = _with_newest(TABLE.c.workspace_id == scope.workspace_id)
    if key is not None:
        query = query.where(TABLE.c.key == key)
    return page(tx, query, TABLE.c.id, limit=limit, cursor=cursor, make=dict)


def get(tx: Tx, scope: Scope, asset_id: Id) -> dict[str, Any]:
    """One asset with its newest try. Raises NotFoundError."""
    query = _with_newest(TABLE.c.workspace_id == scope.workspace_id, TABLE.c.id == asset_id)
    row = tx.conn.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(f"there is no asset {asset_id} in this workspace", hint="`hub assets ls` lists them.")
    return dict(row)


def materializations(
    tx: Tx, scope: Scope, asset_id: Id, *, limit: int = 50, cursor: str | None = None
) -> Page[dict[str, Any]]:
    """The times that an asset was made or not, newest first."""
    query = select(MADE).where(MADE.c.asset_id == asset_id, MADE.c.workspace_id == scope.workspace_id)
    return page(tx, query, MADE.c.number, limit=limit, cursor=cursor, make=dict)


def of_run(tx: Tx, scope: Scope, run_id: Id, *, limit: int) -> list[dict[str, Any]]:
    """What a run made, or failed to make, in that order."""
    query = select(MADE).where(MADE.c.workspace_id == scope.workspace_id, MADE.c.run_id == run_id)
    return [dict(row) for row in tx.conn.execute(query.order_by(MADE.c.number).limit(limit)).mappings()]


def neighbours(tx: Tx, scope: Scope, asset_id: Id, *, steps: int, limit: int) -> dict[int, list[Id]]:
    """Assets around one, by how many steps they are before (negative) or after it; at most `limit` a step."""
    found: dict[int, list[Id]] = {0: [asset_id]}
    seen = {asset_id}
    for sign, here, there in ((-1, LINKS.c.asset_id, LINKS.c.upstream_id), (1, LINKS.c.upstream_id, LINKS.c.asset_id)):
        last = [asset_id]
        for step in range(1, steps + 1):
            query = select(there).distinct().where(LINKS.c.workspace_id == scope.workspace_id, here.in_(last))
            rows = tx.conn.execute(query.order_by(there).limit(limit + len(seen))).scalars()
            last = [other for other in rows if other not in seen][:limit]
            if not last:
                break
            seen.update(last)
            found[sign * step] = last
    return found


def links_among(tx: Tx, scope: Scope, ids: Iterable[Id]) -> list[tuple[Id, Id]]:
    """The links between some assets, as (from, to)."""
    wanted = list(ids)
    query = select(LINKS.c.upstream_id, LINKS.c.asset_id).where(
        LINKS.c.workspace_id == scope.workspace_id, LINKS.c.asset_id.in_(wanted), LINKS.c.upstream_id.in_(wanted)
    )
    return [(row[0], row[1]) for row in tx.conn.execute(query.order_by(*query.selected_columns))]


def by_ids(tx: Tx, scope: Scope, ids: Iterable[Id]) -> dict[Id, dict[str, Any]]:
    """Some assets with their newest tries."""
    query = _with_newest(TABLE.c.workspace_id == scope.workspace_id, TABLE.c.id.in_(list(ids)))
    return {row["id"]: dict(row) for row in tx.conn.execute(query).mappings()}


def trim(tx: Tx, *, before: Micros, limit: int) -> int:
    """Remove tries from before then, but for the newest of each asset. How many went."""
    later = MADE.alias("later")
    newer = select(later.c.number).where(later.c.asset_id == MADE.c.asset_id, later.c.number > MADE.c.number)
    some = select(MADE.c.number).where(MADE.c.at < before, newer.exists()).order_by(MADE.c.at).limit(limit)
    return tx.conn.execute(delete(MADE).where(MADE.c.number.in_(list(tx.conn.execute(some).scalars())))).rowcount


def _known(tx: Tx, scope: Scope, key: str) -> Id:
    query = select(TABLE.c.id).where(TABLE.c.workspace_id == scope.workspace_id, TABLE.c.key == key)
    found: Id | None = tx.conn.execute(query).scalar()
    if found is None:
        row = {"id": new_id(), "workspace_id": scope.workspace_id, "key": key, "created_at": tx.now}
        if tx.insert_ignore(TABLE, row):
            return str(row["id"])
        found = tx.conn.execute(query).scalar_one()
    return found


def _with_newest(*where: ColumnElement[bool]) -> Any:
    newest = (
        select(func.max(MADE.c.number)).where(MADE.c.asset_id == TABLE.c.id).correlate(TABLE).scalar_subquery()
    )  # fmt: skip
    names = ("state", "run_id", "task_run_id", "flow_name", "task_name", "at", "error", "details")
    columns = [MADE.c[name] for name in names]
    return select(TABLE, *columns).select_from(TABLE.outerjoin(MADE, MADE.c.number == newest)).where(*where)


def _tell(tx: Tx, scope: Scope, row: Mapping[str, Any]) -> None:
    fields = {name: row[name] for name in ("flow_name", "task_name", "task_run_id", "attempt", "upstream", "details")}
    verb = row["state"]
    if verb == "failed":
        fields["error"] = row["error"]
    events.append(
        tx, scope, f"hub.asset.{verb}", subject=row["asset_key"], run_id=row["run_id"], key=row["asset_key"],
        asset_id=row["asset_id"], **fields,
    )  # fmt: skip
