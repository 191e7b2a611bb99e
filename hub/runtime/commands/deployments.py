"""Operations on deployments."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, select, update

from hub.errors import NotFoundError
from hub.runtime import calendar
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.store import catalog, events
from hub.store.base import Tx
from hub.types import Id, derived_id, new_id

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
TEXT = r"^[^\x00]*$"


class Retries(BaseModel):
    """How often a failed run is tried again, and how far apart; delays in seconds."""

    model_config = ConfigDict(extra="forbid")
    retries: int = Field(default=0, ge=0, le=1000)
    delays: list[float] = Field(default_factory=lambda: [0.0], max_length=100)
    backoff: float = Field(default=1.0, ge=1.0, le=100.0)
    cap: float = Field(default=3600.0, ge=0, le=31_536_000)
    jitter: float = Field(default=0.0, ge=0, le=1)


class OwnSchedule(BaseModel):
    """The one schedule that belongs to the deployment's declaration."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["cron", "interval"] = "cron"
    spec: str = Field(min_length=1, max_length=200, pattern=TEXT)
    timezone: str = Field("UTC", max_length=64, pattern=TEXT)
    parameters: dict[str, Any] = Field(default_factory=dict)


class SetDeployment(BaseModel):
    """A deployment as it should be. `schedule` left out: its schedules stay as they are; null: its own one goes."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=100, pattern=NAME)
    flow_name: str = Field(min_length=1, max_length=200, pattern=TEXT)
    entrypoint: str = Field(min_length=1, max_length=1000, pattern=TEXT)
    description: str = Field("", max_length=10_000, pattern=TEXT)
    parameters: dict[str, Any] = Field(default_factory=dict)
    parameter_schema: dict[str, Any] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list, max_length=50)
    queue: str = Field("default", min_length=1, max_length=63, pattern=TEXT)
    retry_policy: Retries = Field(default_factory=Retries)
    timeout_s: float | None = Field(None, gt=0, le=31_536_000)
    crash_retries: int = Field(2, ge=0, le=100)
    paused: bool = False
    code_digest: str | None = Field(None, max_length=200, pattern=TEXT)
    schedule: OwnSchedule | None = None


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


_T = catalog.DEPLOYMENTS
_S = catalog.SCHEDULES


def set_(tx: Tx, command: Command, args: SetDeployment) -> dict[str, Any]:
    """Make a deployment, or make the one of that name be as given; a change raises its version."""
    _known_queue(tx, command, args.queue)
    if args.schedule is not None:
        calendar.check(args.schedule.kind, args.schedule.spec, args.schedule.timezone)
    values = args.model_dump(mode="json", exclude={"schedule"})
    values["tags"] = sorted(set(args.tags))
    known = _named(tx, command, args.name)
    if known is None:
        workspace_id = command.scope.workspace_id
        found: dict[str, Any] = {"id": new_id(), "workspace_id": workspace_id, "version": 1, "created_at": tx.now}
        tx.insert(_T, {**found, **values, "updated_at": tx.now})
        _event(tx, command, "created", {**found, **values})
    else:
        found = known
        if any(known[name] != value for name, value in values.items()):
            found = {**known, **values, "version": known["version"] + 1}
            changed = {**values, "version": found["version"], "updated_at": tx.now}
            tx.conn.execute(update(_T).where(_T.c.id == known["id"]).values(**changed))
            _event(tx, command, "updated", found)
    if "schedule" in args.model_fields_set:
        _own_schedule(tx, command, found["id"], args.schedule)
    return {"id": found["id"], "name": args.name, "version": found["version"], "created": known is None}


def remove(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Delete a deployment and its schedules. Its runs stay, those that wait too."""
    found = catalog.deployment(tx, command.scope, command.target)
    tx.conn.execute(delete(_S).where(_S.c.deployment_id == found["id"]))
    tx.conn.execute(delete(_T).where(_T.c.id == found["id"]))
    _event(tx, command, "deleted", found)
    return {"id": found["id"], "name": found["name"]}


def pause(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Stop its schedules; it can still be started by hand."""
    return _pause(tx, command, paused=True)


def resume(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Let its schedules go on."""
    return _pause(tx, command, paused=False)


def _pause(tx: Tx, command: Command, *, paused: bool) -> dict[str, Any]:
    found = catalog.deployment(tx, command.scope, command.target)
    if found["paused"] != paused:
        tx.conn.execute(update(_T).where(_T.c.id == found["id"]).values(paused=paused, updated_at=tx.now))
        _event(tx, command, "paused" if paused else "resumed", found)
    return {"id": found["id"], "name": found["name"], "paused": paused}


def _own_schedule(tx: Tx, command: Command, deployment_id: Id, wanted: OwnSchedule | None) -> None:
    """Its id is derived, so that deploying again changes the schedule and does not add one."""
    key = derived_id(deployment_id, "own-schedule")
    if wanted is None:
        tx.conn.execute(delete(_S).where(_S.c.id == key))
        return
    known = tx.conn.execute(select(_S).where(_S.c.id == key)).mappings().first()
    values = wanted.model_dump(mode="json")
    if known is not None and all(known[name] == value for name, value in values.items()):
        return
    row = {
        "id": key, "workspace_id": command.scope.workspace_id, "deployment_id": deployment_id, **values,
        "anchor_at": None, "active": True, "created_at": known["created_at"] if known else tx.now, "updated_at": tx.now,
    }  # fmt: skip
    row["next_at"] = calendar.next_time(row, after=tx.now)
    tx.upsert(_S, row, keys=["id"])
    verb = "updated" if known else "created"
    events.append(tx, command.scope, f"hub.schedule.{verb}", subject=key, deployment_id=deployment_id, kind=wanted.kind)
    tx.wake("runs")


def _named(tx: Tx, command: Command, name: str) -> dict[str, Any] | None:
    query = select(_T).where(_T.c.workspace_id == command.scope.workspace_id, _T.c.name == name)
    row = tx.conn.execute(query).mappings().first()
    return None if row is None else dict(row)


def _known_queue(tx: Tx, command: Command, name: str) -> None:
    table = catalog.QUEUES
    query = select(table.c.id).where(table.c.workspace_id == command.scope.workspace_id, table.c.name == name)
    if tx.conn.execute(query).first() is None:
        raise NotFoundError(f"there is no work queue {name!r}", hint=f"`hub queues set {name}` makes it.")


def _event(tx: Tx, command: Command, verb: str, row: dict[str, Any]) -> None:
    events.append(
        tx, command.scope, f"hub.deployment.{verb}", subject=row["id"], name=row["name"], version=row["version"]
    )


OPS = (
    Op("deployment.set", SetDeployment, set_, "deployments:write", frozenset({"parameters"})),
    Op("deployment.delete", Nothing, remove, "deployments:write"),
    Op("deployment.pause", Nothing, pause, "deployments:write"),
    Op("deployment.resume", Nothing, resume, "deployments:write"),
)
