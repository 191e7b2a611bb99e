"""`hub owner`: the first account."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect
from hub.cli.secrets import read_value

app = App(name="owner", help="The first account of this hub.")


@app.command
def create(name: Annotated[str, Parameter(help="Login name.")]) -> None:
    """Make the owner's account. The password is asked for, or read from standard input."""
    password = read_value(f"Password of {name}: ")
    with connect() as client:
        client.post("/owner", {"name": name, "password": password})
    output.say(f"Owner {name} can log in now.")
