"""`hub queues`: lines of waiting runs."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, Limit

app = App(name="queues", help="Work queues and their limits.")

COLUMNS = (
    Column("NAME", "name"),
    Column("PRIORITY", "priority"),
    Column("SLOTS", "slots"),
    Column("PAUSED", "paused", "flag"),
    Column("WAITING", "waiting"),
    Column("RUNNING", "running"),
)


@app.command
def ls(*, limit: Limit = 200, as_json: AsJson = False) -> None:
    """List queues."""
    with connect() as client:
        found = list(client.items("/queues", limit=limit))
    output.table(found, COLUMNS, as_json=as_json, empty="No queues yet. Make one: hub queues set NAME --slots 4")


@app.command(name="set")
def set_(
    name: Annotated[str, Parameter(help="Small letters, digits and dashes.")],
    *,
    slots: Annotated[int | None, Parameter(help="Runs at once; none: as many as its workers can.")] = None,
    priority: Annotated[int, Parameter(help="A lower number is served first.")] = 1,
    paused: Annotated[bool, Parameter(help="Start nothing from it.")] = False,
) -> None:
    """Make a queue or change it."""
    with connect() as client:
        client.put(path("queues", name), {"slots": slots, "priority": priority, "paused": paused})
    limit = "no limit of its own" if slots is None else f"{slots} runs at once"
    output.say(f"Queue {name}: {limit}, priority {priority}{', paused' if paused else ''}.")
