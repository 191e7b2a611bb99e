"""Runs that this hub, as a plane, has placed at its sites: where, and what is known of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, select

from hub.store.base import Tx
from hub.store.tables import PlaneCommand, PlaneRun, PlaneSite
from hub.types import Id, Scope

_COMMANDS = PlaneCommand.__table__
_SITES = PlaneSite.__table__
_RUNS = PlaneRun.__table__


def find(tx: Tx, scope: Scope, run_id: Id | None) -> dict[str, Any] | None:
    """The site of a run that was placed (`site`, its name; `site_row`, its id), what it answered (`outcome`) and, when
    it has reported the run, `run` with its state. None: it was not placed, or that is no longer kept.
    """
    if run_id is None:
        return None
    reported = and_(_RUNS.c.site_row == _COMMANDS.c.site_row, _RUNS.c.run_id == _COMMANDS.c.id)
    query = (
        select(_COMMANDS.c.outcome, _COMMANDS.c.site_row, _SITES.c.name.label("site"), _RUNS.c.run, _RUNS.c.state_type)
        .join_from(_COMMANDS, _SITES, _SITES.c.id == _COMMANDS.c.site_row)
        .outerjoin(_RUNS, reported)
        .where(_COMMANDS.c.id == run_id, _COMMANDS.c.workspace_id == scope.workspace_id, _COMMANDS.c.op == "run.create")
    )
    row = tx.conn.execute(query).mappings().first()
    if row is None:
        return None
    told = row["run"] or {}
    run = {"name": told.get("run_name") or run_id, "state_name": told.get("state_name")}
    found = {"site": row["site"], "site_row": row["site_row"], "outcome": row["outcome"]}
    return {**found, "run": None if row["state_type"] is None else {**run, "state_type": row["state_type"]}}
