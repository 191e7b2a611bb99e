"""The section `deployments`: flows that the hub may start, with their schedules and controls."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema
from sqlalchemy import select

from hub.errors import HubError, UsageError
from hub.runtime import calendar, lanes
from hub.runtime.commands import controls
from hub.runtime.commands.alerts import RunAlerts
from hub.runtime.commands.controls import FlowControl
from hub.runtime.commands.deployments import (
    MOST_SCHEDULES,
    TEXT,
    OwnSchedule,
    Retries,
    SetDeployment,
    StateHookName,
    own_schedules,
)
from hub.runtime.definitions.section import Definition, Found, Reference, Section, Step, Wanted, refusal
from hub.runtime.deploying import document
from hub.runtime.loader import is_file, load_flow, split
from hub.runtime.placement import Placement
from hub.store import catalog
from hub.store.base import Tx
from hub.types import ExportLevel, Scope

_T, _S = catalog.DEPLOYMENTS, catalog.SCHEDULES
FROM_FLOW = ("description", "tags", "retry_policy", "timeout_s", "crash_retries", "alerts", "export")
"""What a flow says by itself, and a definition may say in its place (tags: beside it)."""


class ScheduleDefinition(BaseModel):
    """When it starts by itself: a `cron` expression or an `rrule` in a time zone, or every `interval` seconds.

    `active`: left out, a schedule that is there rests or not, as it does. `place`: at a site of this plane, not here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    cron: str | None = Field(None, min_length=1, max_length=200, pattern=TEXT)
    rrule: str | None = Field(None, min_length=1, max_length=200, pattern=TEXT)
    interval: float | None = Field(None, ge=calendar.MIN_INTERVAL, le=calendar.MAX_INTERVAL, allow_inf_nan=False)
    timezone: str = Field("UTC", max_length=64, pattern=TEXT)
    parameters: dict[str, Any] = Field(default_factory=dict)
    active: bool | None = None
    place: Placement | None = None

    @model_validator(mode="after")
    def _is_one(self) -> ScheduleDefinition:
        if sum(one is not None for one in (self.cron, self.rrule, self.interval)) != 1:
            raise ValueError("a schedule has one of `cron`, `interval` and `rrule`, for example cron: '0 8 * * *'")
        return self

    def own(self, active: bool) -> dict[str, Any]:
        """As the command takes it."""
        kind = "cron" if self.cron is not None else "rrule" if self.rrule is not None else "interval"
        spec = self.cron or self.rrule or f"{self.interval!r}".removesuffix(".0")
        said = {"kind": kind, "spec": spec, "timezone": self.timezone, "parameters": self.parameters}
        place = None if self.place is None else self.place.model_dump()
        return {**said, "place": place, "active": active if self.active is None else self.active}


class FlowFacts(BaseModel):
    """What the machine with the file has found in the flow."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    flow_name: str
    entrypoint: str
    description: str
    tags: list[str]
    parameter_schema: dict[str, Any]
    retry_policy: Retries
    timeout_s: float | None
    crash_retries: int
    state_hooks: list[StateHookName]
    alerts: RunAlerts = Field(default_factory=RunAlerts)
    export: ExportLevel | Literal[""] = ""
    code_digest: str | None


class DeploymentDefinition(Definition):
    """A flow that the hub may start. What its flow says by itself (description, retries, ...) may be left out.

    `paused`: left out, it stays as it is.
    """

    entrypoint: str = Field(
        min_length=1,
        max_length=1000,
        pattern=TEXT,
        description="FILE:FLOW from the folder of this file, or MODULE:FLOW",
    )
    description: str | None = Field(None, max_length=10_000, pattern=TEXT)
    parameters: dict[str, Any] = Field(default_factory=dict, description="what every run gets unless it says else")
    schedules: list[ScheduleDefinition] = Field(default_factory=list, max_length=MOST_SCHEDULES)
    queue: str = Field("default", min_length=1, max_length=63, pattern=TEXT)
    tags: list[str] = Field(default_factory=list, max_length=50)
    retry_policy: Retries | None = None
    timeout_s: float | None = Field(None, gt=0, le=31_536_000)
    crash_retries: int | None = Field(None, ge=0, le=100)
    alerts: RunAlerts | None = None
    export: ExportLevel | None = Field(None, description="the most that may leave for a plane")
    concurrency: int | None = Field(None, ge=1, le=100_000, description="the same as flow_control.concurrency.limit")
    concurrency_key: str = Field("", max_length=1000, pattern=TEXT, description="`=` and CEL, or a text with ${CEL}")
    overflow: Literal["enqueue", "cancel_new", "cancel_old"] = "enqueue"
    flow_control: FlowControl = Field(default_factory=FlowControl)
    paused: bool | None = Field(None, description="stop its schedules")
    facts: SkipJsonSchema[FlowFacts | None] = None


def resolve(_name: str, written: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Import the flow and note what the hub keeps of it. Raises HubError with the `field` that is wrong."""
    place, flow_name = split(str(written["entrypoint"]))
    if is_file(place):
        place = str(folder / Path(place).expanduser())
    elif str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        flow = load_flow(f"{place}:{flow_name}" if flow_name else place)
    except HubError as error:
        raise _at("entrypoint", error) from error
    try:
        whole = document(flow, {"parameters": written.get("parameters")})
    except HubError as error:
        raise _at("parameters", error) from error
    return {**written, "facts": {name: whole[name] for name in FlowFacts.model_fields}}


