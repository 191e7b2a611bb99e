"""`hub runs waits|answer|send`: what the code of runs waits for, and giving it."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import App, Parameter

from hub.cli import output, parameters
from hub.cli.connection import connect, path
from hub.cli.naming import RunName, run_id
from hub.cli.output import AsJson, Column
from hub.errors import ConflictError, UsageError
from hub.types import JsonObject

COLUMNS = (
    Column("KEY", "key"),
    Column("WAITS FOR", "kind"),
    Column("UNTIL", "expires_at", "time"),
    Column("FIELDS", "fields", "list"),
    Column("ASKS", "description"),
    Column("LAST ANSWER REFUSED", "problem"),
)
ALONE = "value"
Value = Annotated[str | None, Parameter(help="The value itself: JSON, or else text; in place of -p.")]


def install(app: App) -> None:
    """Add the commands to those of runs."""
    for command in (waits, answer, send):
        app.command(command)


def waits(run: RunName, *, as_json: AsJson = False) -> None:
    """List what the code of a run waits for: somebody, an input, an event, a message."""
    with connect() as client:
        found: list[JsonObject] = list(client.get(path("runs", run_id(client, run), "waits")))
    rows = found if as_json else [{**row, "fields": _fields(row)} for row in found]
    output.table(rows, COLUMNS, as_json=as_json, empty="The code of this run waits for nothing.")


def answer(
    run: RunName,
    key: Annotated[str | None, Parameter(help="The input's key; may be left out when one is asked for.")] = None,
    *,
    param: parameters.Pairs = (),
    params: parameters.File = None,
    value: Value = None,
    as_json: AsJson = False,
) -> None:
    """Answer an input that a run waits for: hub runs answer ID KEY -p approved=true."""
    with connect() as client:
        of = run_id(client, run)
        asked = _asked(client.get(path("runs", of, "waits")), key)
        schema: Any = asked["answer_schema"]
        given = parameters.whole(param, params, value, schema=schema, text_only=_is_text(schema))
        body = {"key": asked["key"], "point_id": asked["id"], "value": given}
        done: JsonObject = client.post(path("runs", of, "answer"), body)
    if as_json:
        output.print_json(done)
    else:
        output.say(f"Input {done['key']} is answered; run {run} is now {done['state_name']}.")


def send(
    run: RunName,
    name: Annotated[str, Parameter(help="The message's name, as in hub.receive(NAME).")] = "message",
    *,
    param: parameters.Pairs = (),
    params: parameters.File = None,
    value: Value = None,
    as_json: AsJson = False,
) -> None:
    """Send a message to a run: hub runs send ID NAME -p x=1. Its code gets it by hub.receive."""
    with connect() as client:
        body = {"name": name, "value": parameters.whole(param, params, value)}
        done: JsonObject = client.post(path("runs", run_id(client, run), "messages"), body)
    if as_json:
        output.print_json(done)
    else:
        output.say(f"Message {name} is on its way to run {run}.")


def _asked(found: Any, key: str | None) -> JsonObject:
    """The input that is meant."""
    inputs: list[JsonObject] = [row for row in found if row["kind"] == "input"]
    fit = [row for row in inputs if key in (None, row["key"])]
    keys = ", ".join(dict.fromkeys(str(row["key"]) for row in inputs))
    if not fit:
        what = "any input" if key is None else f"input {key!r}"
        raise ConflictError(f"the run does not ask for {what} now", hint=f"It asks for {keys}." if keys else "")
    if key is None and len({row["key"] for row in fit}) > 1:
        raise UsageError("the run asks for several inputs", hint=f"Say which: {keys}.")
    return fit[0]


def _is_text(schema: Any) -> bool:
    properties: dict[str, Any] = schema.get("properties", {})
    return list(properties) == [ALONE] and properties[ALONE].get("type") == "string"


def _fields(row: JsonObject) -> list[str]:
    schema: Any = row["answer_schema"] or {}
    return list(schema.get("properties", {}))
