"""`hub runs`: what ran, what runs, why it waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, Limit, Yes
from hub.types import JsonObject

if TYPE_CHECKING:
    from hub.client import Client

app = App(name="runs", help="List runs, read their logs, cancel them, ask why one waits.")

STATES = Literal[
    "SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING", "COMPLETED", "FAILED", "CRASHED", "CANCELLED"
]
COLUMNS = (
    Column("ID", "id", "id"),
    Column("NAME", "name"),
    Column("STATE", output.state, "state"),
    Column("FLOW", "flow_name"),
    Column("STARTED", "started_at", "time"),
    Column("CREATED", "created_at", "time"),
)
DETAIL = (
    Column("Run", "name"),
    Column("Id", "id", "id"),
    Column("State", output.state, "state"),
    Column("Message", "state_message"),
    Column("Flow", "flow_name"),
    Column("Deployment", "deployment_name"),
    Column("Queue", "queue"),
    Column("Origin", "origin"),
    Column("Tags", "tags", "list"),
    Column("Parameters", "parameters"),
    Column("Attempt", "attempt"),
    Column("Created", "created_at", "time"),
    Column("Due", "due_at", "time"),
    Column("Started", "started_at", "time"),
    Column("Ended", "ended_at", "time"),
    Column("Error", "error_type"),
    Column("Restart of", "restart_of", "id"),
)
TASKS = (
    Column("TASK", "name"),
    Column("STATE", output.state, "state"),
    Column("ATTEMPT", "attempt"),
    Column("STARTED", "started_at", "time"),
    Column("ENDED", "ended_at", "time"),
)
LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
RunId = Annotated[str, Parameter(help="The run's id.")]
Message = Annotated[str, Parameter(help="A sentence for the run's history.")]


@app.command
def ls(
    *,
    state: Annotated[STATES | None, Parameter(help="Only runs in this state.")] = None,
    deployment: Annotated[str | None, Parameter(help="Only runs of this deployment.")] = None,
    flow: Annotated[str | None, Parameter(help="Only runs of this flow.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List the newest runs."""
    query = {"state": state, "deployment": deployment, "flow": flow}
    with connect() as client:
        found = list(client.items("/runs", query, limit=limit))
    output.table(found, COLUMNS, as_json=as_json, empty="No runs yet. Start one: hub run FILE:FLOW")


@app.command
def show(run: RunId, *, as_json: AsJson = False) -> None:
    """Show one run, its error and its tasks."""
    with connect() as client:
        found = client.get(path("runs", run))
        tasks = list(client.items(path("runs", run, "tasks"), limit=200))
    if as_json:
        output.print_json({**found, "tasks": tasks})
        return
    output.detail(found, DETAIL, as_json=False)
    if found.get("error_message"):
        output.say(f"\n{found['error_message']}", style="red")
    if tasks:
        output.say("")
        output.table(tasks, TASKS, as_json=False, empty="")


@app.command
def logs(
    run: RunId,
    *,
    follow: Annotated[bool, Parameter(name=("--follow", "-f"), negative=(), help="Go on until the run ends.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print what a run wrote, oldest line first."""
    with connect() as client:
        for line in _followed(client, run) if follow else client.items(path("runs", run, "logs")):
            if as_json:
                output.print_json_line(line)
            else:
                level = line["level"] if isinstance(line["level"], str) else LEVELS.get(int(str(line["level"])), "INFO")
                output.say(f"{str(line['at'])[11:23]}  {level:<8} {line['message']}", style=_style(str(level)))


@app.command
def cancel(run: RunId, *, message: Message = "", yes: Yes = False) -> None:
    """Cancel a run: at once when nothing of it executes, else what executes it is told."""
    output.confirm(f"Cancel run {run}?", yes=yes)
    _do(run, "cancel", message)


@app.command
def why(run: RunId, *, as_json: AsJson = False) -> None:
    """Say why a run waits: the rule, who holds what it waits for, and when it is expected to go on."""
    with connect() as client:
        found = client.get(path("runs", run, "why"))
    columns = (
        Column("Why", "sentence"),
        Column("Rule", "rule"),
        Column("Holder", "holder"),
        Column("Expected", "expected_at", "time"),
        Column("Try", "hint"),
    )
    output.detail(found, columns, as_json=as_json)


@app.command
def pause(run: RunId, *, message: Message = "") -> None:
    """Keep a run that has not started from starting."""
    _do(run, "pause", message)


@app.command
def resume(run: RunId) -> None:
    """Let a paused run go on."""
    _do(run, "resume", "")


@app.command
def restart(run: RunId) -> None:
    """Start an ended run again as a new run; steps that completed are not done twice."""
    with connect() as client:
        made: Any = client.post(path("runs", run, "restart"), {})
    output.say(f"Run {made.get('name', '')} is on its way: hub runs show {made['id']}")


def wait_for(client: Client, run: str, *, seconds: float | None = None) -> JsonObject:
    """Wait until the run has ended, or `seconds` have passed, and give it as it then is."""
    import time

    end = None if seconds is None else time.monotonic() + seconds
    pause_s = 0.05
    while True:
        found: JsonObject = client.get(path("runs", run))
        if found["state_type"] in FINAL or (end is not None and time.monotonic() > end):
            return found
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.3, 1.0)


def _followed(client: Client, run: str) -> Iterator[JsonObject]:
    import time

    seen: str | None = None
    while True:
        # The state is read before the lines: lines written until a run ended are then all there.
        ended = client.get(path("runs", run))["state_type"] in FINAL
        for line in client.items(path("runs", run, "logs"), {"after": seen}):
            seen = str(line["id"])
            yield line
        if ended:
            return
        time.sleep(0.3)


def _do(run: str, verb: str, message: str) -> None:
    with connect() as client:
        found: Any = client.post(path("runs", run, verb), {"message": message} if message else {})
    output.say(f"Run {run} is now {found.get('state_name', verb)}.")


def _style(level: str) -> str:
    return {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red", "DEBUG": "dim"}.get(level, "")
