"""Deployments and schedules over the API."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hub.errors import ConflictError, NotFoundError
from hub.runtime.commands import Command, apply
from hub.runtime.commands.alerts import RunAlerts
from hub.runtime.commands.controls import FlowControl
from hub.runtime.commands.deployments import OwnSchedule, Retries, StateHookName
from hub.runtime.placement import Placement
from hub.store import catalog
from hub.types import ExportLevel
from hub.web.api.fields import NO_NUL, In, Moment, MomentIn, NoBody, NoQuery, Out, Page, PageQuery, Tags, Text
from hub.web.api.op import Api, Call
from hub.web.api.runs import RunMade

api = Api()
READ, WRITE = "deployments:read", "deployments:write"


class DeploymentIn(In):
    """A deployment as it should be. `schedule` left out: schedules stay; null: the one given here before goes."""

    flow_name: str = Field(min_length=1, max_length=200, pattern=NO_NUL)
    entrypoint: str = Field(min_length=1, max_length=1000, pattern=NO_NUL, description="FILE:FLOW on the workers")
    description: str = Field(default="", max_length=10_000, pattern=NO_NUL)
    parameters: dict[str, Any] = Field(default_factory=dict, description="what every run gets unless it says else")
    parameter_schema: dict[str, Any] = Field(default_factory=dict, description="JSON schema of the parameters")
    tags: Tags = Field(default_factory=list)
    queue: str = Field(default="default", min_length=1, max_length=63, pattern=NO_NUL)
    retry_policy: Retries = Field(default_factory=Retries)
    timeout_s: float | None = Field(default=None, gt=0, le=31_536_000)
    crash_retries: int = Field(default=2, ge=0, le=100)
    state_hooks: list[StateHookName] = Field(
        default_factory=list, max_length=4, description="ends of its runs for which the flow has hooks"
    )
    alerts: RunAlerts = Field(default_factory=RunAlerts, description="which alerts its runs raise, and who gets them")
    export: ExportLevel | Literal[""] = Field("", description="the most of its runs that may leave for a plane")
    concurrency: int | None = Field(
        default=None, ge=1, le=100_000, description="runs at once, for each key if one is given"
    )
    concurrency_key: str = Field(
        default="", max_length=1000, pattern=NO_NUL, description="`=` and CEL, or a text with ${CEL}, over `params`"
    )
    overflow: Literal["enqueue", "cancel_new", "cancel_old"] = "enqueue"
    flow_control: FlowControl = Field(default_factory=FlowControl, description="what is done with requests for runs")
    paused: bool = False
    code_digest: str | None = Field(default=None, max_length=200, pattern=NO_NUL)
    schedule: OwnSchedule | None = None


class DeploymentOut(Out):
    """A deployment. `version` rises with every change."""

    id: str
    name: str
    flow_name: str
    entrypoint: str
    description: str
    parameters: dict[str, Any]
    parameter_schema: dict[str, Any]
    tags: list[str]
    queue: str
    retry_policy: dict[str, Any]
    timeout_s: float | None
    crash_retries: int
    state_hooks: list[str]
    alerts: dict[str, Any]
    export: str
    concurrency: int | None
    concurrency_key: str
    overflow: str
    flow_control: dict[str, Any]
    paused: bool
    version: int
    code_digest: str | None
    created_at: Moment
    updated_at: Moment


class StartIn(In):
    """A run to be. `due_at` in the future makes it wait; `key` makes it once."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    name: str | None = Field(default=None, min_length=1, max_length=200, pattern=NO_NUL)
    due_at: MomentIn | None = None
    tags: Tags = Field(default_factory=list)
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=200, pattern=NO_NUL)


class Switched(Out):
    """Whether it is paused now."""

    id: str
    name: str
    paused: bool


class ScheduleIn(In):
    """A schedule to be: `spec` is a cron expression, or for an interval a number of seconds."""

    deployment: str = Field(min_length=1, max_length=100, pattern=NO_NUL, description="name or id")
    kind: Literal["cron", "interval", "rrule"] = "cron"
    spec: str = Field(min_length=1, max_length=200, pattern=NO_NUL)
    timezone: str = Field(default="UTC", max_length=64, pattern=NO_NUL)
    anchor_at: MomentIn | None = Field(default=None, description="where intervals count from")
    parameters: dict[str, Any] = Field(default_factory=dict)
    active: bool = True
    place: Placement | None = Field(default=None, description="at a site of this plane, not here")


class ScheduleOut(Out):
    """A schedule. `next_at` null: it rests, or never comes again."""

    id: str
    deployment_id: str
    deployment_name: str | None
    kind: str
    spec: str
    timezone: str
    anchor_at: Moment | None
    parameters: dict[str, Any]
    active: bool
    place: Placement | None
    next_at: Moment | None
    created_at: Moment
    updated_at: Moment


class ScheduleQuery(PageQuery):
    """Which schedules; `deployment` is a name or an id."""

    deployment: Text | None = None


@api.op("GET", "/api/v1/deployments", query=PageQuery, out=Page[DeploymentOut], scope=READ)
def list_deployments(call: Call[NoBody, PageQuery]) -> Page[DeploymentOut]:
    """List deployments."""
    with call.store.read() as tx:
        found = catalog.deployments(tx, call.scope, limit=call.query.limit, cursor=call.query.cursor)
    return Page[DeploymentOut].of(found)


