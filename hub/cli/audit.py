"""`hub audit`: who did what, when and from where."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect
from hub.cli.output import AsJson, Column, Limit

app = App(name="audit", help="Who did what, when and from where.")

COLUMNS = (
    Column("AT", "at", "time"),
    Column("WHO", "actor"),
    Column("WHAT", "op"),
    Column("TARGET", "target"),
    Column("VIA", "via"),
    Column("FROM", "address"),
    Column("CHANGES", lambda row: ", ".join(row["changes"])),
)
FIELDS = ("id", "at", "actor", "op", "target", "via", "address", "detail", "changes")
Actor = Annotated[str | None, Parameter(help="Only what this one did, such as user:ID.")]
What = Annotated[str | None, Parameter(name="--op", help="Only this operation, or a beginning such as user.")]
Target = Annotated[str | None, Parameter(help="Only what was done to this.")]
Since = Annotated[str | None, Parameter(help="Only from this time on, 2026-01-31T08:00:00Z.")]


@app.command
def ls(
    *,
    actor: Actor = None,
    op: What = None,
    target: Target = None,
    since: Since = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List what was done, newest first."""
    found = list(_entries(limit, actor=actor, op=op, target=target, since=since))
    output.table(found, COLUMNS, as_json=as_json, empty="Nothing was done yet that leaves a line here.")


@app.command
def export(
    *,
    format: Annotated[Literal["jsonl", "csv"], Parameter(help="A JSON object a line, or a table.")] = "jsonl",
    actor: Actor = None,
    op: What = None,
    target: Target = None,
    since: Since = None,
) -> None:
    """Write all of it to standard output, newest first."""
    entries = _entries(None, actor=actor, op=op, target=target, since=since)
    if format == "jsonl":
        for entry in entries:
            print(json.dumps(entry, ensure_ascii=False, separators=(",", ":")))
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(FIELDS)
    for entry in entries:
        writer.writerow([_cell(entry[name]) for name in FIELDS])


def _entries(limit: int | None, **where: str | None) -> Iterator[Mapping[str, Any]]:
    given = {name: value for name, value in where.items() if value is not None}
    with connect() as client:
        yield from client.items("/audit", given, limit=limit)


def _cell(value: Any) -> str:
    """A cell that a spreadsheet takes for a text: what begins like a formula gets an apostrophe."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) if value else ""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
