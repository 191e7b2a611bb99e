"""Operations on deployments."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, select, update

from hub.errors import ExpressionError, NotFoundError, UsageError
from hub.runtime import calendar, lanes, placement
from hub.runtime.commands import controls
from hub.runtime.commands.alerts import RunAlerts
from hub.runtime.commands.apply import Command
from hub.runtime.commands.controls import FlowControl
from hub.runtime.commands.registry import Op
from hub.runtime.placement import Placement
from hub.store import catalog, events, flow_states
from hub.store import lanes as kept
from hub.store.base import Tx
from hub.types import ExportLevel, Id, derived_id, new_id

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
TEXT = r"^[^\x00]*$"


StateHookName: TypeAlias = Literal["on_cancellation", "on_completion", "on_crashed", "on_failure"]


class Retries(BaseModel):
    """How often a failed run is tried again, and how far apart; delays in seconds."""

    model_config = ConfigDict(extra="forbid")
    retries: int = Field(default=0, ge=0, le=1000)
    delays: list[float] = Field(default_factory=lambda: [0.0], max_length=100)
    backoff: float = Field(default=1.0, ge=1.0, le=100.0)
    cap: float = Field(default=3600.0, ge=0, le=31_536_000)
    jitter: float = Field(default=0.0, ge=0, le=1)


MOST_SCHEDULES = 20


class OwnSchedule(BaseModel):
    """A schedule that belongs to the deployment's declaration. `active` null: one that is there stays as it is."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["cron", "interval", "rrule"] = "cron"
    spec: str = Field(min_length=1, max_length=200, pattern=TEXT)
    timezone: str = Field("UTC", max_length=64, pattern=TEXT)
    parameters: dict[str, Any] = Field(default_factory=dict)
    active: bool | None = None
    place: Placement | None = None


class SetDeployment(BaseModel):
    """A deployment as it should be. `schedules` are those that belong to its declaration; `schedule` is a list of one,
    null of none. Both left out: its schedules stay as they are. Those made by hand always do.
    """

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
    state_hooks: list[StateHookName] = Field(default_factory=list, max_length=4)
    alerts: RunAlerts = Field(default_factory=RunAlerts)
    export: ExportLevel | Literal[""] = ""
    concurrency: int | None = Field(None, ge=1, le=100_000)
    concurrency_key: str = Field("", max_length=1000, pattern=TEXT)
    overflow: Literal["enqueue", "cancel_new", "cancel_old"] = "enqueue"
    flow_control: FlowControl = Field(default_factory=FlowControl)
    paused: bool = False
    code_digest: str | None = Field(None, max_length=200, pattern=TEXT)
    schedule: OwnSchedule | None = None
    schedules: list[OwnSchedule] | None = Field(None, max_length=MOST_SCHEDULES)

    def declared(self) -> list[OwnSchedule] | None:
        """The schedules that belong to the declaration; None: as they are. Raises UsageError."""
        if self.schedules is not None and "schedule" in self.model_fields_set:
            raise UsageError("schedules are given twice: as `schedule` and as `schedules`", hint="Give them once.")
        if self.schedules is not None or "schedule" not in self.model_fields_set:
            return self.schedules
        return [self.schedule] if self.schedule is not None else []


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


_T = catalog.DEPLOYMENTS
_S = catalog.SCHEDULES


def set_(tx: Tx, command: Command, args: SetDeployment) -> dict[str, Any]:
    """Make a deployment, or make the one of that name be as given; a change raises its version."""
    _known_queue(tx, command, args.queue)
    declared = args.declared()
    for one in declared or ():
        calendar.check(one.kind, one.spec, one.timezone)
        placement.check(tx, command.scope, one.place)
    values = args.model_dump(mode="json", exclude={"schedule", "schedules"})
    values["tags"] = sorted(set(args.tags))
    values |= {"alerts": args.alerts.stored(), **_controlled(args)}
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
            _move_runs(tx, command, known, found)
    if declared is not None:
        for number, key in enumerate(own_schedules(found["id"])):
            _own_schedule(tx, command, found["id"], key, declared[number] if number < len(declared) else None)
    return {"id": found["id"], "name": args.name, "version": found["version"], "created": known is None}