def _at(field: str, error: HubError) -> HubError:
    return UsageError(error.detail, hint=error.hint, field=field)


def complete(definition: DeploymentDefinition, found: Found | None) -> dict[str, Any]:
    """Every setting as the hub keeps it."""
    facts = definition.facts
    if facts is None:
        raise UsageError("its flow was not looked up", hint="`hub apply` does that.", field="entrypoint")
    said = definition.model_dump(mode="json", include=set(FROM_FLOW), exclude_none=True)
    values = facts.model_dump(mode="json") | said
    values["alerts"] = (definition.alerts or facts.alerts).stored()
    values["tags"] = sorted({*facts.tags, *definition.tags})
    values |= {"parameters": definition.parameters, "queue": definition.queue, "overflow": definition.overflow}
    values |= _controlled(definition)
    before = found.values if found is not None else {}
    values["paused"] = definition.paused if definition.paused is not None else before.get("paused", False)
    there = before.get("schedules", [])
    values["schedules"] = [
        schedule.own(there[number]["active"] if number < len(there) else True)
        for number, schedule in enumerate(definition.schedules)
    ]
    return values


def _controlled(definition: DeploymentDefinition) -> dict[str, Any]:
    said = definition.flow_control.concurrency
    limit, key = definition.concurrency, definition.concurrency_key
    if said is not None:
        limit, key = said.limit, f"={said.key}" if said.key else ""
    return {"concurrency": limit, "concurrency_key": key, "flow_control": definition.flow_control.stored()}


def read(tx: Tx, scope: Scope, names: Collection[str] | None) -> dict[str, Found]:
    """The deployments that are there. Without names, for an export, also the schedules that were made by hand."""
    query = select(_T).where(_T.c.workspace_id == scope.workspace_id)
    if names is not None:
        query = query.where(_T.c.name.in_(list(names)))
    return {row["name"]: _found(tx, dict(row), everything=names is None) for row in tx.conn.execute(query).mappings()}


def _found(tx: Tx, row: dict[str, Any], *, everything: bool) -> Found:
    values = {name: row[name] for name in SetDeployment.model_fields if name in row and name != "name"}
    rows = tx.conn.execute(select(_S).where(_S.c.deployment_id == row["id"]).order_by(_S.c.id)).mappings()
    known = {schedule["id"]: schedule for schedule in rows}
    own = [key for key in own_schedules(row["id"]) if key in known]
    order = [*own, *(key for key in known if key not in own)] if everything else own
    values["schedules"] = [{name: known[key][name] for name in OwnSchedule.model_fields} for key in order]
    return Found(row["id"], values)


def steps(wanted: Wanted, _found: Found | None, _changed: frozenset[str]) -> Iterator[Step]:
    """The one command, which makes it be as given."""
    yield Step("deployment.set", wanted.name, {"name": wanted.name, **wanted.values})


