"""The section `plugins`: how plugins are configured, and whether they are on."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pydantic import Field

from hub.errors import HubError, UsageError
from hub.plugins import config_model
from hub.runtime import plugging
from hub.runtime.commands.plugins import MAX_FIELDS, changed
from hub.runtime.definitions.section import Definition, Found, Secret, Section, Step, Wanted, refusal
from hub.secretfields import secret_names
from hub.store import plugin_settings as stored
from hub.store.base import Tx
from hub.types import DEFAULT_WORKSPACE, Scope


class PluginDefinition(Definition):
    """A plugin that is installed, by its name. `hub plugins show` lists its fields. `enabled`: left out, it stays."""

    fields: dict[str, Any] = Field(
        default_factory=dict, max_length=MAX_FIELDS, description="fields of its configuration that are not secret"
    )
    secrets: dict[str, Secret] = Field(
        default_factory=dict, max_length=MAX_FIELDS, description="those that are, as {env: NAME} or {ref: env:NAME}"
    )
    enabled: bool | None = None


def complete(definition: PluginDefinition, found: Found | None) -> dict[str, Any]:
    """What is set, secret fields told by their names, and whether it is on."""
    enabled = definition.enabled if definition.enabled is not None else found is None or found.values["enabled"]
    return {"fields": definition.fields, "enabled": enabled, "secret_fields": sorted(definition.secrets)}


def read(tx: Tx, scope: Scope, names: Collection[str] | None) -> dict[str, Found]:
    """Plugins that something was set for. They are the installation's: in other workspaces there are none."""
    found = {}
    for row in stored.listing(tx) if scope.workspace_id == DEFAULT_WORKSPACE else ():
        if names is None or row["plugin"] in names:
            opened = {f"secrets.{name}": (value,) for name, value in stored.secrets_of(tx, row).items()}
            values = {"fields": row["fields"], "enabled": row["enabled"], "secret_fields": row["secret_fields"]}
            found[row["plugin"]] = Found(row["id"], values, opened)
    return found


def steps(wanted: Wanted, found: Found | None, changed: frozenset[str]) -> Iterator[Step]:
    """Set and let go what differs; then switch it on or off."""
    given = {place.removeprefix("secrets."): value for place, value in wanted.secrets.items()}
    fields = {**wanted.values["fields"], **given}
    there = () if found is None else (*found.values["fields"], *found.values["secret_fields"])
    unset = sorted({*there} - {*wanted.values["fields"], *wanted.values["secret_fields"]})
    sets = bool(fields or unset) and (found is None or changed != {"enabled"})
    if sets:
        yield Step("plugin.configure", wanted.name, {"fields": fields, "unset": unset})
    if wanted.values["enabled"] != (found is None or found.values["enabled"]) or (found is None and not sets):
        yield Step("plugin.enable" if wanted.values["enabled"] else "plugin.disable", wanted.name)


def secrets(definition: PluginDefinition) -> dict[str, Secret]:
    """The secret fields that are given."""
    return {f"secrets.{name}": secret for name, secret in definition.secrets.items()}


def check(name: str, definition: PluginDefinition) -> Iterator[HubError]:
    """What `plugin.configure` would refuse."""
    try:
        row = plugging.installed(name)
        hidden = secret_names(config_model(row)) if definition.fields or definition.secrets else frozenset()
    except (HubError, ValueError) as error:
        told = error.detail if isinstance(error, HubError) else str(error)
        yield UsageError(told, hint="`hub plugins ls` lists what is installed.")
        return
    for bare in sorted(hidden & definition.fields.keys()):
        yield UsageError(
            "a secret never stands in the file itself", hint="Write it under `secrets`, as {env: NAME} or {ref: ...}.",
            field=f"fields.{bare}",
        )  # fmt: skip
    for plain in sorted(definition.secrets.keys() - hidden):
        yield UsageError(f"{name} has no secret field {plain!r}", field=f"secrets.{plain}")
    open_ = {field: value for field, value in definition.fields.items() if field not in hidden}
    for field, value in open_.items():
        yield from refusal(f"fields.{field}", changed, row, {}, {field: value}, [])


PLUGINS = Section(
    "plugins", "How plugins are configured.", PluginDefinition, "plugins", 15, complete=complete, read=read,
    steps=steps, names=r"^[a-z][a-z0-9-]{1,39}$", secrets=secrets, check=check,
)  # fmt: skip
