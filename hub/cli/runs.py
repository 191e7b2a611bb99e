"""`hub runs`: what ran, what runs, why it waits."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from hub.cli import answers, output
from hub.cli.connection import connect, path
from hub.cli.loglines import log_line
from hub.cli.naming import RunName, run_id
from hub.cli.output import AsJson, Column, Limit, Yes
from hub.cli.waiting import FINAL, Timeout, Watch, refuse_lone_timeout
from hub.errors import UsageError
from hub.types import JsonObject

if TYPE_CHECKING:
    from hub.client import Client

app = App(name="runs", help="List runs, read their logs, cancel them, ask why one waits.")
answers.install(app)

STATES = Literal[
    "SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING", "COMPLETED", "FAILED", "CRASHED", "CANCELLED"
]
RESTARTABLE = Literal["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]
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
    Column("Error class", "error_class"),
    Column("Restart of", "restart_of", "id"),
)
TASKS = (
    Column("TASK", "name"),
    Column("STATE", output.state, "state"),
    Column("ATTEMPT", "attempt"),
    Column("STARTED", "started_at", "time"),
    Column("ENDED", "ended_at", "time"),
)
COMPENSATIONS = (
    Column("UNDO", "name"),
    Column("STATE", "state"),
    Column("TRIES", "tries"),
    Column("ENDED", "ended_at", "time"),
    Column("ERROR", "error"),
)
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
def show(run: RunName, *, as_json: AsJson = False) -> None:
    """Show one run, its error, its tasks and what of it is undone."""
    with connect() as client:
        of = run_id(client, run)
        found = client.get(path("runs", of))
        tasks = list(client.items(path("runs", of, "tasks"), limit=200))
        undone: Any = client.get(path("runs", of, "compensations"))
    if as_json:
        output.print_json({**found, "tasks": tasks, "compensations": undone})
        return
    output.detail(found, DETAIL, as_json=False)
    if found.get("error_message"):
        output.say(f"\n{found['error_message']}", style="red")
    if tasks:
        output.say("")
        output.table(tasks, TASKS, as_json=False, empty="")
    if undone["items"]:
        output.say(f"\n{undone['summary']}")
        output.table(undone["items"], COMPENSATIONS, as_json=False, empty="")


@app.command
def logs(
    run: RunName,
    *,
    follow: Annotated[bool, Parameter(name=("--follow", "-f"), negative=(), help="Go on until the run ends.")] = False,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Print what a run wrote, oldest line first."""
    refuse_lone_timeout(timeout, follow, "--follow")
    with connect() as client:
        of = run_id(client, run)
        for line in _followed(client, of, timeout) if follow else client.items(path("runs", of, "logs")):
            if as_json:
                output.print_json_line(line)
            else:
                output.show(log_line(str(line["at"]), int(str(line["level"])), str(line["message"])))


@app.command
def export(run: RunName) -> None:
    """Write a run down as JSON, for a replay by `hub.testing`: its parameters, its steps and their results."""
    with connect() as client:
        output.print_json(client.get(path("runs", run_id(client, run), "recording")))


@app.command
def cancel(
    run: RunName,
    *,
    alone: Annotated[
        bool, Parameter(negative="--subtree", help="Runs that it has started, and that execute elsewhere, go on.")
    ] = False,
    message: Message = "",
    yes: Yes = False,
) -> None:
    """Cancel a run and what it has started: at once when nothing of it executes, else what executes it is told."""
    output.confirm(f"Cancel run {run}?", yes=yes)
    _do(run, "cancel", message, **({"alone": True} if alone else {}))


@app.command
def why(run: RunName, *, as_json: AsJson = False) -> None:
    """Say why a run waits: the rule, who holds what it waits for, and when it is expected to go on."""
    with connect() as client:
        found = client.get(path("runs", run_id(client, run), "why"))
    columns = (
        Column("Why", "sentence"),
        Column("Rule", "rule"),
        Column("Holder", "holder"),
        Column("Expected", "expected_at", "time"),
        Column("Try", "hint"),
    )
    output.detail(found, columns, as_json=as_json)


