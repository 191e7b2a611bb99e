"""`hub automations`: when an event matches, do something."""

from __future__ import annotations

import json
from typing import Annotated, Any

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, Limit, Yes
from hub.errors import UsageError

app = App(name="automations", help="When an event matches, do something.")

COLUMNS = (
    Column("NAME", "name"),
    Column("ENABLED", "enabled", "flag"),
    Column("EVENTS", lambda item: (item.get("trigger") or {}).get("types") or ["any"], "list"),
    Column("MATCH", lambda item: (item.get("trigger") or {}).get("match") or "-"),
    Column("STARTS", lambda item: [a.get("run_deployment", "?") for a in item.get("actions") or []], "list"),
    Column("UPDATED", "updated_at", "time"),
)
Name = Annotated[str, Parameter(help="The automation's name or id.")]


@app.command
def ls(*, limit: Limit = 200, as_json: AsJson = False) -> None:
    """List automations."""
    with connect() as client:
        found = list(client.items("/automations", limit=limit))
    empty = "No automations yet. Make one: hub automations create NAME --on github.push --run DEPLOYMENT"
    output.table(found, COLUMNS, as_json=as_json, empty=empty)


@app.command
def show(name: Name, *, as_json: AsJson = False) -> None:
    """Show one automation."""
    with connect() as client:
        found = client.get(path("automations", name))
    columns = (
        Column("Automation", "name"),
        Column("Enabled", "enabled", "flag"),
        Column("Trigger", "trigger"),
        Column("Actions", lambda item: json.dumps(item.get("actions"))),
    )
    output.detail(found, columns, as_json=as_json)


@app.command
def create(
    name: Annotated[str, Parameter(help="Name of the automation.")],
    *,
    on: Annotated[tuple[str, ...], Parameter(help="Event type, for example github.push; repeatable.")] = (),
    match: Annotated[str, Parameter(help="CEL expression over `event`; empty: every event of the types.")] = "",
    run: Annotated[str, Parameter(help="The deployment to start.")],
    param: Annotated[
        tuple[str, ...],
        Parameter(name=("--param", "-p"), help="name=value; =... is CEL over `body`, `headers`, `event`."),
    ] = (),
    as_json: AsJson = False,
) -> None:
    """When an event comes that matches, start a deployment."""
    body = {
        "trigger": {"kind": "event", "types": list(on), "match": match},
        "actions": [{"run_deployment": run, "parameters": mapping(param)}],
    }
    with connect() as client:
        made = client.put(path("automations", name), body)
    if as_json:
        output.print_json(made)
    else:
        output.say(f"Automation {name} starts {run} on {', '.join(on) or 'every event'}.")


@app.command
def pause(name: Name) -> None:
    """Let an automation rest."""
    with connect() as client:
        client.post(path("automations", name, "pause"), {})
    output.say(f"Automation {name} rests.")


@app.command
def resume(name: Name) -> None:
    """Let an automation go on; events that passed meanwhile start nothing."""
    with connect() as client:
        client.post(path("automations", name, "resume"), {})
    output.say(f"Automation {name} goes on.")


@app.command
def rm(name: Name, *, yes: Yes = False) -> None:
    """Remove an automation."""
    output.confirm(f"Remove automation {name}?", yes=yes)
    with connect() as client:
        client.delete(path("automations", name))
    output.say(f"Automation {name} is removed.")


def mapping(pairs: tuple[str, ...]) -> dict[str, Any]:
    """A parameter mapping from name=value pairs; `name==expression` is CEL, all else JSON or text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"-p {pair!r} is not name=value.", hint="Write CEL as -p 'repo==body.repository'.")
        try:
            found[name] = text if text.startswith("=") else json.loads(text)
        except ValueError:
            found[name] = text
    return found
