"""`hub plugins`: what is installed, what is wrong with it, and what can be set for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect, nobody_answers, path
from hub.cli.output import AsJson, Column
from hub.settings import load_settings

app = App(name="plugins", help="Installed plugins: what is wrong with them, and their settings.")
Name = Annotated[str, Parameter(help="The plugin's name.")]


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
    Column("IMPORT", lambda item: f"{item['import_ms']:.0f} ms" if item["import_ms"] else ""),
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
    Column("Runs in", "runs_in", "list"),
    Column("Configuration", "config_problem"),
    Column("Set by", "updated_by"),
    Column("Set at", "updated_at", "time"),
)
FIELDS = (
    Column("FIELD", lambda field: f"{field['name']}{'*' if field['required'] else ''}{'!' if field['secret'] else ''}"),
    Column("VALUE", lambda field: _value(field)),
    Column("FROM", "source"),
    Column("ENVIRONMENT", "variable"),
    Column("WHAT IT IS", lambda field: field["problem"] or field["description"]),
)
"""`*` is required, `!` secret."""


@app.command
def ls(*, as_json: AsJson = False) -> None:
    """List plugins, whether they are loaded, and if not, why. Imports none: `hub plugins doctor` does."""
    found = _listed_here()
    imported = found is None
    if found is None:
        with connect() as client:
            found = client.get("/plugins")
    output.table(found["items"], COLUMNS, as_json=as_json, empty="No plugins are installed.")
    if as_json:
        return
    if found["safe_mode"]:
        output.say("Safe mode: of plugins only the hub's own are loaded (HUB_SAFE_MODE).")
    if not imported:
        output.say("No hub answers here: this is what would be loaded. `hub plugins doctor` imports them to see.")


def _listed_here() -> dict[str, Any] | None:
    """The plugins without a hub; None where one answers, or its database has to be made ready first."""
    settings = load_settings()
    if not nobody_answers(settings):
        return None
    from hub.cli.plugin_listing import listed

    return listed(settings)


@app.command
def show(name: Name, *, as_json: AsJson = False) -> None:
    """Show one plugin: its hooks, and its configuration with where each value comes from."""
    with connect() as client:
        found = client.get(path("plugins", name))
    output.detail(found, DETAIL, as_json=as_json)
    if found["fields"] and not as_json:
        output.table(found["fields"], FIELDS, as_json=False, empty="")


def _value(field: Mapping[str, Any]) -> str:
    if field["secret"]:
        return "***" if field["given"] else ""
    value = field["value"]
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"


for _name, _place, _help in (
    ("new", "scaffold", "Make a project of a plugin, with tests that pass at once."),
    ("check", "plugin_check", "See which rules a plugin keeps: bronze, silver, gold."),
    ("dev", "plugin_dev", "Start a hub with a project's plugin in it, again after every change."),
    ("docs", "plugin_docs", "Say what a plugin brings: hooks, connections, presets, actions."),
    ("configure", "plugin_changes", "Set fields of a plugin's configuration, or let them go."),
    ("enable", "plugin_changes", "Switch a plugin on."),
    ("disable", "plugin_changes", "Switch a plugin off: its hooks are not called any more."),
    ("reset", "plugin_changes", "Forget the failures of a plugin's hooks in all processes."),
    ("doctor", "plugin_doctor", "Import every installed plugin here, and say what is wrong with it."),
):
    app.command(f"hub.cli.{_place}:{_name}", name=_name, help=_help)
