"""Automations and secrets over the API."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SecretStr

from hub.errors import ExpressionError, NotFoundError
from hub.runtime import ticking
from hub.runtime.commands import Command, apply
from hub.runtime.commands.triggers import Action, Trigger, WholeTrigger
from hub.store import automations, secrets
from hub.store.base import Tx
from hub.web.api.fields import NO_NUL, In, Moment, NoBody, NoQuery, Out, Page, PageQuery
from hub.web.api.op import Api, Call

api = Api()
READ, WRITE = "automations:read", "automations:write"


class AutomationIn(In):
    """An automation as it should be: when an event matches `trigger`, do the `actions`."""

    description: str = Field(default="", max_length=2000, pattern=NO_NUL)
    trigger: WholeTrigger = Field(default_factory=Trigger)
    actions: list[Action] = Field(min_length=1, max_length=10)
    enabled: bool = True


class AutomationOut(Out):
    """An automation. `version` rises with every change."""

    id: str
    name: str
    description: str
    enabled: bool
    trigger: dict[str, Any]
    actions: list[dict[str, Any]]
    version: int
    created_at: Moment
    updated_at: Moment
    next_at: Moment | None = Field(None, description="of one that fires at set times: when it does next")


class FiringOut(Out):
    """What an automation did about an event."""

    event_id: str
    at: Moment
    outcome: str
    run_id: str | None
    error: str | None


class SecretIn(In):
    """A secret's value."""

    value: SecretStr = Field(min_length=1, max_length=65_536)


class SecretOut(Out):
    """A secret's name and dates; never its value."""

    id: str
    name: str
    key_id: str
    created_at: Moment
    updated_at: Moment


class SecretSet(Out):
    """The secret that was set."""

    name: str


class Resealed(Out):
    """How many values are now sealed with which key."""

    resealed: int
    key_id: str


@api.op("GET", "/api/v1/automations", query=PageQuery, out=Page[AutomationOut], scope=READ)
def list_automations(call: Call[NoBody, PageQuery]) -> Page[AutomationOut]:
    """List automations."""
    with call.store.read() as tx:
        found = automations.listing(tx, call.scope, limit=call.query.limit, cursor=call.query.cursor)
        _add_next(tx, found.items)
    return Page[AutomationOut].of(found)


@api.op("GET", "/api/v1/automations/{name}", out=AutomationOut, scope=READ, errors=[NotFoundError])
def get_automation(call: Call[NoBody, NoQuery]) -> AutomationOut:
    """Show an automation, by name or id."""
    return AutomationOut.model_validate(found_automation(call))


@api.op("GET", "/api/v1/automations/{name}/firings", out=list[FiringOut], scope=READ, errors=[NotFoundError])
def list_automation_firings(call: Call[NoBody, NoQuery]) -> list[FiringOut]:
    """List what an automation did lately; at most 200."""
    found = found_automation(call)
    with call.store.read() as tx:
        rows = automations.firings(tx, call.scope, automation_id=found["id"])
    return [FiringOut.model_validate(row) for row in rows]


@api.op(
    "PUT", "/api/v1/automations/{name}", body=AutomationIn, out=AutomationOut, scope=WRITE,
    errors=[NotFoundError, ExpressionError],
)  # fmt: skip
def put_automation(call: Call[AutomationIn, NoQuery]) -> AutomationOut:
    """Make an automation, or make the one of that name be as given."""
    args = call.body.model_dump(mode="json") | {"name": call.path["name"]}
    apply(call.store, Command("automation.set", call.scope, call.path["name"], args, id=call.command_id))
    return AutomationOut.model_validate(found_automation(call))


@api.op("DELETE", "/api/v1/automations/{name}", scope=WRITE, errors=[NotFoundError])
def delete_automation(call: Call[NoBody, NoQuery]) -> None:
    """Remove an automation; what it did stays in the history."""
    apply(call.store, Command("automation.delete", call.scope, call.path["name"], id=call.command_id))


@api.op("POST", "/api/v1/automations/{name}/pause", out=AutomationOut, scope=WRITE, errors=[NotFoundError])
def pause_automation(call: Call[NoBody, NoQuery]) -> AutomationOut:
    """Switch an automation off."""
    return _switch(call, enabled=False)


@api.op("POST", "/api/v1/automations/{name}/resume", out=AutomationOut, scope=WRITE, errors=[NotFoundError])
def resume_automation(call: Call[NoBody, NoQuery]) -> AutomationOut:
    """Switch an automation on."""
    return _switch(call, enabled=True)


@api.op("GET", "/api/v1/secrets", query=PageQuery, out=Page[SecretOut], scope="secrets:read")
def list_secrets(call: Call[NoBody, PageQuery]) -> Page[SecretOut]:
    """List the names of secrets; their values never leave by the API."""
    with call.store.read() as tx:
        found = secrets.listing(tx, call.scope, limit=call.query.limit, cursor=call.query.cursor)
    return Page[SecretOut].of(found)


@api.op("PUT", "/api/v1/secrets/{name}", body=SecretIn, out=SecretSet, scope="secrets:write")
def put_secret(call: Call[SecretIn, NoQuery]) -> SecretSet:
    """Set a secret, new or not."""
    args = {"name": call.path["name"], "value": call.body.value.get_secret_value()}
    outcome = apply(call.store, Command("secret.set", call.scope, call.path["name"], args, id=call.command_id))
    return SecretSet.model_validate(outcome.result)


@api.op("DELETE", "/api/v1/secrets/{name}", scope="secrets:write", errors=[NotFoundError])
def delete_secret(call: Call[NoBody, NoQuery]) -> None:
    """Remove a secret."""
    apply(call.store, Command("secret.delete", call.scope, call.path["name"], id=call.command_id))


@api.op("POST", "/api/v1/secrets/rotate", out=Resealed, scope="secrets:write")
def rotate_secrets(call: Call[NoBody, NoQuery]) -> Resealed:
    """Seal every stored secret with the newest key; older keys may go afterwards."""
    outcome = apply(call.store, Command("secret.rotate", call.scope, id=call.command_id))
    return Resealed.model_validate(outcome.result)


def _switch(call: Call[NoBody, NoQuery], *, enabled: bool) -> AutomationOut:
    args = {"enabled": enabled}
    apply(call.store, Command("automation.update", call.scope, call.path["name"], args, id=call.command_id))
    return AutomationOut.model_validate(found_automation(call))


def _add_next(tx: Tx, rows: list[dict[str, Any]]) -> None:
    times = ticking.next_times(tx, [row["id"] for row in rows])
    for row in rows:
        row["next_at"] = times.get(row["id"])


def found_automation(call: Call[Any, Any]) -> dict[str, Any]:
    with call.store.read() as tx:
        found = automations.find(tx, call.scope, call.path["name"])
        _add_next(tx, [found] if found else [])
    if found is None:
        raise NotFoundError(f"there is no automation {call.path['name']!r}", hint="`hub automations ls` lists them.")
    return dict(found)
