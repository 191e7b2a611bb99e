"""`hub deployments`: flows that the hub may start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from hub.cli import output, parameters
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, Limit, Yes
from hub.cli.waiting import Timeout, refuse_lone_timeout, wait_for
from hub.engine.flowcontrol import ORDER

if TYPE_CHECKING:
    from hub.client import Client

app = App(name="deployments", help="List and start deployments, stop their schedules, remove them.")


def _controls(item: Mapping[str, Any]) -> str:
    """All controls in one place, in the order in which they are applied."""
    said = dict(item.get("flow_control") or {})
    if item.get("concurrency") is not None:
        key = str(item.get("concurrency_key") or "")
        said["concurrency"] = {"limit": item["concurrency"]} | ({"key": key.removeprefix("=")} if key else {})
    return json.dumps({name: said[name] for name in ORDER if name in said}) if said else "-"


COLUMNS = (
    Column("NAME", "name"),
    Column("FLOW", "flow_name"),
    Column("QUEUE", "queue"),
    Column("PAUSED", "paused", "flag"),
    Column("TAGS", "tags", "list"),
    Column("UPDATED", "updated_at", "time"),
)
DETAIL = (
    Column("Deployment", "name"),
    Column("Id", "id", "id"),
    Column("Flow", "flow_name"),
    Column("Entrypoint", "entrypoint"),
    Column("Description", "description"),
    Column("Queue", "queue"),
    Column("Paused", "paused", "flag"),
    Column("Parameters", "parameters"),
    Column("Flow control", _controls),
    Column("Tags", "tags", "list"),
    Column("Version", "version"),
    Column("Updated", "updated_at", "time"),
)
Name = Annotated[str, Parameter(help="The deployment's name or id.")]


@app.command
def ls(*, limit: Limit = 200, as_json: AsJson = False) -> None:
    """List deployments."""
    with connect() as client:
        found = list(client.items("/deployments", limit=limit))
    output.table(found, COLUMNS, as_json=as_json, empty="No deployments yet. Make one: hub deploy FILE:FLOW")


@app.command
def show(name: Name, *, as_json: AsJson = False) -> None:
    """Show one deployment."""
    with connect() as client:
        output.detail(client.get(path("deployments", name)), DETAIL, as_json=as_json)


@app.command
def run(
    name: Name,
    *,
    param: parameters.Pairs = (),
    params: parameters.File = None,
    wait: Annotated[bool, Parameter(negative=(), help="Wait until the run has ended; exit 1 if it failed.")] = False,
    timeout: Timeout = None,
    key: Annotated[str | None, Parameter(help="Idempotency key: the same key gives the same run.")] = None,
    as_json: AsJson = False,
) -> int:
    """Start a deployment on a worker."""
    refuse_lone_timeout(timeout, wait, "--wait")
    with connect() as client:
        values = parameters.parse(param, params, schema=_schema(client, name, param))
        made = client.post(path("deployments", name, "runs"), {"parameters": values}, key=key)
        if wait:
            made = wait_for(client, made["id"], timeout=timeout)
    if as_json:
        output.print_json(made)
    elif wait:
        output.say(f"Run {made['name']} ended {made['state_name']}. {made.get('state_message') or ''}".rstrip())
    elif made.get("flow_control"):
        output.say(f"Run {made['name']}: {made['flow_control']['reason']}. hub runs show {made['id']}")
    else:
        output.say(f"Run {made['name']} is on its way: hub runs show {made['id']}")
    return 0 if not wait or made["state_type"] == "COMPLETED" else 1


@app.command
def pause(name: Name) -> None:
    """Stop its schedules. People and automations can still start it."""
    with connect() as client:
        client.post(path("deployments", name, "pause"), {})
    output.say(f"The schedules of deployment {name} are stopped; it can still be started by hand.")
    output.say(f"`hub deployments resume {name}` lets them go on.")


@app.command
def resume(name: Name) -> None:
    """Let its schedules go on."""
    with connect() as client:
        client.post(path("deployments", name, "resume"), {})
    output.say(f"The schedules of deployment {name} go on.")


@app.command
def rm(name: Name, *, yes: Yes = False) -> None:
    """Remove a deployment and its schedules; its runs stay."""
    output.confirm(f"Remove deployment {name} and its schedules?", yes=yes)
    with connect() as client:
        client.delete(path("deployments", name))
    output.say(f"Deployment {name} is removed; its runs stay.")


def _schema(client: Client, name: str, pairs: tuple[str, ...]) -> dict[str, object]:
    if not pairs:
        return {}
    found = client.get(path("deployments", name))
    return dict(found.get("parameter_schema") or {})
