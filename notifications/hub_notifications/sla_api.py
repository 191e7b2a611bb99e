"""SLAs over HTTP."""

from __future__ import annotations

from typing import Any

from hub.runtime.commands import Command, apply
from hub.web.api.fields import Moment, NoBody, NoQuery, PageQuery
from hub.web.api.op import Api, Call
from pydantic import BaseModel

from hub_notifications import sla_ops
from hub_notifications.slas import Sla

api = Api()


class SlaOut(BaseModel):
    """An SLA."""

    id: str
    name: str
    kind: str
    spec: Sla
    created_at: Moment
    updated_at: Moment


class SlaList(BaseModel):
    """SLAs, newest first."""

    items: list[SlaOut]
    next_cursor: str | None = None


class SlaCheck(BaseModel):
    """Whether an SLA is kept now, and by what one tells. `run_id`: the run that breaks it."""

    name: str
    kept: bool
    text: str
    run_id: str | None


class SlaMade(BaseModel):
    """What was made."""

    id: str


@api.op("GET", "/api/v1/slas", scope="channels:read", query=PageQuery, out=SlaList)
def list_slas(call: Call[NoBody, PageQuery]) -> SlaList:
    """List the SLAs."""
    with call.store.read() as tx:
        found = sla_ops.listed(tx, call.scope, limit=call.query.limit, cursor=call.query.cursor)
    return SlaList(items=[_out(row) for row in found.items], next_cursor=found.next_cursor)


@api.op("GET", "/api/v1/slas/{sla}", scope="channels:read", out=SlaOut)
def show_sla(call: Call[NoBody, NoQuery]) -> SlaOut:
    """Show an SLA."""
    with call.store.read() as tx:
        return _out(sla_ops.find(tx, call.scope, call.path["sla"]))


@api.op("GET", "/api/v1/slas/{sla}/check", scope="channels:read", out=SlaCheck)
def check_sla(call: Call[NoBody, NoQuery]) -> SlaCheck:
    """Say whether it is kept now. Nothing is told or written."""
    with call.store.read() as tx:
        looked = sla_ops.look_at(tx, sla_ops.find(tx, call.scope, call.path["sla"]))
    verdict = looked.verdict
    run_id = verdict.run["id"] if verdict.is_broken and verdict.run is not None else None
    return SlaCheck(name=looked.row["name"], kept=not verdict.is_broken, text=verdict.text, run_id=run_id)


@api.op("PUT", "/api/v1/slas/{sla}", scope="channels:write", body=Sla, out=SlaMade)
def set_sla(call: Call[Sla, NoQuery]) -> SlaMade:
    """Make an SLA, or make the one of that name be as given; a changed one counts from now on."""
    spec = call.body.model_dump(mode="json")
    return SlaMade(id=_done(call, "sla.set", "", {"name": call.path["sla"], "spec": spec}))


@api.op("DELETE", "/api/v1/slas/{sla}", scope="channels:write", status=204)
def remove_sla(call: Call[NoBody, NoQuery]) -> None:
    """Delete an SLA; its alert is over soon after."""
    _done(call, "sla.rm", call.path["sla"], {})


def _done(call: Call[Any, Any], op: str, target: str, args: dict[str, Any]) -> str:
    return str(apply(call.store, Command(op, call.scope, target, args, call.command_id, "api")).result["id"])


def _out(row: dict[str, Any]) -> SlaOut:
    sla = Sla.model_validate(row["spec"])
    return SlaOut(
        id=row["id"], name=row["name"], kind=sla.kind, spec=sla,
        created_at=row["created_at"], updated_at=row["updated_at"],
    )  # fmt: skip
