"""`hub connections`: services that flows and result stores reach by name."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, DryRun, Limit, Yes
from hub.errors import HubError, UsageError
from hub.references import is_reference

if TYPE_CHECKING:
    from hub.client import Client

app = App(name="connections", help="Services that flows and result stores reach by name.")

COLUMNS = (
    Column("NAME", "name"),
    Column("KIND", "kind"),
    Column("READY", "ready", "flag"),
    Column("SECRETS", "secret_fields", "list"),
    Column("UPDATED", "updated_at", "time"),
    Column("PROBLEM", "needs"),
)
DETAIL = (
    Column("Name", "name"),
    Column("Kind", "kind"),
    Column("Ready", "ready", "flag"),
    Column("Problem", "needs"),
    Column("Settings", "fields"),
    Column("Secrets", "secret_fields", "list"),
    Column("Sealed with", "key_id", "id"),
    Column("Created", "created_at", "time"),
    Column("Updated", "updated_at", "time"),
)
KINDS = (
    Column("KIND", "name"),
    Column("FIELDS", lambda kind: ", ".join(map(_field, kind["fields"]))),
    Column("WHAT IT IS", "summary"),
)
Name = Annotated[str, Parameter(help="The connection's name.")]


@app.command
def kinds(*, as_json: AsJson = False) -> None:
    """List the kinds of connection and their fields: `*` is required, `!` secret."""
    with connect() as client:
        found = list(client.get("/connection-kinds"))
    output.table(found, KINDS, as_json=as_json, empty="No plugin brings any kind of connection: hub plugins ls")


@app.command
def create(
    kind: Annotated[str, Parameter(help="What kind of service: `hub connections kinds`.")],
    name: Name,
    *,
    replace: Annotated[bool, Parameter(negative=(), help="One of that name may be there: it is replaced.")] = False,
    **field: Annotated[str, Parameter(help="A setting of the kind: --region eu-west-1.")],
) -> None:
    """Make a connection. Its secrets are asked for, or read from standard input; never from the command line."""
    given = {key.replace("-", "_"): value for key, value in field.items()}
    with connect() as client:
        secret = _secret_fields(client, kind)
        typed = sorted(name for name in given.keys() & secret if not is_reference(given[name]))
        if typed:
            raise UsageError(
                f"{typed[0]} is secret, and what is typed after a command can be read by others",
                hint="Leave it out: it is asked for, or read from standard input as FIELD=VALUE. A reference such as"
                " env:NAME may be typed.",
            )
        given |= read_secrets(secret - given.keys())
        client.put(path("connections", name), {"kind": kind, "fields": given, "replace": replace})
    output.say(f"Connection {name} is set. Try it: hub connections test {name}")


@app.command
def ls(*, limit: Limit = 200, as_json: AsJson = False) -> None:
    """List connections; never what is secret of them."""
    with connect() as client:
        found = list(client.items("/connections", limit=limit))
    output.table(
        found, COLUMNS, as_json=as_json, empty="No connections yet. Make one: hub connections create KIND NAME"
    )


@app.command
def show(name: Name, *, as_json: AsJson = False) -> None:
    """Show a connection without its secrets."""
    with connect() as client:
        output.detail(client.get(path("connections", name)), DETAIL, as_json=as_json)


@app.command
def test(name: Name) -> None:
    """Reach the service from the hub's machine; exit status 1 when that fails."""
    with connect() as client:
        done = client.post(path("connections", name, "test"), {})
    if not done["ok"]:
        raise _Failed(f"Connection {name} does not work: {done['detail']}", hint="Set it anew with --replace.")
    output.say(f"Connection {name} works: {done['detail']}")


@app.command
def rm(name: Name, *, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Remove a connection. Results that are kept there stay, and cannot be read without it."""
    if dry_run:
        with connect() as client:
            found = client.get(path("connections", name))
        output.say(f"Would remove connection {name} of the kind {found['kind']}. Nothing was changed.")
        return
    output.confirm(f"Remove connection {name}?", yes=yes)
    with connect() as client:
        client.delete(path("connections", name))
    output.say(f"Connection {name} is removed.")


class _Failed(HubError):
    exit_code = 1


def read_secrets(names: set[str]) -> dict[str, str]:
    """The secret fields, asked for on a terminal; else read from standard input.

    There each line is FIELD=VALUE; a single line without that is the value of the only secret there is.
    """
    if not names:
        return {}
    if sys.stdin.isatty():
        asked = {name: getpass.getpass(f"{name} (empty: none): ") for name in sorted(names)}
        return {name: value for name, value in asked.items() if value}
    lines = [line.rstrip("\r\n") for line in sys.stdin if line.strip()]
    found: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if equals and name.strip() in names:
            found[name.strip()] = value
        elif len(names) == 1 and len(lines) == 1:
            found[next(iter(names))] = line
        else:
            raise UsageError(
                "a line of standard input is not FIELD=VALUE of a secret field",
                hint=f"Secret fields: {', '.join(sorted(names))}.",
            )
    return found


def _secret_fields(client: Client, kind: str) -> set[str]:
    found: list[Mapping[str, Any]] = [known for known in client.get("/connection-kinds") if known["name"] == kind]
    return {str(field["name"]) for field in found[0]["fields"] if field["secret"]} if found else set()


def _field(field: Mapping[str, Any]) -> str:
    return f"{field['name']}{'*' if field['required'] else ''}{'!' if field['secret'] else ''}"
