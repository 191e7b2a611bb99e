"""Channels, alerts and deliveries over HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, cast

from hub.runtime.commands import Command, apply
from hub.types import rfc3339
from hub.web.api.fields import NoBody, NoQuery
from hub.web.api.op import Api, Call
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from starlette.routing import BaseRoute

from hub_notifications import channels, firing, notices, schemes


def _pages() -> Iterable[BaseRoute]:
    from hub_notifications.ui import site  # noqa: PLC0415 - its pages use this module

    return site.all_routes()


api = Api(pages=_pages)
_TIMES = (
    "created_at",
    "updated_at",
    "resolved_at",
    "due_at",
    "started_at",
    "ended_at",
    "last_at",
    "acknowledged_at",
    "acknowledged_until",
)


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
    status: Literal["pending", "sending", "sent", "failed", "dead", "merged"] | None = None


class AckIn(BaseModel):
    """For how long somebody looks after it, and who if it is not the caller."""

    model_config = ConfigDict(extra="forbid")
    for_s: int = Field(86_400, ge=60, le=31 * 86_400)
    by: str = Field("", max_length=200)


class Acked(BaseModel):
    """Who looks after it."""

    id: str
    by: str


class Retried(BaseModel):
    """The attempt that is planned."""

    id: str
    channel: str
    attempt: int


class OccurrenceOut(BaseModel):
    """One time that it happened."""

    id: str
    title: str
    run_id: str | None
    run_name: str
    at: str


class OccurrenceList(BaseModel):
    """The last times."""

    items: list[OccurrenceOut]
    next_cursor: str | None = None


class ChannelIn(BaseModel):
    """A new channel, by its address or by its scheme and fields; neither is given back."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=63)
    address: SecretStr | None = Field(None, max_length=4096)
    scheme: str | None = Field(None, max_length=31)
    fields: dict[str, SecretStr] = Field({}, max_length=50)
    tags: list[str] = Field(default=[], max_length=20)
    rate: int = Field(30, ge=1, le=6_000)
    burst: int = Field(10, ge=1, le=1_000)
    title_template: str = Field("", max_length=20_000)
    body_template: str = Field("", max_length=20_000)


class ChannelChange(BaseModel):
    """What to change."""

    model_config = ConfigDict(extra="forbid")
    address: SecretStr | None = Field(None, max_length=4096)
    enabled: bool | None = None
    tags: list[str] | None = Field(default=None, max_length=20)
    rate: int | None = Field(default=None, ge=1, le=6_000)
    burst: int | None = Field(default=None, ge=1, le=1_000)
    title_template: str | None = Field(None, max_length=20_000)
    body_template: str | None = Field(None, max_length=20_000)


class Done(BaseModel):
    """What a change came to."""

    id: str
    name: str


class TestSent(BaseModel):
    """The alert that tests a channel; its deliveries tell how it went."""

    id: str
    channel: str


class ChannelOut(BaseModel):
    """A channel without its address. `needs`: which plugin it waits for; empty for one that works."""

    id: str
    name: str
    label: str
    scheme: str
    tags: list[str]
    rate: int
    burst: int
    enabled: bool
    disabled_reason: str
    needs: str
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
    labels: dict[str, Any]
    context: dict[str, Any]
    count: int
    created_at: str
    last_at: str
    resolved_at: str | None
    acknowledged_at: str | None
    acknowledged_until: str | None
    acknowledged_by: str


class DeliveryOut(BaseModel):
    """One attempt."""

    id: str
    notification_id: str
    reason: str | None
    title: str
    merged_into: str | None
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
        found = channels.listed(tx, call.scope, limit=call.query.limit, cursor=call.query.cursor)
        rows = [{**row, "needs": channels.needs(tx, row["scheme"])} for row in found.items]
    return ChannelPage(items=[_out(ChannelOut, row) for row in rows], next_cursor=found.next_cursor)


@api.op("POST", "/api/v1/channels", scope="channels:write", body=ChannelIn, out=Done, status=201)
def add_channel(call: Call[ChannelIn, NoQuery]) -> Done:
    """Add a channel, by an address or by a scheme and its fields."""
    body = call.body
    address = schemes.allowed_address(call.services.settings, body.address, body.scheme, body.fields)
    given = body.model_dump(exclude={"scheme", "fields"})
    return Done(**_apply(call, "channel.add", "", {**given, "address": address}))


