"""Routes, silences and inhibitions over HTTP, and the question who would get an alert."""

from __future__ import annotations

from typing import Any, Literal

from hub.runtime.commands import Command, apply
from hub.store.base import Store
from hub.types import Scope, rfc3339
from hub.web.api.fields import NoBody, NoQuery
from hub.web.api.op import Api, Call
from pydantic import BaseModel, ConfigDict, Field

from hub_notifications import channels, firing, groups
from hub_notifications.muting import silence_state
from hub_notifications.router import paths
from hub_notifications.routes import Broken, Spec
from hub_notifications.rules import AlertEvent
from hub_notifications.world import World

api = Api()


class RouteIn(BaseModel):
    """A route as it should be; `position` 0 is asked first."""

    model_config = ConfigDict(extra="forbid")
    position: int | None = Field(None, ge=0, le=200)
    enabled: bool = True
    spec: Spec


class RouteOut(BaseModel):
    """A route. The default route is the last and cannot be deleted."""

    id: str
    name: str
    position: int
    is_default: bool
    enabled: bool
    spec: Spec


class RouteList(BaseModel):
    """All routes in their order."""

    items: list[RouteOut]
    next_cursor: str | None = None


class WindowIn(BaseModel):
    """A window that comes again."""

    model_config = ConfigDict(extra="forbid")
    cron: str = Field(max_length=200)
    timezone: str = Field("UTC", max_length=64)
    duration_s: int


class SilenceIn(BaseModel):
    """A silence: from `starts` (now) to `ends`, or in the windows of `schedule`. Times are RFC 3339."""

    model_config = ConfigDict(extra="forbid")
    match: str = Field(max_length=10_000)
    comment: str = Field(max_length=1_000)
    author: str = Field("", max_length=200)
    starts: str | None = Field(None, max_length=40)
    ends: str | None = Field(None, max_length=40)
    schedule: WindowIn | None = None


class SilenceOut(BaseModel):
    """A silence; `state` says whether it hides anything now."""

    id: str
    match: str
    comment: str
    author: str
    state: Literal["active", "planned", "ended"]
    starts_at: str
    ends_at: str | None
    schedule: WindowIn | None
    hides: int
    """Alerts that it hides now."""


class SilenceList(BaseModel):
    """Silences, newest first."""

    items: list[SilenceOut]
    next_cursor: str | None = None


class Paging(BaseModel):
    """Taken as everywhere; there are so few that they always fit on one page."""

    model_config = ConfigDict(extra="forbid")
    limit: int = Field(200, ge=1, le=200)
    cursor: str | None = Field(None, max_length=200)


class SilenceQuery(Paging):
    """Which silences."""

    ended: bool = False


class InhibitionIn(BaseModel):
    """While what `source` is true of fires, what `target` is true of is not told."""

    model_config = ConfigDict(extra="forbid")
    source: str = Field(max_length=10_000)
    target: str = Field(max_length=10_000)
    equal: list[str] = Field(default=[], max_length=10)


class InhibitionOut(BaseModel):
    """An inhibition."""

    id: str
    name: str
    source: str
    target: str
    equal: list[str]


class InhibitionList(BaseModel):
    """All inhibitions."""

    items: list[InhibitionOut]
    next_cursor: str | None = None


class Made(BaseModel):
    """What was made."""

    id: str


class TestIn(BaseModel):
    """An alert to ask about: one there is (`alert_id`), or one as it might come."""

    model_config = ConfigDict(extra="forbid")
    alert_id: str | None = Field(None, max_length=36)
    kind: str = Field("run-failed", max_length=63)
    severity: Literal["info", "warning", "error", "critical"] = "error"
    about: str = Field("", max_length=200)
    title: str = Field("A test", max_length=500)
    labels: dict[str, str] = Field(default={}, max_length=30)


class PathOut(BaseModel):
    """A route that takes the alert, or whose filter failed for it."""

    route: str
    group: dict[str, str]
    channels: list[str]
    muted: str
    """Why nobody would hear of it now; empty: they would."""
    error: str


class TestOut(BaseModel):
    """Who would get the alert; nothing is sent."""

    paths: list[PathOut]


@api.op("GET", "/api/v1/routes", scope="channels:read", query=Paging, out=RouteList)
def list_routes(call: Call[NoBody, Paging]) -> RouteList:
    """List the routes in their order."""
    with call.store.read() as tx:
        rows = groups.list_routes(tx, call.scope)
    return RouteList(items=[_route(row) for row in rows])


@api.op("GET", "/api/v1/routes/{route}", scope="channels:read", out=RouteOut)
def show_route(call: Call[NoBody, NoQuery]) -> RouteOut:
    """Show a route."""
    with call.store.read() as tx:
        return _route(groups.find_route(tx, call.scope, call.path["route"]))


