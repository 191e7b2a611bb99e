"""Operations on alerts and deliveries: raised and resolved by others, acknowledged and ended by people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

from hub.errors import ConflictError, NotFoundError
from hub.runtime.commands import Command, Op
from hub.store.base import Tx
from hub.types import SECOND, Id, Scope
from pydantic import BaseModel, ConfigDict, Field

from hub_notifications import channels, firing, incidents, notices
from hub_notifications.content import MAX_ALERTS, content
from hub_notifications.routes import Targets
from hub_notifications.rules import AlertEvent

Severity: TypeAlias = Literal["info", "warning", "error", "critical"]
Label: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
KIND = r"^[a-z][a-z0-9-]{0,62}$"
LONGEST_S = 31 * 86_400


class RaiseAlert(BaseModel):
    """Something to tell. `about` and `kind` are its identity; the same `occurrence` twice is told once."""

    model_config = ConfigDict(extra="forbid")
    title: str = Field(min_length=1, max_length=20_000)
    body: str = Field("", max_length=100_000)
    severity: Severity = "error"
    about: str = Field(min_length=1, max_length=200)
    occurrence: str = Field(min_length=1, max_length=200)
    kind: str = Field("asked-for", pattern=KIND)
    run_id: str | None = Field(None, max_length=36)
    labels: dict[Label, Annotated[str, Field(max_length=500)]] = Field(default={}, max_length=30)
    context: dict[str, Any] = Field(default={}, max_length=10)
    """run {id, name, state, attempt}, task, error {type, message}, logs [line], tags: as texts show them."""
    channels: Targets = []
    """Names of channels or `tag:NAME`; empty: the routes decide."""


class ResolveAlert(BaseModel):
    """What is over: all that fires about this, or about a part of it; with `kind` that one alert."""

    model_config = ConfigDict(extra="forbid")
    about: str = Field(min_length=1, max_length=200)
    kind: str = Field("", max_length=63)


class Acknowledge(BaseModel):
    """Somebody looks after it. After `for_s` seconds it counts as open again."""

    model_config = ConfigDict(extra="forbid")
    for_s: int = Field(86_400, ge=60, le=LONGEST_S)
    by: str = Field("", max_length=200)


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def raise_(tx: Tx, command: Command, args: RaiseAlert) -> dict[str, Any]:
    """Raise an alert that somebody asked for, say an automation; by the same way as any other."""
    context = {**args.context, "to": args.channels} if args.channels else args.context
    told = AlertEvent(
        "firing", args.about, args.occurrence, args.kind, args.severity, args.title, args.body, args.run_id or "",
        args.labels, context,
    )  # fmt: skip
    return {"id": firing.fire(tx, command.scope, told)}


def resolve(tx: Tx, command: Command, args: ResolveAlert) -> dict[str, Any]:
    """Close what was raised by `alert.raise` and is over."""
    if args.kind:
        return {"resolved": int(firing.resolve_key(tx, command.scope, f"{args.about}/{args.kind}"))}
    return {"resolved": firing.resolve(tx, command.scope, args.about)}


def end(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Say by hand that an alert is over."""
    if not firing.resolve_one(tx, command.scope, command.target):
        raise ConflictError("this alert is over already")
    return {"id": command.target}


def acknowledge(tx: Tx, command: Command, args: Acknowledge) -> dict[str, Any]:
    """Say that somebody looks after an alert, or (its id) after all that a message told and that still fire: they are
    not repeated, and nobody else is called."""
    actor = command.scope.actor
    by = args.by or f"{actor.kind} {actor.id}".strip()
    asked = _told_by(tx, command)
    for alert_id in asked:
        firing.acknowledge(tx, command.scope, alert_id, by=by, until=tx.now + args.for_s * SECOND)
    tell_incidents(tx, command.scope, asked)
    return {"id": command.target, "by": by}


def _told_by(tx: Tx, command: Command) -> list[Id]:
    """The alert that the target names, or those of the message that it names that nobody looks after yet.

    Raises ConflictError when none of the message's fires any more.
    """
    if notices.find_message(tx, command.scope, command.target) is None:
        return [command.target]
    found = notices.firing_of(tx, command.scope, command.target)
    if not found:
        raise ConflictError("none of the alerts of this message fires any more")
    return [row["id"] for row in found if not firing.is_quiet(row, tx.now)]


def tell_incidents(tx: Tx, scope: Scope, alerts: Sequence[Id]) -> None:
    """Services that keep incidents acknowledge theirs of these alerts; nobody else is told."""
    by_channels: dict[tuple[Id, ...], list[Id]] = {}
    for alert_id in alerts:
        to = tuple(notices.told_channels(tx, alert_id, tuple(incidents.SERVICES)))
        by_channels.setdefault(to, []).append(alert_id)
    for channels_, ids in by_channels.items():
        if channels_:
            told = [{"alert_id": one, "status": "acknowledged", "occurrences": 0} for one in ids]
            rows = [firing.find(tx, scope, one) for one in ids[:MAX_ALERTS]]
            notices.plan(tx, scope, content("acknowledged", rows, told, tx.now), told, channels_)


def unacknowledge(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Take it back."""
    firing.unacknowledge(tx, command.scope, command.target)
    return {"id": command.target}


def retry(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Send once more what was given up."""
    found = notices.find_delivery(tx, command.scope, command.target)
    if found is None:
        raise NotFoundError("there is no such delivery", hint="`hub alerts deliveries --dead` lists those given up.")
    if found["status"] != "dead":
        raise ConflictError(f"this delivery is {found['status']}; only one that was given up can be sent once more")
    channel = channels.find(tx, command.scope, found["channel_id"])
    last = notices.last_attempt(tx, found["notification_id"], channel["id"])
    if last != found["attempt"]:
        raise ConflictError(f"this was attempt {found['attempt']}, and there has been attempt {last} since")
    notices.attempt(
        tx,
        found["workspace_id"],
        found["notification_id"],
        found["alert_id"],
        channel["id"],
        number=last + 1,
        cursor=found["cursor"],
    )
    return {"id": found["id"], "channel": channel["name"], "attempt": last + 1}


OPS = (
    Op("alert.raise", RaiseAlert, raise_, "alerts:write"),
    Op("alert.resolve", ResolveAlert, resolve, "alerts:write"),
    Op("alert.end", Nothing, end, "alerts:write"),
    Op("alert.acknowledge", Acknowledge, acknowledge, "alerts:write"),
    Op("alert.unacknowledge", Nothing, unacknowledge, "alerts:write"),
    Op("delivery.retry", Nothing, retry, "alerts:write"),
)
