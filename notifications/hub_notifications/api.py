"""Channels, alerts and deliveries over HTTP."""

from __future__ import annotations

from typing import Any, Literal, cast

from hub.errors import NotFoundError
from hub.runtime.commands import Command, apply
from hub.types import rfc3339
from hub.web.api.fields import NoBody, NoQuery
from hub.web.api.op import Api, Call
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from hub_notifications import records
from hub_notifications.address import check_allowed

api = Api()
_TIMES = ("created_at", "updated_at", "resolved_at", "due_at", "started_at", "ended_at")


class Paging(BaseModel):
    """Which page."""

    model_config = ConfigDict(extra="forbid")
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=200)


class AlertQuery(Paging):
    """Which alerts."""

    status: Literal["firing", "resolved"] | None = None
    run_id: str | None = Field(None, max_length=36)


class DeliveryQuery(Paging):
    """Which attempts."""

    alert_id: str | None = Field(None, max_length=36)


class ChannelIn(BaseModel):
    """A new channel; its address is never given back."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=63)
    address: SecretStr = Field(max_length=4096)


class ChannelChange(BaseModel):
    """What to change."""

    model_config = ConfigDict(extra="forbid")
    address: SecretStr | None = Field(None, max_length=4096)
    enabled: bool | None = None


class Done(BaseModel):
    """What a change came to."""

    id: str
    name: str


class TestSent(BaseModel):
    """The alert that tests a channel; its deliveries tell how it went."""

    id: str
    channel: str


class ChannelOut(BaseModel):
    """A channel without its address."""

    id: str
    name: str
    label: str
    scheme: str
    enabled: bool
    disabled_reason: str
    created_at: str
    updated_at: str


class AlertOut(BaseModel):
    """An alert."""

    id: str
    dedup_key: str
    status: str
    kind: str
    severity: str
    title: str
    body: str
    run_id: str | None
    created_at: str
    resolved_at: str | None


class DeliveryOut(BaseModel):
    """One attempt."""

    id: str
    alert_id: str
    channel_id: str
    channel: str | None
    attempt: int
    status: str
    due_at: str
    started_at: str | None
    ended_at: str | None
    error_class: str | None
    error: str | None


class ChannelPage(BaseModel):
    """Some channels."""

    items: list[ChannelOut]
    next_cursor: str | None


class AlertPage(BaseModel):
    """Some alerts."""

    items: list[AlertOut]
    next_cursor: str | None


class DeliveryPage(BaseModel):
    """Some attempts."""

    items: list[DeliveryOut]
    next_cursor: str | None


@api.op("GET", "/api/v1/channels", scope="channels:read", query=Paging, out=ChannelPage)
def list_channels(call: Call[NoBody, Paging]) -> ChannelPage:
    """List channels, newest first; never their addresses."""
    with call.store.read() as tx:
        found = records.list_channels(tx, call.scope, limit=call.query.limit, cursor=call.query.cursor)
    return ChannelPage(items=[_out(ChannelOut, row) for row in found.items], next_cursor=found.next_cursor)


@api.op("POST", "/api/v1/channels", scope="channels:write", body=ChannelIn, out=Done, status=201)
def add_channel(call: Call[ChannelIn, NoQuery]) -> Done:
    """Add a channel."""
    check_allowed(call.body.address.get_secret_value().strip(), call.services.settings.alerts_schemes)
    return Done(**_apply(call, "channel.add", "", {"name": call.body.name, "address": call.body.address}))


@api.op("PATCH", "/api/v1/channels/{channel}", scope="channels:write", body=ChannelChange, out=Done)
def change_channel(call: Call[ChannelChange, NoQuery]) -> Done:
    """Give a channel another address, or switch it on or off."""
    if call.body.address is not None:
        check_allowed(call.body.address.get_secret_value().strip(), call.services.settings.alerts_schemes)
    return Done(**_apply(call, "channel.update", call.path["channel"], call.body.model_dump(exclude_none=True)))


@api.op("DELETE", "/api/v1/channels/{channel}", scope="channels:write", status=204)
def remove_channel(call: Call[NoBody, NoQuery]) -> None:
    """Remove a channel."""
    _apply(call, "channel.rm", call.path["channel"], {})


@api.op("POST", "/api/v1/channels/{channel}/test", scope="channels:write", out=TestSent, status=202)
def test_channel(call: Call[NoBody, NoQuery]) -> TestSent:
    """Send a test alert to a channel."""
    return TestSent(**_apply(call, "channel.test", call.path["channel"], {}))


@api.op("GET", "/api/v1/alerts", scope="alerts:read", query=AlertQuery, out=AlertPage)
def list_alerts(call: Call[NoBody, AlertQuery]) -> AlertPage:
    """List alerts, newest first."""
    query = call.query
    with call.store.read() as tx:
        found = records.list_alerts(
            tx, call.scope, status=query.status, run_id=query.run_id, limit=query.limit, cursor=query.cursor
        )
    return AlertPage(items=[_out(AlertOut, row) for row in found.items], next_cursor=found.next_cursor)


@api.op("GET", "/api/v1/alerts/{alert_id}", scope="alerts:read", out=AlertOut)
def show_alert(call: Call[NoBody, NoQuery]) -> AlertOut:
    """Show an alert."""
    with call.store.read() as tx:
        row = records.find_alert(tx, call.scope, call.path["alert_id"])
    if row is None:
        raise NotFoundError("there is no such alert", hint="`hub alerts ls` lists them.")
    return cast(AlertOut, _out(AlertOut, row))


@api.op("GET", "/api/v1/deliveries", scope="alerts:read", query=DeliveryQuery, out=DeliveryPage)
def list_deliveries(call: Call[NoBody, DeliveryQuery]) -> DeliveryPage:
    """List attempts to deliver, newest first."""
    query = call.query
    with call.store.read() as tx:
        found = records.list_deliveries(tx, call.scope, alert_id=query.alert_id, limit=query.limit, cursor=query.cursor)
    return DeliveryPage(items=[_out(DeliveryOut, row) for row in found.items], next_cursor=found.next_cursor)


def _apply(call: Call[Any, Any], op: str, target: str, args: dict[str, Any]) -> dict[str, Any]:
    result = apply(call.store, Command(op, call.scope, target, args, call.command_id, "api")).result
    return {name: value for name, value in result.items() if name in ("id", "name", "channel")}


def _out(model: type[Any], row: dict[str, Any]) -> Any:
    known = {name: row[name] for name in model.model_fields}
    times = {name: rfc3339(value) for name, value in known.items() if name in _TIMES and value is not None}
    return model(**{**known, **times})
