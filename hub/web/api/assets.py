"""Assets over the API: what tasks make outside, when, and from what."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hub.errors import NotFoundError
from hub.store import assets
from hub.store.base import Tx
from hub.types import Id, Scope
from hub.web.api.fields import NO_NUL, Moment, NoBody, NoQuery, Out, Page, PageQuery
from hub.web.api.op import Api, Call

api = Api()
READ = "assets:read"
NEAR = 100


class AssetQuery(PageQuery):
    """Which assets: the one of a key."""

    key: str | None = Field(default=None, min_length=1, max_length=500, pattern=NO_NUL)


class AssetOut(Out):
    """An asset with its newest try: `state` materialized or failed, null for one that is only made from."""

    id: str
    key: str
    created_at: Moment
    state: str | None
    at: Moment | None
    run_id: str | None
    task_run_id: str | None
    flow_name: str | None
    task_name: str | None
    error: str | None
    metadata: dict[str, Any]


class Near(Out):
    """An asset beside another one."""

    id: str
    key: str
    state: str | None


class AssetDetail(AssetOut):
    """An asset with what it was made from and what was made from it."""

    upstream: list[Near]
    downstream: list[Near]


class MaterializationOut(Out):
    """One time that a task made an asset, or failed to (`state`)."""

    id: str
    asset_key: str
    state: str
    run_id: str
    task_run_id: str
    flow_name: str
    task_name: str
    attempt: int
    upstream: list[str]
    metadata: dict[str, Any]
    error: str | None
    at: Moment


@api.op("GET", "/api/v1/assets", query=AssetQuery, out=Page[AssetOut], scope=READ)
def list_assets(call: Call[NoBody, AssetQuery]) -> Page[AssetOut]:
    """List assets with their newest tries, the newest assets first."""
    query = call.query
    with call.store.read() as tx:
        found = assets.listing(tx, call.scope, key=query.key, limit=query.limit, cursor=query.cursor)
    items = [_shown(row) for row in found.items]
    return Page[AssetOut].model_validate({"items": items, "next_cursor": found.next_cursor})


@api.op("GET", "/api/v1/assets/{asset_id}", out=AssetDetail, scope=READ, errors=[NotFoundError])
def get_asset(call: Call[NoBody, NoQuery]) -> AssetDetail:
    """Show an asset, what it was made from and what was made from it."""
    asset_id = call.path["asset_id"]
    with call.store.read() as tx:
        row = assets.get(tx, call.scope, asset_id)
        around = assets.neighbours(tx, call.scope, asset_id, steps=1, limit=NEAR)
        near = {name: _near(tx, call.scope, around.get(step, [])) for name, step in _SIDES}
    return AssetDetail.model_validate({**_shown(row), **near})


@api.op(
    "GET", "/api/v1/assets/{asset_id}/materializations", query=PageQuery, out=Page[MaterializationOut], scope=READ,
    errors=[NotFoundError],
)  # fmt: skip
def list_materializations(call: Call[NoBody, PageQuery]) -> Page[MaterializationOut]:
    """List the times that an asset was made or not, newest first."""
    query, asset_id = call.query, call.path["asset_id"]
    with call.store.read() as tx:
        assets.get(tx, call.scope, asset_id)
        found = assets.materializations(tx, call.scope, asset_id, limit=query.limit, cursor=query.cursor)
    items = [_shown(row) for row in found.items]
    return Page[MaterializationOut].model_validate({"items": items, "next_cursor": found.next_cursor})


_SIDES = (("upstream", -1), ("downstream", 1))


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "metadata": row["details"] or {}}


def _near(tx: Tx, scope: Scope, ids: list[Id]) -> list[dict[str, Any]]:
    return sorted(assets.by_ids(tx, scope, ids).values(), key=lambda row: str(row["key"]))
