"""Plane side: runs that are placed at a site by its labels, and work that is held or drained there."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Literal

from hub.errors import ConflictError, NotFoundError, UsageError
from hub.runtime.commands import Command, Op
from hub.runtime.placement import OP, Labels, SiteName
from hub.states import TERMINAL
from hub.store import placed
from hub.store.base import Tx
from hub.types import ID_PATTERN, Id
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select

from hub_hybrid import orders, replica
from hub_hybrid.replica import RUNS, SITES, Row
from hub_hybrid.sealing import Place, seal

MAX_PARAMETERS = 65_536
FRESH_S = 150.0
"""A site that was heard within so many seconds is preferred."""


class PlaceRun(BaseModel):
    """A deployment of a site, and the labels that the site must have; `site` (name or id) where it must be that one.

    `run_id`: whoever gives it may ask again, and gets what came of it the first time.
    """

    model_config = ConfigDict(extra="forbid")
    deployment: str = Field(min_length=1, max_length=200)
    labels: Labels = Field(default_factory=dict)
    site: SiteName = ""
    run_id: Id | None = Field(None, pattern=ID_PATTERN)
    parameters: dict[str, Any] = Field(default_factory=dict, repr=False)


class SetWork(BaseModel):
    """What a site is to do with its work."""

    model_config = ConfigDict(extra="forbid")
    to: Literal["pause", "resume", "drain"]


def place(tx: Tx, command: Command, args: PlaceRun) -> dict[str, Any]:
    """Choose a site and write the command for it, its parameters sealed to that site.

    The run has the id of the command that the site gets: the one that was asked for, or this command's.
    """
    run_id = args.run_id or command.id
    known = placed.find(tx, command.scope, run_id)
    if known is not None:  # also when the outcome of the first command is no longer kept
        return {"id": run_id, "site": known["site_row"], "name": known["site"]}
    site = _chosen(tx, command, args)
    text = json.dumps(args.parameters, separators=(",", ":")).encode()
    if len(text) > MAX_PARAMETERS:
        raise UsageError(f"the parameters have {len(text)} bytes, and {MAX_PARAMETERS} is the most")
    where = Place(site["workspace_id"], site["id"], args.deployment, run_id)
    sealed = seal(bytes.fromhex(site["seal_key"]), where, {"parameters": text})
    closed = {
        "workspace": where.workspace, "key_id": sealed.key_id, "wrapped": _text(sealed.wrapped),
        "parameters": _text(sealed.fields["parameters"]),
    }  # fmt: skip
    given = {"sealed": closed}
    orders.issue(tx, command.scope, site["id"], "run.create", args.deployment, given, command_id=run_id)
    return {"id": run_id, "site": site["id"], "name": site["name"]}


def set_work(tx: Tx, command: Command, args: SetWork) -> dict[str, Any]:
    """Ask a site to hold its work, to go on, or to stop when nothing executes any more."""
    site = orders.find_site(tx, command.scope, command.target)
    if not site["status"].get("takes_runs"):
        raise _takes_none(site["name"])
    issued = orders.issue(tx, command.scope, site["id"], f"work.{args.to}", "", {}, command_id=command.id)
    return {"id": issued["id"], "site": site["id"], "seq": issued["seq"]}


def _chosen(tx: Tx, command: Command, args: PlaceRun) -> dict[str, Any]:
    """The site that has the labels and the deployment, is there, and has the least to do."""
    if args.site:
        one = orders.find_site(tx, command.scope, args.site)
        if not one["status"].get("takes_runs"):
            raise _takes_none(one["name"])
        found = [one]
    else:
        mine = (SITES.c.workspace_id == command.scope.workspace_id, SITES.c.removed_at.is_(None))
        rows = tx.conn.execute(select(SITES).where(*mine)).mappings()
        found = [dict(row) for row in rows if row["status"].get("takes_runs")]
    fit = [row for row in found if _has(row, args.labels) and row["seal_key"] and row["authority_id"]]
    if not fit:
        asked = ", ".join(f"{name}={value}" for name, value in sorted(args.labels.items())) or "none"
        raise ConflictError(
            f"no site that takes runs from this plane has these labels: {asked}",
            hint="`hub sites ls` shows them. A machine offers itself with `hub worker --plane URL --label NAME=VALUE`.",
            code="no-site",
        )
    able = [row for row in fit if args.deployment in row["status"].get("deployments", ())]
    if not able:
        names = ", ".join(row["name"] for row in fit[:5])
        raise NotFoundError(
            f"none of the sites with these labels ({names}) has a deployment {args.deployment!r}",
            hint="Deploy it there: `hub deploy FILE:FLOW --name NAME` at the site; it is told with the next heartbeat.",
        )
    return min(able, key=lambda row: _rank(tx, row))


def _has(site: Row, labels: Mapping[str, str]) -> bool:
    known = site["status"].get("labels", {})
    return all(known.get(name) == value for name, value in labels.items())


def _rank(tx: Tx, site: Row) -> tuple[bool, bool, int, Id]:
    """What is there comes before what is not, what is open before what is held, what has less to do before others."""
    away = replica.presence(site, tx.now, FRESH_S / 5) != "online"
    going = (RUNS.c.site_row == site["id"], RUNS.c.state_type.not_in([one.value for one in TERMINAL]))
    busy = tx.conn.execute(select(func.count()).where(*going, RUNS.c.orphaned_at.is_(None))).scalar_one()
    waiting = site["command_head"] - site["command_delivered"]
    return site["status"].get("work", "open") != "open", away, int(busy) + int(waiting), site["id"]


def _takes_none(name: str) -> ConflictError:
    return ConflictError(
        f"the site {name!r} takes no runs from this plane",
        hint="It does when it is started with `hub worker --plane URL`, or with HUB_SYNC_TAKES_RUNS=true.",
        code="takes-no-runs",
    )


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


OPS = (
    Op(OP, PlaceRun, place, "runs:write", frozenset({"parameters"})),
    Op("site.work", SetWork, set_work, "links:write"),
)
