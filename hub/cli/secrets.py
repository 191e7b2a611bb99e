"""`hub secrets`: values that flows and channels use, encrypted at rest."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, Limit, Yes
from hub.errors import UsageError

app = App(name="secrets", help="Secrets that flows and channels use.")

COLUMNS = (
    Column("NAME", "name"),
    Column("KEY", "key_id", "id"),
    Column("CREATED", "created_at", "time"),
    Column("UPDATED", "updated_at", "time"),
)
Name = Annotated[str, Parameter(help="The secret's name.")]


@app.command
def ls(*, limit: Limit = 200, as_json: AsJson = False) -> None:
    """List secrets; never their values."""
    with connect() as client:
        found = list(client.items("/secrets", limit=limit))
    output.table(found, COLUMNS, as_json=as_json, empty="No secrets yet. Set one: hub secrets set NAME")


@app.command(name="set")
def set_(name: Name) -> None:
    """Set a secret. Its value is asked for, or read from standard input; never from the command line."""
    value = read_value(f"Value of {name}: ")
    with connect() as client:
        client.put(path("secrets", name), {"value": value})
    output.say(f"Secret {name} is set.")


@app.command
def rm(name: Name, *, yes: Yes = False) -> None:
    """Remove a secret."""
    output.confirm(f"Remove secret {name}?", yes=yes)
    with connect() as client:
        client.delete(path("secrets", name))
    output.say(f"Secret {name} is removed.")


@app.command
def rotate(*, yes: Yes = False) -> None:
    """Seal every secret again with the first key of HUB_ENCRYPTION_KEY; the old key can go afterwards."""
    output.confirm("Seal every secret with the newest key?", yes=yes)
    with connect() as client:
        done = client.post("/secrets/rotate", {})
    output.say(f"{done['resealed']} values are now sealed with key {done['key_id']}.")


@app.command
def key() -> None:
    """Print a new encryption key, for HUB_ENCRYPTION_KEY or a key file."""
    from hub.crypto import new_key

    print(new_key())


def read_value(prompt: str) -> str:
    """A secret from the terminal (twice) or from standard input (its first line)."""
    if not sys.stdin.isatty():
        value = sys.stdin.readline().rstrip("\r\n")
    else:
        value = getpass.getpass(prompt)
        if value != getpass.getpass("Once more: "):
            raise UsageError("The two were not the same; nothing was set.")
    if not value:
        raise UsageError("The value is empty; nothing was set.")
    return value
