"""Plugins over the API: how they stand, and what can be set for them. What is secret goes in and never comes out."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from hub.errors import ConflictError, NotFoundError
from hub.pluginconfig import fields
from hub.plugins import config_model
from hub.runtime import plugging, plugin_reports
from hub.runtime.commands import Command, apply
from hub.runtime.commands.plugins import MAX_FIELDS, changed
from hub.store import plugin_settings
from hub.types import DEFAULT_WORKSPACE
from hub.web.api.fields import In, Moment, NoBody, NoQuery, Out
from hub.web.api.op import Api, Call

api = Api()
READ, WRITE = "plugins:read", "plugins:write"
FieldName = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class BreakerOut(Out):
    """A hook of a plugin that is skipped, or tried again after it was."""

    hook: str
    state: str
    errors: int
    last_error: str


class ActionOut(Out):
    """What a plugin can do: a task by its name; `parameters` is the JSON schema of what it takes."""

    name: str
    summary: str
    parameters: dict[str, Any]


class PluginOut(Out):
    """A plugin. `state` is loaded, degraded, failed, disabled or incompatible; `problem` says why.

    `own`: it comes with the hub. `enabled` is false after `disable`. `configurable`: it has a configuration.
    """

    name: str
    version: str
    distribution: str
    own: bool
    state: str
    enabled: bool
    configurable: bool
    summary: str
    runs_in: list[str]
    import_ms: float
    hooks: list[str]
    actions: list[ActionOut]
    problem: str
    errors: int
    last_error: str
    breakers: list[BreakerOut]


class Plugins(Out):
    """All of them: there are never so many that they need pages. `safe_mode`: only the hub's own are loaded."""

    items: list[PluginOut]
    safe_mode: bool
    next_cursor: str | None = None


class ConfigFieldOut(Out):
    """A field of a plugin's configuration. `source` is default, environment, set or missing.

    `given`: it comes from the environment or was set; a secret one shows no more. `variable` would set it there.
    """

    name: str
    type: str
    required: bool
    secret: bool
    default: Any
    description: str
    variable: str
    source: str
    value: Any
    given: bool
    problem: str


class PluginDetail(PluginOut):
    """A plugin with its configuration as the web process sees it. `revision` counts what was set."""

    fields: list[ConfigFieldOut]
    config_problem: str
    revision: int
    updated_by: str
    updated_at: Moment | None


class ConfigIn(In):
    """Fields to set, and those to let go. `revision`: that of what the asker looked at. `dry_run`: only show it."""

    fields: dict[str, Any] = Field(default_factory=dict, max_length=MAX_FIELDS)
    unset: list[FieldName] = Field(default_factory=list, max_length=MAX_FIELDS)
    revision: int | None = Field(None, ge=0)
    dry_run: bool = False


@api.op("GET", "/api/v1/plugins", out=Plugins, scope=READ)
def list_plugins(call: Call[NoBody, NoQuery]) -> Plugins:
    """List installed plugins, what is wrong with them, and what failed in any process lately."""
    with call.store.read() as tx:
        rows = plugin_reports.listing(tx, call.services.plugins)
    items = [PluginOut.model_validate(row) for row in rows]
    return Plugins(items=items, safe_mode=call.services.settings.safe_mode)


@api.op("GET", "/api/v1/plugins/{name}", out=PluginDetail, scope=READ, errors=[NotFoundError])
def get_plugin(call: Call[NoBody, NoQuery]) -> PluginDetail:
    """Show a plugin, and its configuration with where each value comes from."""
    _check_workspace(call)
    with call.store.read() as tx:
        return PluginDetail.model_validate(plugin_reports.one(tx, call.services.plugins, call.path["name"]))


@api.op(
    "POST", "/api/v1/plugins/{name}/configure", body=ConfigIn, out=PluginDetail, scope=WRITE,
    errors=[NotFoundError, ConflictError],
)  # fmt: skip
def configure_plugin(call: Call[ConfigIn, NoQuery]) -> PluginDetail:
    """Set fields of a plugin's configuration, or let them go; with `dry_run` only show what that would make."""
    if call.body.dry_run:
        return _would_be(call)
    args = call.body.model_dump(exclude={"dry_run"})
    return _changed(call, "plugin.configure", args)


@api.op("POST", "/api/v1/plugins/{name}/enable", out=PluginDetail, scope=WRITE, errors=[NotFoundError])
def enable_plugin(call: Call[NoBody, NoQuery]) -> PluginDetail:
    """Switch a plugin on. A process that has not loaded it does so when it starts again."""
    return _changed(call, "plugin.enable")


@api.op("POST", "/api/v1/plugins/{name}/disable", out=PluginDetail, scope=WRITE, errors=[NotFoundError])
def disable_plugin(call: Call[NoBody, NoQuery]) -> PluginDetail:
    """Switch a plugin off: its hooks are not called any more, what it brought to a process goes with the process."""
    return _changed(call, "plugin.disable")


@api.op("POST", "/api/v1/plugins/{name}/reset", out=PluginDetail, scope=WRITE, errors=[NotFoundError])
def reset_plugin(call: Call[NoBody, NoQuery]) -> PluginDetail:
    """Forget the failures of a plugin's hooks in every process: what was skipped is called again."""
    return _changed(call, "plugin.reset")


def _changed(call: Call[Any, NoQuery], op: str, args: dict[str, Any] | None = None) -> PluginDetail:
    name = call.path["name"]
    _check_workspace(call)
    plugging.prepare(name)
    apply(call.store, Command(op, call.scope, name, args or {}, id=call.command_id))
    with call.store.read() as tx:
        return PluginDetail.model_validate(plugin_reports.one(tx, call.services.plugins, name))


def _would_be(call: Call[ConfigIn, NoQuery]) -> PluginDetail:
    name = call.path["name"]
    _check_workspace(call)
    manifest = plugging.installed(name)
    with call.store.read() as tx:
        shown = plugin_reports.one(tx, call.services.plugins, name)
        kept = plugin_settings.find(tx, name)
        there = plugging.opened(tx, kept).fields if kept is not None else {}
    if call.body.revision not in (None, shown["revision"]):
        raise ConflictError(f"the configuration of {name} was changed meanwhile", hint="Look at it again.")
    _, found = changed(manifest, there, call.body.fields, call.body.unset)
    made = {"fields": fields(name, config_model(manifest), found), "config_problem": found.problem}
    return PluginDetail.model_validate({**shown, **made})


def _check_workspace(call: Call[Any, NoQuery]) -> None:
    """Plugins are the installation's; who has another workspace of it sees them, and has no say in them."""
    if call.scope.workspace_id != DEFAULT_WORKSPACE:
        raise NotFoundError(f"there is no plugin {call.path['name']!r}")
