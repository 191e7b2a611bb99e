"""`hub plugins`: what is installed, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect
from hub.cli.output import AsJson, Column
from hub.errors import NotFoundError

app = App(name="plugins", help="Installed plugins and what is wrong with them.")


def _trouble(item: Mapping[str, Any]) -> str:
    """What is wrong: it does not load, or its hooks fail where they run."""
    skipped = "".join(f" ({one['hook']} is skipped for now)" for one in item["breakers"] if one["state"] == "open")
    return str(item["problem"] or item["last_error"]) + skipped


def _signature(action: Mapping[str, Any]) -> str:
    """An action as it is called, such as `echo.say(text, times=)`."""
    required = action["parameters"].get("required", ())
    names = (name if name in required else f"{name}=" for name in action["parameters"].get("properties", {}))
    return f"{action['name']}({', '.join(names)})"


COLUMNS = (
    Column("NAME", "name"),
    Column("VERSION", "version"),
    Column("STATE", "state", "state"),
    Column("IMPORT", lambda item: f"{item['import_ms']:.0f} ms"),
    Column("ERRORS", "errors"),
    Column("HOOKS", lambda item: [name.removeprefix("hub_") for name in item["hooks"]], "list"),
    Column("PROBLEM", _trouble),
)
DETAIL = (
    Column("Plugin", "name"),
    Column("Version", "version"),
    Column("Distribution", "distribution"),
    Column("State", "state", "state"),
    Column("Problem", _trouble),
    Column("Errors", "errors"),
    Column("Hooks", "hooks", "list"),
    Column("Actions", lambda item: [_signature(action) for action in item["actions"]], "list"),
)


@app.command
def ls(*, as_json: AsJson = False) -> None:
    """List plugins, whether they are loaded, and if not, why."""
    with connect() as client:
        found = client.get("/plugins")["items"]
    output.table(found, COLUMNS, as_json=as_json, empty="No plugins are installed.")


@app.command
def show(name: Annotated[str, Parameter(help="The plugin's name.")], *, as_json: AsJson = False) -> None:
    """Show one plugin and the hooks it takes part in."""
    with connect() as client:
        found = next((plugin for plugin in client.get("/plugins")["items"] if plugin["name"] == name), None)
    if found is None:
        raise NotFoundError(f"there is no plugin {name!r}", hint="`hub plugins ls` lists them.")
    output.detail(found, DETAIL, as_json=as_json)


for _name, _place, _help in (
    ("new", "hub.cli.scaffold:new", "Make a project of a plugin, with tests that pass at once."),
    ("check", "hub.cli.plugin_check:check", "See which rules a plugin keeps: bronze, silver, gold."),
    ("dev", "hub.cli.plugin_dev:dev", "Start a hub with a project's plugin in it, again after every change."),
    ("docs", "hub.cli.plugin_docs:docs", "Say what a plugin brings: hooks, connections, presets, actions."),
):
    app.command(_place, name=_name, help=_help)