def _controlled(args: SetDeployment) -> dict[str, Any]:
    """The columns that say how its runs are controlled. Raises ExpressionError, UsageError."""
    limit, key = args.concurrency, args.concurrency_key
    said = args.flow_control.concurrency
    if said is not None:
        if limit is not None or key:
            hint = "Give it in one place."
            raise UsageError("concurrency is given twice: in flow_control and beside it", hint=hint)
        limit, key = said.limit, f"={said.key}" if said.key else ""
    if limit is None and (key or args.overflow != "enqueue"):
        raise UsageError("a concurrency key or an overflow needs a limit", hint="Give concurrency, for example 1.")
    lanes.check_key(key)
    values: dict[str, Any] = {"concurrency": limit, "concurrency_key": key, "flow_control": args.flow_control.stored()}
    controls.check(values["flow_control"], controls.REQUEST)
    controls.check_combination(values["flow_control"], values)
    controls.check_batch(values["flow_control"], args.name, args.parameter_schema)
    return values


def _move_runs(tx: Tx, command: Command, before: dict[str, Any], after: dict[str, Any]) -> None:
    """A changed limit holds for runs that wait or execute, too."""
    if all(before[name] == after[name] for name in ("concurrency", "concurrency_key")):
        tx.wake("runs")
        return

    def lane(parameters: dict[str, Any]) -> str | None:
        try:
            return lanes.lane_for(after, parameters)
        except ExpressionError:
            return kept.name_of(after["id"], "-")  # made before there was such a key

    kept.move_runs(tx, command.scope, after["id"], lane)
    tx.wake("runs")


def remove(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Delete a deployment and its schedules. Its runs stay, those that wait too."""
    found = catalog.deployment(tx, command.scope, command.target)
    tx.conn.execute(delete(_S).where(_S.c.deployment_id == found["id"]))
    tx.conn.execute(delete(_T).where(_T.c.id == found["id"]))
    flow_states.drop(tx, found["id"])
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


def own_schedules(deployment_id: Id) -> list[Id]:
    """The ids that its declared schedules have: derived, so that deploying again changes them and does not add any."""
    more = [derived_id(deployment_id, "own-schedule", str(number)) for number in range(1, MOST_SCHEDULES)]
    return [derived_id(deployment_id, "own-schedule"), *more]


def _own_schedule(tx: Tx, command: Command, deployment_id: Id, key: Id, wanted: OwnSchedule | None) -> None:
    known = tx.conn.execute(select(_S).where(_S.c.id == key)).mappings().first()
    if wanted is None:
        if known is not None:
            tx.conn.execute(delete(_S).where(_S.c.id == key))
            _schedule_event(tx, command, "deleted", key, deployment_id, known["kind"])
        return
    values = wanted.model_dump(mode="json")
    values["active"] = wanted.active if wanted.active is not None else known is None or known["active"]
    if known is not None and all(known[name] == value for name, value in values.items()):
        return
    row = {
        "id": key, "workspace_id": command.scope.workspace_id, "deployment_id": deployment_id, **values,
        "anchor_at": None, "created_at": known["created_at"] if known else tx.now, "updated_at": tx.now,
    }  # fmt: skip
    row["next_at"] = calendar.next_time(row, after=tx.now) if row["active"] else None
    tx.upsert(_S, row, keys=["id"])
    _schedule_event(tx, command, "updated" if known else "created", key, deployment_id, wanted.kind)


def _schedule_event(tx: Tx, command: Command, verb: str, key: Id, deployment_id: Id, kind: str) -> None:
    events.append(tx, command.scope, f"hub.schedule.{verb}", subject=key, deployment_id=deployment_id, kind=kind)
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
    Op("deployment.set", SetDeployment, set_, "deployments:write", frozenset({"parameters"}), watches=_T),
    Op("deployment.delete", Nothing, remove, "deployments:write", watches=_T),
    Op("deployment.pause", Nothing, pause, "deployments:write", watches=_T),
    Op("deployment.resume", Nothing, resume, "deployments:write", watches=_T),
)
