"""The texts of a channel over HTTP: what it has, and what it would get."""

from __future__ import annotations

from typing import Any

from hub.errors import ConflictError, PermanentError, UsageError
from hub.runtime import contributed
from hub.settings import Settings
from hub.store.base import Store, Tx
from hub.types import Id, Scope, rfc3339
from hub.web.api.fields import NoBody, NoQuery
from hub.web.api.op import Api, Call
from pydantic import BaseModel, ConfigDict, Field

from hub_notifications import channels, firing
from hub_notifications.api import ChannelOut
from hub_notifications.content import MAX_RUNS, content
from hub_notifications.links import with_links
from hub_notifications.samples import Sample, sample
from hub_notifications.services import shape_of
from hub_notifications.templates import preview

api = Api()


class ChannelDetail(ChannelOut):
    """A channel with its templates, without its address."""

    title_template: str
    body_template: str
    template_error: str


class PreviewIn(BaseModel):
    """What to show: a recorded alert or a made-up one, by the channel's templates or by others."""

    model_config = ConfigDict(extra="forbid")
    sample: Sample | None = None
    alert_id: str | None = Field(None, max_length=36)
    title_template: str | None = Field(None, max_length=20_000)
    body_template: str | None = Field(None, max_length=20_000)


class PreviewOut(BaseModel):
    """A message as the channel would get it. `length` and `limit` are in `unit`."""

    channel: str
    title: str
    text: str
    format: str
    length: int
    limit: int
    unit: str
    problem: str


@api.op("GET", "/api/v1/channels/{channel}", scope="channels:read", out=ChannelDetail)
def show_channel(call: Call[NoBody, NoQuery]) -> ChannelDetail:
    """Show a channel and its templates; never its address."""
    with call.store.read() as tx:
        row = channels.find(tx, call.scope, call.path["channel"])
        row["needs"] = channels.needs(tx, row["scheme"])
    known: dict[str, Any] = {name: row[name] for name in ChannelDetail.model_fields}
    return ChannelDetail(**{**known, **{name: rfc3339(row[name]) for name in ("created_at", "updated_at")}})


@api.op("POST", "/api/v1/channels/{channel}/preview", scope="channels:write", body=PreviewIn, out=PreviewOut)
def preview_channel(call: Call[PreviewIn, NoQuery]) -> PreviewOut:
    """Show what a channel would get; sends nothing."""
    return preview_of(call.store, call.services.settings, call.scope, call.path["channel"], call.body)


def preview_of(store: Store, settings: Settings, scope: Scope, target: str, asked: PreviewIn) -> PreviewOut:
    """What a channel (by id or name) would get. Raises NotFoundError, TemplateError."""
    if asked.sample and asked.alert_id:
        raise UsageError("a preview shows a sample or an alert", hint="Leave out sample or alert_id.")
    with store.read() as tx:
        channel = channels.find(tx, scope, target)
        address = channels.open_address(store.keyring, channel, channel["id"])
        if asked.alert_id:
            document = with_links(_recorded(tx, scope, asked.alert_id), settings)
        else:
            document = sample(asked.sample or "firing")
    document["channel"] = channel["name"]
    tried = {"title_template": asked.title_template, "body_template": asked.body_template}
    try:
        shape = shape_of(address, contributed.installed().channels)
    except PermanentError as error:
        raise ConflictError(
            f"the channel cannot be used: {error}", hint=f"`hub channels update {channel['name']} --address` mends it."
        ) from None
    made = preview(channel, document, shape, {name: text for name, text in tried.items() if text is not None})
    return PreviewOut(channel=channel["name"], **made)


def _recorded(tx: Tx, scope: Scope, alert_id: Id) -> dict[str, Any]:
    """The document of a message about an alert as it is now."""
    row = firing.find(tx, scope, alert_id)
    told = [{"alert_id": row["id"], "status": row["status"], "occurrences": row["count"]}]
    reason = "test" if row["kind"] == "channel-test" else row["status"]
    runs = {row["id"]: firing.occurrences(tx, row["id"], limit=MAX_RUNS)}
    return dict(content(reason, [row], told, tx.now, runs=runs))