def check(name: str, definition: DeploymentDefinition) -> Iterator[HubError]:
    """What the command would refuse."""
    for number, schedule in enumerate(definition.schedules):
        own = schedule.own(active=True)
        yield from refusal(f"schedules.{number}.timezone", calendar.zone, own["timezone"])
        place = f"schedules.{number}.{own['kind']}"
        yield from refusal(place, calendar.check, own["kind"], own["spec"], "UTC")
    values = _controlled(definition)
    beside = definition.concurrency is not None or definition.concurrency_key
    if definition.flow_control.concurrency is not None and beside:
        hint = "Give it once."
        yield UsageError("concurrency is given twice: here and in flow_control", hint=hint, field="concurrency")
    if values["concurrency"] is None and (values["concurrency_key"] or definition.overflow != "enqueue"):
        hint = "Give concurrency, for example 1."
        yield UsageError("a concurrency key or an overflow needs a limit", hint=hint, field="overflow")
    said = values["flow_control"]
    yield from refusal("concurrency_key", lanes.check_key, values["concurrency_key"])
    yield from refusal("flow_control", controls.check, said, controls.REQUEST)
    yield from refusal("flow_control", controls.check_combination, said, values)
    schema = definition.facts.parameter_schema if definition.facts is not None else {}
    yield from refusal("flow_control", controls.check_batch, said, name, schema)


def refers(definition: DeploymentDefinition) -> Iterable[Reference]:
    """Its queue."""
    return [Reference(("queue",), "queues", definition.queue)]


def brief(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """As one would write it: without what its flow says by itself, as far as the flow is known here."""
    entrypoint = _from(folder, values["entrypoint"])
    facts: dict[str, Any] = {}
    if entrypoint != values["entrypoint"]:  # what lies elsewhere is not imported because a hub says so
        with contextlib.suppress(HubError):
            facts = resolve("", {"entrypoint": entrypoint}, folder)["facts"]
    own = facts or {"description": "", "tags": [], "timeout_s": None, "alerts": {}, "export": ""}
    said = {name: values[name] for name in FROM_FLOW if name not in own or values[name] != own[name]}
    if facts and "tags" in said:
        said["tags"] = [tag for tag in said["tags"] if tag not in facts["tags"]]
    controlled = dict(values["flow_control"])
    key = values["concurrency_key"]
    if values["concurrency"] is not None and (not key or key.startswith("=")):
        controlled["concurrency"] = {"limit": values["concurrency"]} | ({"key": key[1:]} if key else {})
        key, limit = "", None
    else:
        limit = values["concurrency"]
    written = {
        "entrypoint": entrypoint, "parameters": values["parameters"], "queue": values["queue"],
        "schedules": [_brief_schedule(one) for one in values["schedules"]], "concurrency": limit,
        "concurrency_key": key, "overflow": values["overflow"], "flow_control": controlled, "paused": values["paused"],
    }  # fmt: skip
    blank = {"queue": "default", "overflow": "enqueue"}
    kept = {name: value for name, value in written.items() if value not in (None, "", [], {}, False, blank.get(name))}
    return {**kept, **said}


def _from(folder: Path, entrypoint: str) -> str:
    place, flow = split(entrypoint)
    path = Path(place)
    inside = path.is_absolute() and path.is_relative_to(folder)
    return f"{path.relative_to(folder) if inside else place}:{flow}"


def _brief_schedule(own: Mapping[str, Any]) -> dict[str, Any]:
    timing: dict[str, Any] = {own["kind"]: float(own["spec"]) if own["kind"] == "interval" else own["spec"]}
    if own["timezone"] != "UTC":
        timing["timezone"] = own["timezone"]
    if own["parameters"]:
        timing["parameters"] = own["parameters"]
    if own["place"] is not None:
        timing["place"] = {name: value for name, value in own["place"].items() if value}
    return timing if own["active"] else {**timing, "active": False}


DEPLOYMENTS = Section(
    "deployments", "Flows that the hub may start.", DeploymentDefinition, "deployments", 50,
    complete=complete, read=read, steps=steps, remove="deployment.delete", check=check, refers=refers,
    resolve=resolve, brief=brief,
)  # fmt: skip
