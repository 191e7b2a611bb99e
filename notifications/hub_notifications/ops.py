"""Operations on channels."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from hub.errors import ConflictError, UsageError
from hub.runtime.commands import Command, Op
from hub.store import events
from hub.store.base import Tx
from hub.types import new_id
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy import delete, update

from hub_notifications import records
from hub_notifications.address import check_address, make_label, scheme_of
from hub_notifications.messages import plain_message
from hub_notifications.rules import AlertEvent

NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"


def _usable(address: SecretStr) -> SecretStr:
    """Checked with the arguments, before a transaction is open: loading Apprise takes half a second."""
    text = address.get_secret_value().strip()
    check_address(text)
    return SecretStr(text)


Address: TypeAlias = Annotated[SecretStr, Field(min_length=4, max_length=4096), AfterValidator(_usable)]


class AddChannel(BaseModel):
    """A new channel. The address is an Apprise URL, or slack+http(s):// for a Slack-compatible webhook."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=NAME)
    address: Address


class UpdateChannel(BaseModel):
    """Change a channel: give it another address, switch it on or off."""

    model_config = ConfigDict(extra="forbid")
    address: Address | None = None
    enabled: bool | None = None


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def add(tx: Tx, command: Command, args: AddChannel) -> dict[str, Any]:
    """Make a channel; the address is checked, sealed, and never shown again."""
    address = args.address.get_secret_value()
    label = make_label(address, args.name)
    row = records.new_channel_row(command.scope, args.name, label, scheme_of(address), tx.now)
    row |= _sealed(tx, row["id"], address)
    if not tx.insert_ignore(records.CHANNELS, row):
        raise ConflictError(f"there is already a channel named {args.name!r}", hint="Choose another name.")
    events.append(tx, command.scope, "hub.channel.created", subject=row["id"], name=args.name)
    return {"id": row["id"], "name": args.name, "label": row["label"]}


def change(tx: Tx, command: Command, args: UpdateChannel) -> dict[str, Any]:
    """Change a channel; a new address switches it on again."""
    channel = records.find_channel(tx, command.scope, command.target)
    values: dict[str, Any] = {"updated_at": tx.now}
    if args.address is not None:
        address = args.address.get_secret_value()
        values |= {"scheme": scheme_of(address), "label": make_label(address, channel["name"])}
        values |= {"enabled": True, "disabled_reason": ""}
        values |= _sealed(tx, channel["id"], address)
    if args.enabled is not None:
        values |= {"enabled": args.enabled, "disabled_reason": "" if args.enabled else "switched off by hand"}
    tx.conn.execute(update(records.CHANNELS).where(records.CHANNELS.c.id == channel["id"]).values(**values))
    events.append(tx, command.scope, "hub.channel.updated", subject=channel["id"], name=channel["name"])
    return {"id": channel["id"], "name": channel["name"]}


def remove(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Delete a channel; attempts that were waiting for it end."""
    channel = records.find_channel(tx, command.scope, command.target)
    table = records.DELIVERIES
    waiting = (table.c.channel_id == channel["id"], table.c.status.in_(("pending", "sending")))
    values = {"status": "dead", "ended_at": tx.now, "error_class": "permanent", "error": "the channel was removed"}
    tx.conn.execute(update(table).where(*waiting).values(**values))
    tx.conn.execute(delete(records.CHANNELS).where(records.CHANNELS.c.id == channel["id"]))
    events.append(tx, command.scope, "hub.channel.deleted", subject=channel["id"], name=channel["name"])
    return {"id": channel["id"], "name": channel["name"]}


def test(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Send a test alert to one channel, by the same way as any other; its delivery rows show how it went."""
    channel = records.find_channel(tx, command.scope, command.target)
    if not channel["enabled"]:
        raise UsageError(
            f"channel {channel['name']} is switched off: {channel['disabled_reason']}",
            hint=f"`hub channels enable {channel['name']}` switches it on.",
        )
    told = AlertEvent("firing", f"{channel['id']}/test", new_id(), "channel-test", "info", "")
    message = plain_message("Test from Hubspoke", f"This is a test of channel {channel['name']}. Nothing is wrong.")
    alert_id = records.raise_alert(tx, command.scope, told, message, channels=[channel["id"]])
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
