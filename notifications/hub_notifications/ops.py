"""Operations on channels."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from hub.errors import ConflictError, UsageError
from hub.runtime import contributed
from hub.runtime.commands import Command, Op
from hub.store import events
from hub.store.base import Tx
from hub.types import new_id
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy import delete, update

from hub_notifications import channels, firing, notices
from hub_notifications.address import check_address, make_label, scheme_of
from hub_notifications.deliver import tell_directly
from hub_notifications.rules import AlertEvent
from hub_notifications.templates import BodyTemplate, TitleTemplate, templates_of

NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"


def _usable(address: SecretStr) -> SecretStr:
    """Checked with the arguments, before a transaction is open: loading Apprise takes half a second."""
    text = address.get_secret_value().strip()
    check_address(text, contributed.installed().channels)
    return SecretStr(text)


Address: TypeAlias = Annotated[SecretStr, Field(min_length=4, max_length=4096), AfterValidator(_usable)]


Tags: TypeAlias = Annotated[list[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]], Field(max_length=20)]
Rate: TypeAlias = Annotated[int, Field(ge=1, le=6_000)]
Burst: TypeAlias = Annotated[int, Field(ge=1, le=1_000)]


class AddChannel(BaseModel):
    """A new channel. The address is an Apprise URL, or slack+http(s):// for a Slack-compatible webhook.

    `rate` messages a minute, `burst` of them at once after a rest; what overflows becomes a digest.
    """

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=NAME)
    address: Address
    tags: Tags = []
    rate: Rate = 30
    burst: Burst = 10
    title_template: TitleTemplate = ""
    body_template: BodyTemplate = ""


class UpdateChannel(BaseModel):
    """Change a channel: another address, tags, rate or texts of its own ("" takes them away), switched on or off."""

    model_config = ConfigDict(extra="forbid")
    address: Address | None = None
    title_template: TitleTemplate | None = None
    body_template: BodyTemplate | None = None
    enabled: bool | None = None
    tags: Tags | None = None
    rate: Rate | None = None
    burst: Burst | None = None


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def add(tx: Tx, command: Command, args: AddChannel) -> dict[str, Any]:
    """Make a channel; the address is checked, sealed, and never shown again."""
    address = args.address.get_secret_value()
    label = make_label(address, args.name)
    row = channels.new_row(command.scope, args.name, label, scheme_of(address), tx.now)
    row |= {"tags": args.tags, "rate": args.rate, "burst": args.burst, "free_at": 0}
    row |= _sealed(tx, row["id"], address) | templates_of(args)
    if not tx.insert_ignore(channels.CHANNELS, row):
        raise ConflictError(f"there is already a channel named {args.name!r}", hint="Choose another name.")
    events.append(tx, command.scope, "hub.channel.created", subject=row["id"], name=args.name)
    return {"id": row["id"], "name": args.name, "label": row["label"]}


def change(tx: Tx, command: Command, args: UpdateChannel) -> dict[str, Any]:
    """Change a channel; a new address switches it on again."""
    channel = channels.find(tx, command.scope, command.target)
    values: dict[str, Any] = {"updated_at": tx.now, **templates_of(args)}
    if args.address is not None:
        address = args.address.get_secret_value()
        values |= {"scheme": scheme_of(address), "label": make_label(address, channel["name"])}
        values |= {"enabled": True, "disabled_reason": ""}
        values |= _sealed(tx, channel["id"], address)
    if args.enabled is not None:
        values |= {"enabled": args.enabled, "disabled_reason": "" if args.enabled else "switched off by hand"}
    values |= {name: value for name in ("tags", "rate", "burst") if (value := getattr(args, name)) is not None}
    tx.conn.execute(update(channels.CHANNELS).where(channels.CHANNELS.c.id == channel["id"]).values(**values))
    events.append(tx, command.scope, "hub.channel.updated", subject=channel["id"], name=channel["name"])
    return {"id": channel["id"], "name": channel["name"]}


def remove(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Delete a channel; attempts that were waiting for it end."""
    channel = channels.find(tx, command.scope, command.target)
    table = notices.DELIVERIES
    waiting = (table.c.channel_id == channel["id"], table.c.status.in_(("pending", "sending")))
    values = {"status": "dead", "ended_at": tx.now, "error_class": "permanent", "error": "the channel was removed"}
    tx.conn.execute(update(table).where(*waiting).values(**values))
    tx.conn.execute(delete(channels.CHANNELS).where(channels.CHANNELS.c.id == channel["id"]))
    events.append(tx, command.scope, "hub.channel.deleted", subject=channel["id"], name=channel["name"])
    return {"id": channel["id"], "name": channel["name"]}


def test(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Send a test alert to one channel, by the same way as any other; its delivery rows show how it went."""
    channel = channels.find(tx, command.scope, command.target)
    if not channel["enabled"]:
        raise UsageError(
            f"channel {channel['name']} is switched off: {channel['disabled_reason']}",
            hint=f"`hub channels enable {channel['name']}` switches it on.",
        )
    told = AlertEvent(
        "firing", f"channel/{channel['id']}/test", new_id(), "channel-test", "info", "Test from Hubspoke",
        f"This is a test of channel {channel['name']}. Nothing is wrong.", labels={"channel": channel["name"]},
    )  # fmt: skip
    alert_id = tell_directly(tx, command.scope, told, [channel["id"]], reason="test")
    firing.resolve(tx, command.scope, told.about)
    return {"id": alert_id, "channel": channel["name"]}


def _sealed(tx: Tx, channel_id: str, address: str) -> dict[str, Any]:
    return {
        "sealed": tx.keyring.seal(address, context=f"channels:{channel_id}"),
        "key_id": tx.keyring.key_id,
    }


OPS = (
    Op("channel.add", AddChannel, add, "channels:write", frozenset({"address"})),
    Op("channel.update", UpdateChannel, change, "channels:write", frozenset({"address"})),
    Op("channel.rm", Nothing, remove, "channels:write"),
    Op("channel.test", Nothing, test, "channels:write"),
)