@api.op("PATCH", "/api/v1/channels/{channel}", scope="channels:write", body=ChannelChange, out=Done)
def change_channel(call: Call[ChannelChange, NoQuery]) -> Done:
    """Give a channel another address or texts of its own, or switch it on or off."""
    given = call.body.model_dump(exclude_none=True)
    if call.body.address is not None:
        given["address"] = schemes.allowed_address(call.services.settings, call.body.address)
    return Done(**_apply(call, "channel.update", call.path["channel"], given))


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
        found = firing.list_alerts(
            tx, call.scope, status=query.status, run_id=query.run_id, limit=query.limit, cursor=query.cursor
        )
    return AlertPage(items=[_out(AlertOut, row) for row in found.items], next_cursor=found.next_cursor)


@api.op("GET", "/api/v1/alerts/{alert_id}", scope="alerts:read", out=AlertOut)
def show_alert(call: Call[NoBody, NoQuery]) -> AlertOut:
    """Show an alert."""
    with call.store.read() as tx:
        row = firing.find(tx, call.scope, call.path["alert_id"])
    return cast(AlertOut, _out(AlertOut, row))


@api.op("POST", "/api/v1/alerts/{alert_id}/acknowledge", scope="alerts:write", body=AckIn, out=Acked)
def acknowledge(call: Call[AckIn, NoQuery]) -> Acked:
    """Say that somebody looks after an alert: it is neither repeated nor escalated. 409 when it is over."""
    return Acked(**_apply(call, "alert.acknowledge", call.path["alert_id"], call.body.model_dump()))


@api.op("DELETE", "/api/v1/alerts/{alert_id}/acknowledge", scope="alerts:write", status=204)
def unacknowledge(call: Call[NoBody, NoQuery]) -> None:
    """Take an acknowledgement back."""
    _apply(call, "alert.unacknowledge", call.path["alert_id"], {})


@api.op("POST", "/api/v1/alerts/{alert_id}/resolve", scope="alerts:write", status=204)
def resolve_alert(call: Call[NoBody, NoQuery]) -> None:
    """Say by hand that an alert is over. 409 when it was already."""
    _apply(call, "alert.end", call.path["alert_id"], {})


@api.op("GET", "/api/v1/alerts/{alert_id}/occurrences", scope="alerts:read", out=OccurrenceList)
def list_occurrences(call: Call[NoBody, NoQuery]) -> OccurrenceList:
    """List the last hundred times that it happened, newest first."""
    with call.store.read() as tx:
        alert = firing.find(tx, call.scope, call.path["alert_id"])
        rows = firing.occurrences(tx, alert["id"], limit=100)
    return OccurrenceList(items=[_out(OccurrenceOut, row) for row in rows])


@api.op("GET", "/api/v1/deliveries", scope="alerts:read", query=DeliveryQuery, out=DeliveryPage)
def list_deliveries(call: Call[NoBody, DeliveryQuery]) -> DeliveryPage:
    """List attempts to deliver, newest first."""
    query = call.query
    with call.store.read() as tx:
        found = notices.list_deliveries(
            tx, call.scope, alert_id=query.alert_id, status=query.status, limit=query.limit, cursor=query.cursor
        )
    return DeliveryPage(items=[_out(DeliveryOut, row) for row in found.items], next_cursor=found.next_cursor)


@api.op("POST", "/api/v1/deliveries/{delivery_id}/retry", scope="alerts:write", out=Retried, status=202)
def retry_delivery(call: Call[NoBody, NoQuery]) -> Retried:
    """Send once more what was given up. 409 for any other delivery."""
    return Retried(**_apply(call, "delivery.retry", call.path["delivery_id"], {}))


def _apply(call: Call[Any, Any], op: str, target: str, args: dict[str, Any]) -> dict[str, Any]:
    result = apply(call.store, Command(op, call.scope, target, args, call.command_id, "api")).result
    return {name: value for name, value in result.items() if name in ("id", "name", "channel", "by", "attempt")}


def _out(model: type[Any], row: dict[str, Any]) -> Any:
    known = {name: row[name] for name in model.model_fields}
    times = {name: rfc3339(value) for name, value in known.items() if name in _TIMES and value is not None}
    return model(**{**known, **times})
