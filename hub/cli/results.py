"""`hub results`: what runs and tasks gave, where it is, and what may go."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.naming import RunName, run_id
from hub.cli.output import AsJson, Column, DryRun, Limit, Yes
from hub.errors import UsageError

app = App(name="results", help="What runs and tasks gave, where it is, and what may go.")

COLUMNS = (
    Column("TASK", "name"),
    Column("STATE", output.state, "state"),
    Column("BYTES", "result.bytes"),
    Column("WRITTEN AS", "result.serializer"),
    Column("STORE", lambda task: (task.get("result") or {}).get("store") or "row"),
    Column("TASK RUN", "id", "id"),
)
DETAIL = (
    Column("Result of", "name"),
    Column("Run", "run_id", "id"),
    Column("Task run", "task_run_id", "id"),
    Column("Attempt", "attempt"),
    Column("State", "state_name"),
    Column("Made", "ended_at", "time"),
    Column("From", lambda result: [f"{up['name']} ({up['id']})" for up in result["upstream"]], "list"),
    Column("Written as", "serializer"),
    Column("Bytes", "bytes"),
    Column("SHA-256", "sha256"),
    Column("Store", lambda result: result["store"] or "its row"),
    Column("Key", "key"),
)
Whose = Annotated[str, Parameter(help="RUN, or RUN/TASK: ids or names.")]


@app.command
def ls(run: RunName, *, limit: Limit = 200, as_json: AsJson = False) -> None:
    """List the results of a run's tasks."""
    with connect() as client:
        tasks = client.items(path("runs", run_id(client, run), "tasks"), limit=limit)
        found = [task for task in tasks if task["result"]]
    output.table(found, COLUMNS, as_json=as_json, empty="No task of this run has a result that is kept.")


@app.command
def show(whose: Whose, *, as_json: AsJson = False) -> None:
    """Show where a result is, who wrote it, and from what."""
    run, query = _parts(whose)
    with connect() as client:
        output.detail(client.get(path("runs", run_id(client, run), "result"), query), DETAIL, as_json=as_json)


@app.command
def get(whose: Whose, *, out: Annotated[Path | None, Parameter(help="Write it to this file.")] = None) -> None:
    """Print a result, or write it to a file: JSON as it is, anything else as its bytes (never unpickled)."""
    run, query = _parts(whose)
    with connect() as client:
        found = client.get(path("runs", run_id(client, run), "result", "data"), query)
    data = found["text"].encode() if found["text"] is not None else base64.b64decode(found["base64"])
    if out is not None:
        out.write_bytes(data)
        output.say(f"{len(data)} bytes ({found['serializer']}) are in {out}.")
    elif found["text"] is not None:
        print(found["text"])
    elif sys.stdout.isatty():
        raise UsageError(f"the result is no text ({found['serializer']})", hint="Write it to a file: --out FILE.")
    else:
        sys.stdout.buffer.write(data)


@app.command
def gc(
    *,
    orphans: Annotated[bool, Parameter(help="Look through every store for what no run names.")] = True,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete results in stores that nothing refers to any more. The hub does it by itself; this does it now."""
    if not dry_run:
        output.confirm("Delete results that nothing refers to?", yes=yes)
    done: dict[str, Any] = {"results": 0, "orphans": 0, "bytes": 0, "problems": {}}
    with connect() as client:
        more = True
        while more:
            step = client.post("/results/gc", {"orphans": orphans, "dry_run": dry_run})
            done = {**{name: done[name] + step[name] for name in ("results", "orphans", "bytes")},
                    "problems": {**done["problems"], **step["problems"]}}  # fmt: skip
            more = step["more"] and not dry_run
    if as_json:
        output.print_json({**done, "dry_run": dry_run})
        return
    word = "Would delete" if dry_run else "Deleted"
    output.say(f"{word} {done['results']} results and {done['orphans']} orphans with {done['bytes']} bytes.")
    for store, problem in done["problems"].items():
        output.say(f"Store {store}: {problem}", style="red")


def _parts(whose: str) -> tuple[str, dict[str, Any]]:
    run, _, task = whose.partition("/")
    return run, {"task": task or None}
