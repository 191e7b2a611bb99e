"""Operations on schedules."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, update

from hub.runtime import calendar, placement
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.runtime.placement import Placement
from hub.store import catalog, events
from hub.store.base import Tx
from hub.types import new_id

TEXT = r"^[^\x00]*$"
_T = catalog.SCHEDULES


class CreateSchedule(BaseModel):
    """When a deployment (name or id) starts by itself. `anchor_at` in microseconds: where intervals count from.

    `place`: not here but at a site of this plane, by the site's deployment of that name.
    """

    model_config = ConfigDict(extra="forbid")
    deployment: str = Field(min_length=1, max_length=100, pattern=TEXT)
    kind: Literal["cron", "interval", "rrule"] = "cron"
    spec: str = Field(min_length=1, max_length=200, pattern=TEXT)
    timezone: str = Field("UTC", max_length=64, pattern=TEXT)
    anchor_at: int | None = Field(None, ge=0, le=2**60)
    parameters: dict[str, Any] = Field(default_factory=dict)
    active: bool = True
    place: Placement | None = None


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def create(tx: Tx, command: Command, args: CreateSchedule) -> dict[str, Any]:
    """Add a schedule to a deployment."""
    calendar.check(args.kind, args.spec, args.timezone)
    placement.check(tx, command.scope, args.place)
    deployment = catalog.deployment(tx, command.scope, args.deployment)
    values = args.model_dump(mode="json", exclude={"deployment"})
    row = {
        "id": new_id(), "workspace_id": command.scope.workspace_id, "deployment_id": deployment["id"], **values,
        "created_at": tx.now, "updated_at": tx.now,
    }  # fmt: skip
    row["next_at"] = calendar.next_time(row, after=tx.now) if args.active else None
    tx.insert(_T, row)
    return _changed(tx, command, "created", row)


def remove(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Remove a schedule; runs it has started stay."""
    found = catalog.schedule(tx, command.scope, command.target)
    tx.conn.execute(delete(_T).where(_T.c.id == found["id"]))
    return _changed(tx, command, "deleted", found)


def pause(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Let a schedule rest."""
    return _activate(tx, command, active=False)


def resume(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Let a schedule go on from now; what it missed stays missed."""
    return _activate(tx, command, active=True)


def _activate(tx: Tx, command: Command, *, active: bool) -> dict[str, Any]:
    found = catalog.schedule(tx, command.scope, command.target)
    if found["active"] == active:
        return {"id": found["id"], "active": active}
    next_at = calendar.next_time(found, after=tx.now) if active else None
    values = {"active": active, "next_at": next_at, "updated_at": tx.now}
    tx.conn.execute(update(_T).where(_T.c.id == found["id"]).values(**values))
    return _changed(tx, command, "updated", {**found, **values})


def _changed(tx: Tx, command: Command, verb: str, row: dict[str, Any]) -> dict[str, Any]:
    events.append(
        tx, command.scope, f"hub.schedule.{verb}", subject=row["id"],
        deployment_id=row["deployment_id"], kind=row["kind"],
    )  # fmt: skip
    tx.wake("runs")
    return {"id": row["id"], "active": row["active"]}


OPS = (
    Op("schedule.create", CreateSchedule, create, "deployments:write", frozenset({"parameters"})),
    Op("schedule.delete", Nothing, remove, "deployments:write", watches=_T),
    Op("schedule.pause", Nothing, pause, "deployments:write", watches=_T),
    Op("schedule.resume", Nothing, resume, "deployments:write", watches=_T),
)