@app.command
def pause(run: RunName, *, message: Message = "") -> None:
    """Keep a run that has not started from starting."""
    _do(run, "pause", message)


@app.command
def resume(run: RunName) -> None:
    """Let a paused run go on, and one whose code waits for that."""
    _do(run, "resume", "")


@app.command
def restart(
    *runs: Annotated[str, Parameter(help="The runs' ids or names. Without any, the options say which.")],
    from_task: Annotated[
        str | None, Parameter(name="--from", help="A task's name or id: do it again, and what began after it.")
    ] = None,
    fresh: Annotated[bool, Parameter(negative=(), help="Do everything again.")] = False,
    state: Annotated[RESTARTABLE | None, Parameter(help="All runs that ended in this state.")] = None,
    deployment: Annotated[str | None, Parameter(help="All of this deployment that did not complete.")] = None,
    flow: Annotated[str | None, Parameter(help="All of this flow that did not complete.")] = None,
    limit: Limit = 50,
    dry_run: Annotated[bool, Parameter(negative=(), help="Only list the runs.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Start ended runs again as new runs with the same parameters. Tasks that completed are not done twice."""
    with connect() as client:
        chosen = _chosen(client, runs, {"state": state, "deployment": deployment, "flow": flow}, limit)
        if dry_run:
            output.table(chosen, COLUMNS, as_json=as_json, empty="No run that has ended fits.")
            return
        if len(chosen) > 1:
            output.confirm(f"Start {len(chosen)} runs again?", yes=yes)
        made: list[JsonObject] = []
        for old in chosen:
            answer: JsonObject = client.post(
                path("runs", str(old["id"]), "restart"), {"from_task": from_task, "fresh": fresh}
            )
            made.append({"restart_of": old["id"], **answer})
            if not as_json:
                output.say(f"Run {answer.get('name', '')} is on its way: hub runs show {answer['id']}")
    if as_json:
        output.print_json(made)
    elif not made:
        output.say("No run that has ended fits.")


def _chosen(client: Client, runs: tuple[str, ...], query: JsonObject, limit: int) -> list[JsonObject]:
    """The runs to start again: those named, or those of deployments that ended and fit."""
    given = any(value is not None for value in query.values())
    if bool(runs) == given:
        raise UsageError(
            "runs to restart are named, or chosen by --state, --deployment or --flow: one of the two",
            hint="For example: hub runs restart --state FAILED --flow NAME --dry-run",
        )
    if runs:
        return [client.get(path("runs", run_id(client, run))) for run in runs]
    # Without a state: all that did not end well.
    states = [query["state"]] if query["state"] else ["FAILED", "CRASHED", "CANCELLED"]
    fits = client.items("/runs", {**query, "state": states})
    return list(islice((run for run in fits if run["deployment_id"]), limit))


def _followed(client: Client, run: str, timeout: float | None) -> Iterator[JsonObject]:
    import time

    seen: str | None = None
    with Watch(client, run, timeout=timeout).going_on() as watch:
        while True:
            # The state is read before the lines: lines written until a run ended are then all there.
            now: JsonObject = client.get(path("runs", run))
            for line in client.items(path("runs", run, "logs"), {"after": seen}):
                watch.progress.clear()
                seen = str(line["id"])
                yield line
            if now["state_type"] in FINAL:
                return
            watch.look(now)
            time.sleep(watch.at_most(0.3))


def _do(run: str, verb: str, message: str, **more: bool) -> None:
    with connect() as client:
        body = {**({"message": message} if message else {}), **more}
        found: Any = client.post(path("runs", run_id(client, run), verb), body)
    output.say(f"Run {run} is now {found.get('state_name', verb)}.")
