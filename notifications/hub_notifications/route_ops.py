"""Operations on routes, silences and inhibitions."""

from __future__ import annotations

from typing import Annotated, Any

from hub.errors import ConflictError, NotFoundError, UsageError
from hub.runtime import calendar
from hub.runtime.commands import Command, Op
from hub.store import events, raw
from hub.store.base import Tx
from hub.types import Micros, from_rfc3339, new_id
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import delete

from hub_notifications import channels, groups
from hub_notifications.muting import LONGEST_WINDOW_S
from hub_notifications.routes import DEFAULT, Filter, Spec, Zone, at_its_field

NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"
MAX_ROUTES = 200
MAX_SILENCES = 1_000


class SetRoute(BaseModel):
    """A route as it should be; `position` 0 is asked first, null keeps its place (a new one is asked last)."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=NAME)
    position: int | None = Field(None, ge=0, le=MAX_ROUTES)
    enabled: bool = True
    spec: Spec


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def _moment(text: str) -> str:
    from_rfc3339(text)
    return text


Moment = Annotated[str, Field(max_length=40), AfterValidator(_moment)]


class Window(BaseModel):
    """A maintenance window that comes again: from each of the times of a cron expression for so long."""

    model_config = ConfigDict(extra="forbid")
    cron: str = Field(min_length=1, max_length=200)
    timezone: Zone = "UTC"
    duration_s: int = Field(ge=60, le=LONGEST_WINDOW_S)

    @model_validator(mode="after")
    def _can_be_planned(self) -> Window:
        with at_its_field():
            calendar.check("cron", self.cron, self.timezone)
        return self


class CreateSilence(BaseModel):
    """Alerts that nobody is told of: from `starts` (now) to `ends`, or in the windows of `schedule`."""

    model_config = ConfigDict(extra="forbid")
    match: Filter = Field(min_length=1)
    comment: str = Field(min_length=1, max_length=1_000)
    author: str = Field("", max_length=200)
    starts: Moment | None = None
    ends: Moment | None = None
    schedule: Window | None = None

    @model_validator(mode="after")
    def _ends(self) -> CreateSilence:
        if self.ends is None and self.schedule is None:
            raise ValueError("a silence needs an end; only one with a schedule may go on until it is ended by hand")
        return self


class SetInhibition(BaseModel):
    """While an alert that `source` is true of fires, nobody is told of those that `target` is true of.

    `equal`: labels that both must have alike.
    """

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=NAME)
    source: Filter = Field(min_length=1)
    target: Filter = Field(min_length=1)
    equal: list[Annotated[str, Field(min_length=1, max_length=70)]] = Field(default=[], max_length=10)


def set_route(tx: Tx, command: Command, args: SetRoute) -> dict[str, Any]:
    """Make a route, or make the one of that name be as given. What fires is given to the routes once more."""
    _check_targets(tx, command, args.spec)
    rows = groups.list_routes(tx, command.scope)
    found = next((row for row in rows if row["name"] == args.name and row["created_at"]), None)
    is_default = args.name == DEFAULT
    if is_default and (args.spec.match or args.spec.go_on or not args.enabled):
        raise UsageError(
            "the default route takes every alert that no other route takes; it has no match and cannot be switched off"
        )
    values = {
        "enabled": args.enabled, "spec": args.spec.model_dump(mode="json", by_alias=True), "updated_at": tx.now,
    }  # fmt: skip
    if found is None:
        if len(rows) >= MAX_ROUTES:
            raise ConflictError(f"there are {len(rows)} routes, more are not possible")
        workspace_id = command.scope.workspace_id
        made = groups.default_id(workspace_id) if is_default else new_id()
        row = {"id": made, "workspace_id": workspace_id, "name": args.name, "position": len(rows)}
        tx.insert(groups.ROUTES, {**row, **values, "is_default": is_default, "created_at": tx.now})
        route_id, verb = made, "created"
    else:
        raw.put(tx, groups.ROUTES, values, {"id": found["id"]})
        route_id, verb = found["id"], "updated"
    if not is_default and args.position is not None:
        _place(tx, command, route_id, args.position)
    groups.route_anew(tx, command.scope.workspace_id)
    events.append(tx, command.scope, f"hub.route.{verb}", subject=route_id, name=args.name)
    return {"id": route_id, "name": args.name}


def _check_targets(tx: Tx, command: Command, spec: Spec) -> None:
    wanted = {"spec.channels": spec.channels}
    wanted |= {f"spec.steps.{number}.channels": step.channels for number, step in enumerate(spec.steps)}
    for field, targets in wanted.items():
        unknown = channels.unknown(tx, command.scope, targets)
        if unknown:
            hint = "`hub channels ls` lists channels and their tags; a tag is written tag:NAME."
            raise UsageError(f"no channel is meant by {', '.join(unknown)}", hint=hint, field=field)


def _place(tx: Tx, command: Command, route_id: str, position: int) -> None:
    rows = [row["id"] for row in groups.list_routes(tx, command.scope) if not row["is_default"]]
    others = [one for one in rows if one != route_id]
    others.insert(position, route_id)
    for number, one in enumerate(others):
        raw.put(tx, groups.ROUTES, {"position": number}, {"id": one})


def remove_route(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Delete a route; what it took goes to those that are left. Of the default route only the changes go."""
    row = groups.find_route(tx, command.scope, command.target)
    if row["is_default"] and not row["created_at"]:
        raise ConflictError("the default route cannot be deleted", hint="`hub routes set default ...` changes it.")
    tx.conn.execute(delete(groups.ROUTES).where(groups.ROUTES.c.id == row["id"]))
    groups.route_anew(tx, command.scope.workspace_id)
    events.append(tx, command.scope, "hub.route.deleted", subject=row["id"], name=row["name"])
    return {"id": row["id"], "name": row["name"]}


