"""`hub webhooks catalog`: what the payloads of a source look like by event type, and where they departed from it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, Yes
from hub.errors import UsageError

app = App(name="catalog", help="JSON schemas of a source's payloads, and departures from them.")

Name = Annotated[str, Parameter(help="The source's name or id.")]
Type = Annotated[str, Parameter(help="The event type, the provider's word; * for all without a schema of their own.")]
OneType = Annotated[str | None, Parameter(name="--type", help="Only of this event type.")]
About = Annotated[str, Parameter(help="The event type; with --preset a preset.")]
OfPreset = Annotated[bool, Parameter(name="--preset", negative=(), help="A preset that its requests look like.")]
DISMISSED = (
    Column("KIND", "kind"),
    Column("ABOUT", "about"),
    Column("BY", "dismissed_by"),
    Column("WHEN", "dismissed_at", "time"),
)
SCHEMAS = (
    Column("EVENT", "event_type"),
    Column("BYTES", "bytes"),
    Column("SET", "updated_at", "time"),
    Column("DEPARTURES", "drifts"),
)
DRIFTS = (
    Column("EVENT", "event_type"),
    Column("PATH", lambda item: item["path"] or "(the body)"),
    Column("KIND", "kind"),
    Column("DETAIL", "detail"),
    Column("TIMES", "count"),
    Column("FIRST", "first_at", "time"),
    Column("LAST", "last_at", "time"),
    Column("RECEIPT", "receipt_id", "id"),
)


@app.command
def ls(source: Name, *, as_json: AsJson = False) -> None:
    """List the event types that have a schema."""
    with connect() as client:
        found = client.get(path("sources", source, "schemas"))
    empty = f"No schemas yet. Let some be proposed: hub webhooks catalog learn {source}"
    output.table(found, SCHEMAS, as_json=as_json, empty=empty)


@app.command
def show(source: Name, type: Type) -> None:
    """Print the schema of an event type, as JSON."""
    with connect() as client:
        output.print_json(client.get(path("sources", source, "schema"), {"type": type})["document"])


@app.command(name="set")
def set_(
    source: Name,
    type: Type,
    *,
    file: Annotated[
        str, Parameter(help="A file with the JSON schema; - reads standard input.", allow_leading_hyphen=True)
    ],
    as_json: AsJson = False,
) -> None:
    """Set the schema of an event type, in place of the one it had."""
    document = _read(file)
    with connect() as client:
        found = client.put(path("sources", source, "schema"), {"type": type, "document": document})
    if as_json:
        output.print_json(found)
    else:
        output.say(f"Events of type {type} of {source} are compared with this schema from now on.")


@app.command
def learn(
    source: Name,
    *,
    type_: OneType = None,
    last: Annotated[int, Parameter(help="From so many of the last events, at most 1000.")] = 100,
    dismissed: Annotated[bool, Parameter(negative=(), help="Also those that were dismissed.")] = False,
    save: Annotated[bool, Parameter(negative=(), help="Set what is proposed.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Propose schemas that the last events fit, one for each type."""
    with connect() as client:
        query = {"type": type_, "last": last, "dismissed": dismissed or None}
        found = client.get(path("sources", source, "proposals"), query)
        if save and found:
            output.confirm(f"Set {len(found)} schemas of {source}?", yes=yes)
            for one in found:
                body = {"type": one["type"], "document": one["document"]}
                client.put(path("sources", source, "schema"), body)
    if as_json:
        output.print_json(found)
        return
    if not found:
        output.say("No such event has come in yet, or what there is to propose was dismissed.")
    for one in found:
        output.say(f"{one['type']}: from {one['samples']} events{', set' if save else ''}")
        if not save:
            output.print_json(one["document"])


@app.command
def dismiss(source: Name, about: About, *, preset: OfPreset = False) -> None:
    """Do not propose the schema of an event type again."""
    with connect() as client:
        client.put(path("sources", source, "dismissal"), {"kind": _kind(preset), "about": about})
    output.say(f"The {_kind(preset)} {about} is not proposed for {source} again.")


@app.command
def dismissed(source: Name, *, as_json: AsJson = False) -> None:
    """List the proposals that were dismissed, by whom and when."""
    with connect() as client:
        found = client.get(path("sources", source, "dismissals"))
    output.table(found, DISMISSED, as_json=as_json, empty="Nothing was dismissed.")


@app.command
def reconsider(source: Name, about: About, *, preset: OfPreset = False) -> None:
    """Let what was dismissed be proposed again."""
    with connect() as client:
        query = {"kind": _kind(preset), "about": about}
        client.request("DELETE", path("sources", source, "dismissal"), query=query)
    output.say(f"The {_kind(preset)} {about} may be proposed for {source} again.")


def _kind(preset: bool) -> str:
    return "preset" if preset else "schema"


@app.command
def rm(source: Name, type: Type, *, yes: Yes = False) -> None:
    """Remove the schema of an event type, and what is known of departures from it."""
    output.confirm(f"Remove the schema of {type} of {source}?", yes=yes)
    with connect() as client:
        client.request("DELETE", path("sources", source, "schema"), query={"type": type})
    output.say(f"The schema of {type} is gone.")


@app.command
def drift(source: Name, *, type_: OneType = None, as_json: AsJson = False) -> None:
    """List where events departed from their schemas, the last seen first."""
    with connect() as client:
        found = client.get(path("sources", source, "drift"), {"type": type_})
    output.table(found, DRIFTS, as_json=as_json, empty="No event has departed from its schema.")


def _read(file: str) -> dict[str, Any]:
    try:
        document = json.loads(sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise UsageError(f"{file} is no JSON: {error.msg} at {where}.") from None
    if not isinstance(document, dict):
        raise UsageError(f"{file} holds no JSON object.", hint='A schema looks like {"type": "object", ...}')
    return document
