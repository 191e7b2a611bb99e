"""`hub events`: what happened, in order."""

from __future__ import annotations

import time
from typing import Annotated

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect
from hub.cli.output import AsJson, Column, Limit
from hub.types import JsonObject

app = App(name="events", help="What happened, in order.")

COLUMNS = (
    Column("SEQ", "seq"),
    Column("AT", "at", "time"),
    Column("TYPE", "type"),
    Column("SUBJECT", "subject"),
    Column("ACTOR", "actor"),
)
Type = Annotated[str | None, Parameter(name="--type", help="Only this type, for example hub.run.failed.")]


@app.command
def ls(*, type_: Type = None, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List the newest events."""
    with connect() as client:
        found = list(client.items("/events", {"type": type_}, limit=limit))
    output.table(found, COLUMNS, as_json=as_json, empty="No events yet. Everything that happens becomes one.")


@app.command
def tail(*, type_: Type = None, as_json: AsJson = False) -> None:
    """Print events as they happen, until Ctrl-C."""
    with connect() as client:
        newest = list(client.items("/events", limit=1))
        seen = int(str(newest[0]["seq"])) if newest else 0
        while True:
            for event in client.items("/events", {"type": type_, "after": seen}):
                seen = int(str(event["seq"]))
                _print(event, as_json=as_json)
            time.sleep(0.3)


@app.command
def types(
    *,
    markdown: Annotated[bool, Parameter(negative=(), help="Print the table of docs/events.md.", show=False)] = False,
    as_json: AsJson = False,
) -> None:
    """List every type of event that the hub itself writes, with its fields and who may see them."""
    from hub.events import CATALOG

    if markdown:
        print(markdown_table(), end="")
        return
    rows = [{"type": name, "fields": fields} for name, fields in sorted(CATALOG.items())]
    columns = (Column("TYPE", "type"), Column("FIELDS", lambda item: list(item["fields"]), "list"))
    output.table(rows, columns, as_json=as_json, empty="")


def markdown_table() -> str:
    """All event types, with the fields by export class, as a Markdown table."""
    from hub.events import CATALOG

    lines = ["| event | always exported | only by policy |", "|---|---|---|"]
    for name, fields in sorted(CATALOG.items()):
        always = ", ".join(field for field, level in fields.items() if level == "metadata")
        rest = ", ".join(f"{field} ({level})" for field, level in fields.items() if level != "metadata")
        lines.append(f"| `{name}` | {always} | {rest} |")
    return "\n".join(lines) + "\n"


def _print(event: JsonObject, *, as_json: bool) -> None:
    if as_json:
        output.print_json_line(event)
    else:
        output.say(f"{str(event['at'])[11:23]}  {event['type']:<28} {event['subject']}")