@api.op("PUT", "/api/v1/routes/{route}", scope="channels:write", body=RouteIn, out=Made)
def set_route(call: Call[RouteIn, NoQuery]) -> Made:
    """Make a route, or make the one of that name be as given. What fires is given to the routes once more."""
    spec = call.body.spec.model_dump(mode="json", by_alias=True)
    args = {"name": call.path["route"], "position": call.body.position, "enabled": call.body.enabled, "spec": spec}
    return _made(call, "route.set", "", args)


@api.op("DELETE", "/api/v1/routes/{route}", scope="channels:write", status=204)
def remove_route(call: Call[NoBody, NoQuery]) -> None:
    """Delete a route; of the default route only what was changed."""
    _made(call, "route.rm", call.path["route"], {})


@api.op("POST", "/api/v1/routes/test", scope="channels:read", body=TestIn, out=TestOut)
def try_routes(call: Call[TestIn, NoQuery]) -> TestOut:
    """Ask who would get an alert. Nothing is sent or written."""
    return tried(call.store, call.scope, call.body)


def tried(store: Store, scope: Scope, body: TestIn) -> TestOut:
    """Who would get an alert. Raises NotFoundError."""
    with store.read() as tx:
        if body.alert_id:
            alert = firing.find(tx, scope, body.alert_id)
        else:
            told = AlertEvent("firing", body.about or "test/", "", body.kind, body.severity, body.title)
            alert = firing.as_row(scope, told, body.labels, tx.now)
        world = World.read(tx, scope.workspace_id)
        now = rfc3339(tx.now)
    found = []
    for one in paths(alert, world.routes.values(), now):
        if isinstance(one, Broken):
            found.append(PathOut(route=one.route.name, group={}, channels=[], muted="", error=one.error))
            continue
        with store.read() as tx:
            names = channels.names(tx, scope, channels.targeted(tx, scope, one.route.spec.channels))
        muted = world.mutes(one.route, alert)
        found.append(PathOut(route=one.route.name, group=dict(one.labels), channels=names, muted=muted, error=""))
    return TestOut(paths=found)


@api.op("GET", "/api/v1/silences", scope="alerts:read", query=SilenceQuery, out=SilenceList)
def list_silences(call: Call[NoBody, SilenceQuery]) -> SilenceList:
    """List the silences that are not over, or with `ended` the last hundred of all."""
    with call.store.read() as tx:
        rows = groups.list_silences(tx, call.scope, ended=call.query.ended)
        hidden = groups.hidden_by(tx, call.scope.workspace_id, rows)
        now = tx.now
    return SilenceList(items=[_silence(row, now, hidden[row["id"]]) for row in rows])


@api.op("POST", "/api/v1/silences", scope="alerts:write", body=SilenceIn, out=Made, status=201)
def create_silence(call: Call[SilenceIn, NoQuery]) -> Made:
    """Make a silence."""
    return _made(call, "silence.create", "", call.body.model_dump(exclude_none=True))


@api.op("DELETE", "/api/v1/silences/{silence_id}", scope="alerts:write", status=204)
def end_silence(call: Call[NoBody, NoQuery]) -> None:
    """End a silence now; it stays among those that were."""
    _made(call, "silence.end", call.path["silence_id"], {})


@api.op("GET", "/api/v1/inhibitions", scope="channels:read", query=Paging, out=InhibitionList)
def list_inhibitions(call: Call[NoBody, Paging]) -> InhibitionList:
    """List the inhibitions."""
    with call.store.read() as tx:
        rows = groups.inhibitions_of(tx, call.scope.workspace_id)
    return InhibitionList(
        items=[InhibitionOut(**{name: row[name] for name in InhibitionOut.model_fields}) for row in rows]
    )


@api.op("PUT", "/api/v1/inhibitions/{inhibition}", scope="channels:write", body=InhibitionIn, out=Made)
def set_inhibition(call: Call[InhibitionIn, NoQuery]) -> Made:
    """Make an inhibition, or make the one of that name be as given."""
    return _made(call, "inhibition.set", "", {"name": call.path["inhibition"], **call.body.model_dump()})


@api.op("DELETE", "/api/v1/inhibitions/{inhibition}", scope="channels:write", status=204)
def remove_inhibition(call: Call[NoBody, NoQuery]) -> None:
    """Delete an inhibition."""
    _made(call, "inhibition.rm", call.path["inhibition"], {})


def _made(call: Call[Any, Any], op: str, target: str, args: dict[str, Any]) -> Made:
    return Made(id=apply(call.store, Command(op, call.scope, target, args, call.command_id, "api")).result["id"])


def _route(row: dict[str, Any]) -> RouteOut:
    return RouteOut(**{name: row[name] for name in RouteOut.model_fields})


def _silence(row: dict[str, Any], now: int, hides: int) -> SilenceOut:
    return SilenceOut(
        id=row["id"], match=row["match"], comment=row["comment"], author=row["author"], state=silence_state(row, now),
        hides=hides,
        starts_at=rfc3339(row["starts_at"]), ends_at=None if row["ends_at"] is None else rfc3339(row["ends_at"]),
        schedule=row["schedule"],
    )  # fmt: skip
