"""`hub apis`: what a document describes, before a flow calls it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App
from cyclopts import Parameter as Argument
from hub.cli import output
from hub.cli.output import AsJson, Column
from hub.errors import NotFoundError, PermanentError, TransientError, UnavailableError, UsageError
from hub.outbound.call import Caller, Limits
from hub.outbound.rule import allowing
from hub.settings import load_settings

from hub_plugins.openapi.document import LARGEST, Document, Operation

app = App(name="apis", help="Read OpenAPI documents of others: their operations.")
Find = Annotated[str, Argument(help="Only those whose name, path or summary holds this text.")]
Name = Annotated[str, Argument(help='Its operationId, or "GET /path" where it has none.')]
Place = Annotated[str, Argument(help="The document: a file, or its address.")]
COLUMNS = (
    Column("OPERATION", "operation"),
    Column("REQUEST", lambda row: f"{row['method']} {row['path']}"),
    Column("TAKES", "takes", "list"),
    Column("SUMMARY", "summary"),
)


@app.command
def ls(document: Place, *, find: Find = "", as_json: AsJson = False) -> None:
    """List the operations of a document, which flows call by these names."""
    rows = [_row(one) for one in _read(document).operations.values()]
    wanted = [row for row in rows if find.lower() in f"{row['operation']} {row['path']} {row['summary']}".lower()]
    output.table(wanted, COLUMNS, as_json=as_json, empty="It has no such operation.")


@app.command
def show(document: Place, operation: Name, *, as_json: AsJson = False) -> None:
    """Show what an operation takes."""
    read = _read(document)
    found = read.operation(operation)
    rows = [
        {"name": one.name, "in": one.place, "required": one.required, "type": _type(read, one.schema),
         "description": one.description}
        for one in found.parameters
    ]  # fmt: skip
    rows += [
        {"name": "body", "in": kind, "required": found.body_required, "type": _type(read, f"{place}/schema"),
         "description": ""}
        for kind, place in found.bodies.items()
    ]  # fmt: skip
    columns = (
        Column("NAME", "name"), Column("IN", "in"), Column("REQUIRED", "required", "flag"), Column("TYPE", "type"),
        Column("DESCRIPTION", "description"),
    )  # fmt: skip
    if not as_json:
        output.say(f"{found.method} {found.path}  {found.summary}")
    output.table(rows, columns, as_json=as_json, empty="It takes nothing.")


def _row(one: Operation) -> dict[str, object]:
    takes = [f"{parameter.name}{'' if parameter.required else '?'}" for parameter in one.parameters]
    takes += ["body" if one.body_required else "body?"] if one.bodies else []
    return {"operation": one.id, "method": one.method, "path": one.path, "takes": takes, "summary": one.summary}


def _type(document: Document, place: str) -> str:
    try:
        found, where = document.at(place)
    except PermanentError:
        return ""
    if not isinstance(found, dict):
        return ""
    named = where.rpartition("/")[2] if where.startswith("/components/schemas/") else ""
    kind = found.get("type", "")
    return named or (" or ".join(map(str, kind)) if isinstance(kind, list) else str(kind))


def _read(place: str) -> Document:
    try:
        if not place.startswith(("http://", "https://")):
            return Document(Path(place).read_bytes())
        caller = Caller(allowing(load_settings().outbound_networks), Limits(total_s=30.0, body=LARGEST))
        answer = caller.call("GET", place, headers={"accept": "application/json, */*;q=0.5"})
    except OSError as error:
        raise NotFoundError(f"{place} cannot be read: {error.strerror}") from None
    except TransientError as error:
        raise UnavailableError(f"{place}: {error}") from None
    except PermanentError as error:
        raise UsageError(f"{place}: {error}") from None
    if answer.status != 200 or answer.cut:
        raise UsageError(f"{place} was answered {answer.status}{', and is too large' if answer.cut else ''}")
    try:
        return Document(answer.body)
    except PermanentError as error:
        raise UsageError(f"{place}: {error}") from None
