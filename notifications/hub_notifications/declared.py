"""The sections of `hub.yaml` that this plugin brings: `channels`, `routes` (`declared_routes`) and `slas`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from hub.errors import HubError
from hub.runtime import contributed
from hub.runtime.definitions.section import Definition, Found, Reference, Secret, Section, Step, Wanted, refusal
from hub.runtime.definitions.values import rows
from hub.settings import Settings
from hub.store.base import Tx
from hub.types import Scope
from pydantic import Field

from hub_notifications import channels as kept
from hub_notifications import sla_ops
from hub_notifications.address import check_address, check_allowed
from hub_notifications.declared_routes import ROUTES
from hub_notifications.ops import NAME, Burst, Rate, Tags
from hub_notifications.reach import reach_of
from hub_notifications.slas import Sla
from hub_notifications.templates import BodyTemplate, TitleTemplate


class ChannelDefinition(Definition):
    """A channel. Its address holds passwords or tokens, so it is a reference.

    `enabled`: left out, it stays as it is.
    """

    address: Secret = Field(description="where its address (an Apprise URL) comes from")
    tags: Tags = Field(default_factory=list)
    rate: Rate = Field(30, description="messages a minute")
    burst: Burst = Field(10, description="messages at once after a rest")
    title_template: TitleTemplate = ""
    body_template: BodyTemplate = ""
    enabled: bool | None = None


def sections(settings: Settings) -> list[Section]:
    """The sections of this plugin. `settings` say what channels may reach."""

    def allowed(address: str) -> None:
        check_allowed(address, reach_of(settings), contributed.installed().channels)

    def check(_name: str, definition: ChannelDefinition) -> Iterator[HubError]:
        if definition.address.value is not None:
            address = definition.address.value.get_secret_value().strip()
            wrong = list(refusal("address", allowed, address))
            yield from wrong or refusal("address", check_address, address, contributed.installed().channels)

    def steps(wanted: Wanted, found: Found | None, changed: frozenset[str]) -> Iterator[Step]:
        address = wanted.secrets.get("address", "").strip()
        if found is None or "address" in changed:
            allowed(address)
        if found is None:
            said = {name: wanted.values[name] for name in _PLAIN if name != "enabled"}
            yield Step("channel.add", "", {"name": wanted.name, "address": address, **said})
            if not wanted.values["enabled"]:
                yield Step("channel.update", wanted.name, {"enabled": False})
            return
        update = {name: wanted.values[name] for name in wanted.values if name in changed}
        if "address" in changed:  # a new address switches it on
            update |= {"address": address, "enabled": wanted.values["enabled"]}
        yield Step("channel.update", wanted.name, update)

    channels = Section(
        "channels", "Where alerts go.", ChannelDefinition, "channels", 60,
        complete=_complete, read=_read, steps=steps, remove="channel.rm", names=NAME, check=check,
        secrets=lambda definition: {"address": definition.address},
    )  # fmt: skip
    return [channels, ROUTES, _slas()]


def _slas() -> Section:
    return Section(
        "slas", "What is expected of flows.", Sla, "channels", 90,
        complete=lambda definition, _found: definition.model_dump(mode="json"), read=_read_slas, steps=_sla_steps,
        remove="sla.rm", names=sla_ops.NAME, refers=_sla_refers,
        brief=lambda values, _folder: Sla.model_validate(values).model_dump(mode="json", exclude_defaults=True),
    )  # fmt: skip


def _read_slas(tx: Tx, scope: Scope, names: Collection[str] | None) -> dict[str, Found]:
    return {
        row["name"]: Found(row["id"], Sla.model_validate(row["spec"]).model_dump(mode="json"))
        for row in rows(tx, scope, sla_ops.SLAS, names)
    }


def _sla_steps(wanted: Wanted, _found: Found | None, _changed: frozenset[str]) -> Iterator[Step]:
    yield Step("sla.set", wanted.name, {"name": wanted.name, "spec": wanted.values})


def _sla_refers(definition: Sla) -> Iterator[Reference]:
    """Its deployment, and channels by name; tags may mean none."""
    if definition.deployment:
        yield Reference(("deployment",), "deployments", definition.deployment)
    for number, target in enumerate(definition.to):
        if not target.startswith(kept.TAG):
            yield Reference(("to", number), "channels", target)


_PLAIN = ("tags", "rate", "burst", "title_template", "body_template", "enabled")


def _complete(definition: ChannelDefinition, found: Found | None) -> dict[str, Any]:
    enabled = definition.enabled if definition.enabled is not None else found is None or found.values["enabled"]
    tags = list(dict.fromkeys(definition.tags))
    said = {name: getattr(definition, name) for name in _PLAIN if name not in ("tags", "enabled")}
    return {**said, "tags": tags, "enabled": enabled}


def _read(tx: Tx, scope: Scope, names: Collection[str] | None) -> dict[str, Found]:
    found = {}
    for row in rows(tx, scope, kept.CHANNELS, names):
        address = tx.keyring.open(row["sealed"], context=f"channels:{row['id']}", key_id=row["key_id"])
        found[row["name"]] = Found(row["id"], {name: row[name] for name in _PLAIN}, {"address": (address,)})
    return found
