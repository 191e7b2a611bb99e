"""`hub cache`: results of tasks that other runs take."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect
from hub.cli.output import AsJson, Column, DryRun, Limit, Yes

app = App(name="cache", help="Results of tasks that other runs take.")

COLUMNS = (
    Column("TASK", "task_name"),
    Column("KEY", lambda entry: str(entry["key"])[:12], "id"),
    Column("STATE", "state"),
    Column("BYTES", "size"),
    Column("HITS", "hits"),
    Column("MADE", "created_at", "time"),
    Column("EXPIRES", "expires_at", "time"),
    Column("BY TASK RUN", "task_run_id", "id"),
)
Task = Annotated[str | None, Parameter(help="Only of this task: its name, or file and function.")]


@app.command
def ls(*, task: Task = None, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List what is cached, newest first."""
    with connect() as client:
        found = list(client.items("/cache", {"task": task}, limit=limit))
    output.table(found, COLUMNS, as_json=as_json, empty="Nothing is cached. See @task(cache_policy=...).")


@app.command
def clear(
    *,
    task: Task = None,
    key: Annotated[str | None, Parameter(help="Only the entry of this key.")] = None,
    expired: Annotated[bool, Parameter(negative=(), help="Only what has expired.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Remove cached results. Nothing else is lost: they are computed again when they are asked for."""
    wanted = {"task": task, "key": key, "expired": expired}
    if not dry_run:
        output.confirm("Remove these cached results?", yes=yes)
    done = {"entries": 0, "bytes": 0}
    with connect() as client:
        more = True
        while more:
            step = client.post("/cache/clear", {**wanted, "dry_run": dry_run})
            done = {name: done[name] + step[name] for name in done}
            more = step["more"]
    if as_json:
        output.print_json({**done, "dry_run": dry_run})
        return
    word = "Would remove" if dry_run else "Removed"
    output.say(f"{word} {done['entries']} entries with {done['bytes']} bytes.")
