"""Runs that are placed at sites, and the work of sites, over the API."""

from __future__ import annotations

from typing import Any, Literal

from hub.errors import ConflictError, NotFoundError
from hub.runtime.commands import Command, apply
from hub.runtime.placement import OP, Labels
from hub.web.api.fields import In, NoQuery, Out
from hub.web.api.op import Api, Call
from pydantic import Field

from hub_hybrid.site_api import CommandSeen, command_seen

api = Api()


class PlaceIn(In):
    """A deployment of a site; the site must have these labels, or be this one."""

    deployment: str = Field(min_length=1, max_length=200)
    labels: Labels = Field(default_factory=dict)
    site: str | None = Field(None, max_length=100)
    parameters: dict[str, Any] = Field(default_factory=dict)


class Placed(Out):
    """Where a run was placed. The site decides whether it is made; then it has this id."""

    run_id: str
    site: str
    site_id: str


class WorkIn(In):
    """pause: begin nothing more; resume: go on; drain: stop when nothing executes any more."""

    to: Literal["pause", "resume", "drain"]


@api.op(
    "POST", "/api/v1/sites/runs", body=PlaceIn, out=Placed, status=202, scope="runs:write",
    errors=[NotFoundError, ConflictError],
)  # fmt: skip
def place_run(call: Call[PlaceIn, NoQuery]) -> dict[str, Any]:
    """Start a deployment at a site that has these labels. Its parameters are sealed to that site."""
    args = {**call.body.model_dump(), "site": call.body.site or ""}
    made = apply(call.store, Command(OP, call.scope, call.body.deployment, args, call.command_id)).result
    return {"run_id": made["id"], "site": made["name"], "site_id": made["site"]}


@api.op(
    "POST", "/api/v1/sites/{site}/work", body=WorkIn, out=CommandSeen, status=202, scope="links:write",
    errors=[NotFoundError, ConflictError],
)  # fmt: skip
def set_site_work(call: Call[WorkIn, NoQuery]) -> CommandSeen:
    """Ask a site to hold its work, to go on, or to stop once nothing executes there."""
    command = Command("site.work", call.scope, call.path["site"], call.body.model_dump(), call.command_id)
    return command_seen(call, str(apply(call.store, command).result["id"]))
