"""`hub workers`: who executes runs."""

from __future__ import annotations

from cyclopts import App

from hub.cli import output
from hub.cli.connection import connect
from hub.cli.output import AsJson, Column, Limit

app = App(name="workers", help="The workers that are alive.")

COLUMNS = (
    Column("NAME", "name"),
    Column("STATUS", "status", "state"),
    Column("QUEUES", "queues", "list"),
    Column("SLOTS", "slots"),
    Column("HOST", "host"),
    Column("PID", "pid"),
    Column("STARTED", "started_at", "time"),
    Column("CANARY", "canary_seen_at", "time"),
)


@app.command
def ls(*, limit: Limit = 200, as_json: AsJson = False) -> None:
    """List workers."""
    with connect() as client:
        found = list(client.items("/workers", limit=limit))
    output.table(found, COLUMNS, as_json=as_json, empty="No worker is alive. Start one: hub up, or hub worker")
