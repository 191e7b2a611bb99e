"""`hub variables`: small values by name that flows read."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, DryRun, Limit, Yes

app = App(name="variables", help="Small values by name that flows read. Not for secrets: `hub secrets`.")

COLUMNS = (
    Column("NAME", "name"),
    Column("VALUE", lambda row: _short(row["value"])),
    Column("TAGS", "tags", "list"),
    Column("BY", "updated_by"),
    Column("UPDATED", "updated_at", "time"),
)
Name = Annotated[str, Parameter(help="The variable's name.")]


@app.command
def ls(*, limit: Limit = 200, as_json: AsJson = False) -> None:
    """List variables."""
    with connect() as client:
        found = list(client.items("/variables", limit=limit))
    output.table(found, COLUMNS, as_json=as_json, empty="No variables yet. Set one: hub variables set NAME VALUE")


@app.command
def get(name: Name, *, as_json: AsJson = False) -> None:
    """Print the value of a variable: a text as it is, anything else as JSON; with --json all of it."""
    with connect() as client:
        found = client.get(path("variables", name))
    if as_json:
        output.print_json(found)
    elif isinstance(found["value"], str):
        print(found["value"])
    else:
        output.print_json(found["value"])


@app.command(name="set")
def set_(
    name: Name,
    value: Annotated[
        str, Parameter(help="JSON, or else a text as it is; - reads standard input.", allow_leading_hyphen=True)
    ],
    *,
    tag: Annotated[tuple[str, ...], Parameter(negative=(), help="A tag; may be given several times.")] = (),
    overwrite: Annotated[bool, Parameter(negative=(), help="One of that name may be there.")] = False,
    text: Annotated[bool, Parameter(negative=(), help="Take the value as a text whatever it looks like.")] = False,
) -> None:
    """Set a variable. Secrets do not belong here: hub secrets set NAME."""
    given = sys.stdin.read().rstrip("\n") if value == "-" else value
    body = {"value": given if text else _meant(given), "tags": list(tag), "overwrite": overwrite}
    with connect() as client:
        client.put(path("variables", name), body)
    output.say(f"Variable {name} is set.")


@app.command
def unset(name: Name, *, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Remove a variable."""
    if dry_run:
        with connect() as client:
            client.get(path("variables", name))
        output.say(f"Would remove variable {name}. Nothing was changed.")
        return
    output.confirm(f"Remove variable {name}?", yes=yes)
    with connect() as client:
        client.delete(path("variables", name))
    output.say(f"Variable {name} is removed.")


def _meant(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError:
        return text


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"