@api.op("GET", "/api/v1/deployments/{name}", out=DeploymentOut, scope=READ, errors=[NotFoundError])
def get_deployment(call: Call[NoBody, NoQuery]) -> DeploymentOut:
    """Show a deployment, by name or id."""
    with call.store.read() as tx:
        return DeploymentOut.model_validate(catalog.deployment(tx, call.scope, call.path["name"]))


@api.op("PUT", "/api/v1/deployments/{name}", body=DeploymentIn, out=DeploymentOut, scope=WRITE, errors=[NotFoundError])
def put_deployment(call: Call[DeploymentIn, NoQuery]) -> DeploymentOut:
    """Make a deployment, or make the one of that name be as given."""
    args = call.body.model_dump(mode="json", exclude_unset=True) | {"name": call.path["name"]}
    apply(call.store, Command("deployment.set", call.scope, call.path["name"], args, id=call.command_id))
    with call.store.read() as tx:
        return DeploymentOut.model_validate(catalog.deployment(tx, call.scope, call.path["name"]))


@api.op("DELETE", "/api/v1/deployments/{name}", scope=WRITE, errors=[NotFoundError])
def delete_deployment(call: Call[NoBody, NoQuery]) -> None:
    """Remove a deployment and its schedules; its runs stay."""
    apply(call.store, Command("deployment.delete", call.scope, call.path["name"], id=call.command_id))


@api.op("POST", "/api/v1/deployments/{name}/pause", out=Switched, scope=WRITE, errors=[NotFoundError])
def pause_deployment(call: Call[NoBody, NoQuery]) -> Switched:
    """Stop a deployment's schedules; it can still be started by hand."""
    outcome = apply(call.store, Command("deployment.pause", call.scope, call.path["name"], id=call.command_id))
    return Switched.model_validate(outcome.result)


@api.op("POST", "/api/v1/deployments/{name}/resume", out=Switched, scope=WRITE, errors=[NotFoundError])
def resume_deployment(call: Call[NoBody, NoQuery]) -> Switched:
    """Let a deployment's schedules go on."""
    outcome = apply(call.store, Command("deployment.resume", call.scope, call.path["name"], id=call.command_id))
    return Switched.model_validate(outcome.result)


@api.op(
    "POST", "/api/v1/deployments/{name}/runs", body=StartIn, out=RunMade, status=201, scope="runs:write",
    errors=[NotFoundError, ConflictError],
)  # fmt: skip
def start_deployment(call: Call[StartIn, NoQuery]) -> RunMade:
    """Start a run of a deployment on a worker."""
    body = call.body
    args = {
        "parameters": body.parameters,
        "name": body.name,
        "due_at": body.due_at,
        "tags": body.tags,
        "idempotency_key": body.idempotency_key,
    }
    outcome = apply(call.store, Command("run.create", call.scope, call.path["name"], args, id=call.command_id))
    return RunMade.model_validate(outcome.result)


@api.op("GET", "/api/v1/schedules", query=ScheduleQuery, out=Page[ScheduleOut], scope=READ, errors=[NotFoundError])
def list_schedules(call: Call[NoBody, ScheduleQuery]) -> Page[ScheduleOut]:
    """List schedules."""
    query = call.query
    with call.store.read() as tx:
        deployment_id = None
        if query.deployment is not None:
            deployment_id = catalog.deployment(tx, call.scope, query.deployment)["id"]
        found = catalog.schedules(tx, call.scope, deployment_id=deployment_id, limit=query.limit, cursor=query.cursor)
    return Page[ScheduleOut].of(found)


@api.op("POST", "/api/v1/schedules", body=ScheduleIn, out=ScheduleOut, status=201, scope=WRITE, errors=[NotFoundError])
def create_schedule(call: Call[ScheduleIn, NoQuery]) -> ScheduleOut:
    """Add a schedule to a deployment."""
    outcome = apply(call.store, Command("schedule.create", call.scope, "", dict(call.body), id=call.command_id))
    with call.store.read() as tx:
        return ScheduleOut.model_validate(catalog.schedule(tx, call.scope, outcome.result["id"]))


@api.op("GET", "/api/v1/schedules/{schedule_id}", out=ScheduleOut, scope=READ, errors=[NotFoundError])
def get_schedule(call: Call[NoBody, NoQuery]) -> ScheduleOut:
    """Show a schedule."""
    with call.store.read() as tx:
        return ScheduleOut.model_validate(catalog.schedule(tx, call.scope, call.path["schedule_id"]))


@api.op("DELETE", "/api/v1/schedules/{schedule_id}", scope=WRITE, errors=[NotFoundError])
def delete_schedule(call: Call[NoBody, NoQuery]) -> None:
    """Remove a schedule; runs it has started stay."""
    apply(call.store, Command("schedule.delete", call.scope, call.path["schedule_id"], id=call.command_id))


@api.op("POST", "/api/v1/schedules/{schedule_id}/pause", out=ScheduleOut, scope=WRITE, errors=[NotFoundError])
def pause_schedule(call: Call[NoBody, NoQuery]) -> ScheduleOut:
    """Let a schedule rest."""
    apply(call.store, Command("schedule.pause", call.scope, call.path["schedule_id"], id=call.command_id))
    return get_schedule(call)


@api.op("POST", "/api/v1/schedules/{schedule_id}/resume", out=ScheduleOut, scope=WRITE, errors=[NotFoundError])
def resume_schedule(call: Call[NoBody, NoQuery]) -> ScheduleOut:
    """Let a schedule go on from now; what it missed stays missed."""
    apply(call.store, Command("schedule.resume", call.scope, call.path["schedule_id"], id=call.command_id))
    return get_schedule(call)