def create_silence(tx: Tx, command: Command, args: CreateSilence) -> dict[str, Any]:
    """Make a silence; it takes effect with the next look at a group."""
    starts = _micros(args.starts, tx.now)
    ends = _micros(args.ends, 0) or None
    if ends is not None and ends <= max(starts, tx.now):
        raise UsageError("a silence must end after it has begun, and after now")
    if groups.count_silences(tx, command.scope) >= MAX_SILENCES:
        raise ConflictError(f"there are {MAX_SILENCES} silences, more are not possible", hint="End some of them.")
    actor = command.scope.actor
    author = args.author or f"{actor.kind} {actor.id}".strip()
    silence_id = new_id()
    row = {
        "id": silence_id, "workspace_id": command.scope.workspace_id, "match": args.match, "comment": args.comment,
        "author": author, "starts_at": starts, "ends_at": ends, "created_at": tx.now,
        "schedule": args.schedule.model_dump() if args.schedule else None,
    }  # fmt: skip
    tx.insert(groups.SILENCES, row)
    events.append(tx, command.scope, "hub.silence.created", subject=silence_id, by=author, comment=args.comment)
    return {"id": silence_id}


def _micros(text: str | None, default: Micros) -> Micros:
    return default if text is None else from_rfc3339(text)


def end_silence(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """End a silence now; one that has not begun never does. It stays in the list of those that were."""
    row = groups.find_silence(tx, command.scope, command.target)
    if row["ends_at"] is not None and row["ends_at"] <= tx.now:
        raise ConflictError("this silence is over already")
    raw.put(tx, groups.SILENCES, {"ends_at": tx.now}, {"id": row["id"]})
    events.append(tx, command.scope, "hub.silence.ended", subject=row["id"], by=row["author"], comment=row["comment"])
    return {"id": row["id"]}


def set_inhibition(tx: Tx, command: Command, args: SetInhibition) -> dict[str, Any]:
    """Make an inhibition, or make the one of that name be as given."""
    known = {row["name"]: row for row in groups.inhibitions_of(tx, command.scope.workspace_id)}
    values = {"source": args.source, "target": args.target, "equal": args.equal}
    found = known.get(args.name)
    inhibition_id = found["id"] if found else new_id()
    if found:
        raw.put(tx, groups.INHIBITIONS, values, {"id": inhibition_id})
    else:
        row = {"id": inhibition_id, "workspace_id": command.scope.workspace_id, "name": args.name, **values}
        tx.insert(groups.INHIBITIONS, {**row, "created_at": tx.now})
    verb = "updated" if found else "created"
    events.append(tx, command.scope, f"hub.inhibition.{verb}", subject=inhibition_id, name=args.name)
    return {"id": inhibition_id, "name": args.name}


def remove_inhibition(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Delete an inhibition."""
    for row in groups.inhibitions_of(tx, command.scope.workspace_id):
        if command.target in (row["id"], row["name"]):
            tx.conn.execute(delete(groups.INHIBITIONS).where(groups.INHIBITIONS.c.id == row["id"]))
            events.append(tx, command.scope, "hub.inhibition.deleted", subject=row["id"], name=row["name"])
            return {"id": row["id"], "name": row["name"]}
    raise NotFoundError(f"there is no inhibition {command.target!r}", hint="`hub inhibitions ls` lists them.")


OPS = (
    Op("route.set", SetRoute, set_route, "channels:write"),
    Op("route.rm", Nothing, remove_route, "channels:write"),
    Op("silence.create", CreateSilence, create_silence, "alerts:write"),
    Op("silence.end", Nothing, end_silence, "alerts:write"),
    Op("inhibition.set", SetInhibition, set_inhibition, "channels:write"),
    Op("inhibition.rm", Nothing, remove_inhibition, "channels:write"),
)
