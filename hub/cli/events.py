"""`hub events`: what happened, in order."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Annotated

from cyclopts import App, Parameter

from hub.cli import output, parameters
from hub.cli.connection import connect
from hub.cli.output import AsJson, Column, Limit
from hub.errors import UnavailableError, UsageError
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
    # Ctrl-C is how this ends, so it is no failure.
    with suppress(KeyboardInterrupt), connect() as client:
        for message in client.stream(query={"topics": type_}, lost=_tell_lost):
            _print(message.data, as_json=as_json)


@app.command
def emit(
    type_: Annotated[str, Parameter(help="Its type, for example order.paid; not one that begins with hub.")],
    subject: Annotated[str, Parameter(help="What it is about, for example order-17.")] = "",
    *,
    label: Annotated[tuple[str, ...], Parameter(name="--label", negative=(), help="A label of it, name=value.")] = (),
    param: parameters.Pairs = (),
    params: parameters.File = None,
    value: Annotated[str | None, Parameter(help="The payload itself: JSON, or else text; in place of -p.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write an event of your own: hub events emit order.paid order-17 -p amount=20."""
    payload = parameters.whole(param, params, value, called="payload")
    body = {"type": type_, "subject": subject, "resource": _labels(label), "payload": payload}
    with connect() as client:
        done = client.post("/events", body)
    if as_json:
        output.print_json(done)
    else:
        output.say(f"Event {done['type']} is written: {done['id']}")


def _labels(pairs: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not (name and equals):
            raise UsageError(f"--label {pair!r} is not name=value.", hint="Write it as --label shop=berlin.")
        found[name] = text
    return found


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


def _tell_lost(error: UnavailableError) -> None:
    print(f"The hub is away: {error.detail}. Trying again; nothing is skipped.", file=sys.stderr, flush=True)


def _print(event: JsonObject, *, as_json: bool) -> None:
    if as_json:
        output.print_json_line(event)
    else:
        output.say(f"{str(event['at'])[11:23]}  {event['type']:<28} {event['subject']}")
