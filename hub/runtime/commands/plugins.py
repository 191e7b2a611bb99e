"""Operations on plugins: configure, switch on and off, forget failures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hub.errors import ConflictError, NotFoundError, UsageError
from hub.pluginconfig import Resolved, meant, unknown
from hub.plugins import LoadedPlugin, config_model
from hub.references import check_reference, is_reference
from hub.runtime import plugging
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.secretfields import secret_names
from hub.store import events, plugin_settings
from hub.store.base import Tx
from hub.types import DEFAULT_WORKSPACE

MAX_FIELDS = 100
MAX_TEXT = 65_536


class Configure(BaseModel):
    """Fields to set, and those to let go, which fall back to the environment or their default.

    `revision`: what it was when the asker looked; another one since is a conflict.
    """

    model_config = ConfigDict(extra="forbid")
    fields: dict[str, Any] = Field(default_factory=dict, max_length=MAX_FIELDS)
    unset: list[str] = Field(default_factory=list, max_length=MAX_FIELDS)
    revision: int | None = Field(None, ge=0)


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def configure(tx: Tx, command: Command, args: Configure) -> dict[str, Any]:
    """Set fields of a plugin's configuration."""
    row = _plugin(command)
    known = plugin_settings.find(tx, row.name)
    if args.revision not in (None, known["version"] if known else 0):
        raise ConflictError(
            f"the configuration of {row.name} was changed meanwhile", hint="Look at it again, and set it once more."
        )
    there = plugging.opened(tx, known).fields if known else {}
    fields, _ = changed(row, there, args.fields, args.unset)
    hidden = secret_names(config_model(row))
    plain = {name: value for name, value in fields.items() if name not in hidden}
    secrets = {name: value for name, value in fields.items() if name in hidden}
    made = plugin_settings.put(tx, command.scope, row.name, fields=(plain, secrets))
    done = {"name": row.name, "fields": sorted(args.fields), "unset": sorted(args.unset), "revision": made["version"]}
    events.append(tx, command.scope, "hub.plugin.configured", subject=row.name, **done)
    return {"id": made["id"], "name": row.name, "revision": made["version"]}


def changed(
    row: LoadedPlugin, there: Mapping[str, Any], given: Mapping[str, Any], unset: list[str]
) -> tuple[dict[str, Any], Resolved]:
    """What would be set, and the configuration that makes. Raises UsageError when what is given cannot be.

    What was wrong before, such as another field that is missing, keeps nobody from setting this one.
    """
    try:
        model = config_model(row)
    except ValueError as error:
        raise UsageError(str(error), hint=f"`hub plugins show {row.name}` shows what it has.") from None
    for name, value in given.items():
        if isinstance(value, str) and (len(value) > MAX_TEXT or "\x00" in value):
            raise UsageError(f"the field {name[:60]!r} is over {MAX_TEXT} characters or holds a NUL character")
    wrong = unknown(model, [*given, *(name for name in unset if name not in there)])
    if wrong:
        raise UsageError(f"{row.name}: {wrong}", hint=f"`hub plugins show {row.name}` shows its fields.")
    both = sorted(given.keys() & set(unset))
    if both:
        raise UsageError(f"{row.name}: {both[0]} is set and unset at once")
    odd = [name for name in sorted(secret_names(model) & given.keys()) if not isinstance(given[name], str)]
    if odd:
        raise UsageError(f"{row.name}: {odd[0]} is secret, and must be a text", field=odd[0])
    for name in sorted(secret_names(model) & given.keys()):
        if is_reference(given[name]):
            check_reference(given[name])
    fields = {**{name: value for name, value in there.items() if name not in unset}, **meant(model, given)}
    found = plugging.resolved(row, fields)
    for name, sentence in found.problems.items():
        if name in given or not name:
            raise UsageError(f"{row.name}: {sentence}", field=name)
    return fields, found


def enable(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Switch a plugin on."""
    return _switch(tx, command, on=True)


def disable(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Switch a plugin off: its hooks are not called any more."""
    return _switch(tx, command, on=False)


def reset(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Forget the failures of a plugin's hooks in every process: what was skipped is called again."""
    row = _plugin(command)
    plugin_settings.put(tx, command.scope, row.name, reset=True)
    events.append(tx, command.scope, "hub.plugin.reset", subject=row.name, name=row.name)
    return {"name": row.name}


def _switch(tx: Tx, command: Command, *, on: bool) -> dict[str, Any]:
    row = _plugin(command)
    plugin_settings.put(tx, command.scope, row.name, enabled=on)
    verb = "enabled" if on else "disabled"
    events.append(tx, command.scope, f"hub.plugin.{verb}", subject=row.name, name=row.name)
    return {"name": row.name, "enabled": on}


def _plugin(command: Command) -> LoadedPlugin:
    if command.scope.workspace_id != DEFAULT_WORKSPACE:
        # Plugins are the installation's; who has another workspace of it has no say in them.
        raise NotFoundError(f"there is no plugin {command.target!r}")
    return plugging.installed(command.target)


OPS = (
    Op("plugin.configure", Configure, configure, "plugins:write", frozenset({"fields"})),
    Op("plugin.enable", Nothing, enable, "plugins:write"),
    Op("plugin.disable", Nothing, disable, "plugins:write"),
    Op("plugin.reset", Nothing, reset, "plugins:write"),
)
