"""`hub users`: who may come in, and what they may do."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, Limit, Yes
from hub.cli.secrets import read_value

app = App(name="users", help="Accounts of people and services, and what they may do.")

Role = Literal["viewer", "operator", "developer", "admin", "owner"]
Name = Annotated[str, Parameter(help="Name of the account.")]
RoleFlag = Annotated[Role, Parameter(help="What it may do.")]
COLUMNS = (
    Column("NAME", "name"),
    Column("KIND", "kind"),
    Column("ROLE", "role"),
    Column("CREATED", "created_at", "time"),
    Column("OFF SINCE", "disabled_at", "time"),
)
INVITED = (
    Column("ID", "id", "id"),
    Column("NAME", "name"),
    Column("ROLE", "role"),
    Column("BY", "created_by"),
    Column("GOOD UNTIL", "expires_at", "time"),
)


@app.command
def ls(*, limit: Limit = 200, as_json: AsJson = False) -> None:
    """List accounts."""
    with connect() as client:
        found = list(client.items("/users", limit=limit))
    output.table(found, COLUMNS, as_json=as_json, empty="No accounts yet. Make the first: hub owner create NAME")


@app.command
def create(
    name: Name,
    *,
    role: RoleFlag = "viewer",
    service: Annotated[bool, Parameter(negative=(), help="For a program: no password, tokens instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make an account. A person's password is asked for, or read from standard input."""
    body = {"name": name, "role": role, "kind": "service" if service else "person"}
    if not service:
        body["password"] = read_value(f"Password of {name}: ")
    with connect() as client:
        made = client.post("/users", body)
    if as_json:
        output.print_json(made)
    elif service:
        output.say(f"Service {name} may do what {_a(role)} may. Make it a token: hub tokens create NAME --for {name}")
    else:
        output.say(f"{name} can log in now, as {role}.")


@app.command
def invite(
    name: Annotated[str | None, Parameter(help="Name of the account; without it they choose one.")] = None,
    *,
    role: RoleFlag = "viewer",
    days: Annotated[float, Parameter(help="Days until the link is worthless.")] = 7.0,
    as_json: AsJson = False,
) -> None:
    """Print a link that makes an account, once. Whoever has it can use it."""
    _print_link({"name": name, "role": role, "expires_in": days * 86_400}, as_json=as_json)


@app.command
def password(
    name: Name,
    *,
    link: Annotated[bool, Parameter(negative=(), help="Print a link instead by which they choose one.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give a person a new password, which ends their sessions. It is asked for, or read from standard input."""
    if link:
        _print_link({"user": name, "expires_in": 86_400.0}, as_json=as_json)
        return
    value = read_value(f"New password of {name}: ")
    with connect() as client:
        client.put(path("users", name, "password"), {"password": value})
    output.say(f"{name} has a new password, and is signed out everywhere.")


@app.command(name="role")
def role_(name: Name, role: Annotated[Role, Parameter(help="What it may do from now on.")]) -> None:
    """Change what an account may do."""
    with connect() as client:
        client.patch(path("users", name), {"role": role})
    output.say(f"{name} may do what {_a(role)} may.")


@app.command
def disable(name: Name, *, yes: Yes = False) -> None:
    """Switch an account off: its sessions and tokens are worthless at once."""
    output.confirm(f"Switch {name} off?", yes=yes)
    with connect() as client:
        client.patch(path("users", name), {"disabled": True})
    output.say(f"{name} is switched off.")


@app.command
def enable(name: Name) -> None:
    """Switch an account on again."""
    with connect() as client:
        client.patch(path("users", name), {"disabled": False})
    output.say(f"{name} is switched on.")


@app.command
def invitations(*, limit: Limit = 200, as_json: AsJson = False) -> None:
    """List the invitations that are open; never their links."""
    with connect() as client:
        found = list(client.items("/invitations", limit=limit))
    output.table(found, INVITED, as_json=as_json, empty="Nobody is invited. Invite somebody: hub users invite NAME")


@app.command
def uninvite(invitation: Annotated[str, Parameter(help="Id of the invitation.")]) -> None:
    """Take an invitation back."""
    with connect() as client:
        client.delete(path("invitations", invitation))
    output.say(f"Invitation {invitation} is worthless.")


def _a(role: str) -> str:
    return f"{'an' if role[0] in 'ao' else 'a'} {role}"


def _print_link(body: dict[str, object], *, as_json: bool) -> None:
    with connect() as client:
        made = client.post("/invitations", {key: value for key, value in body.items() if value is not None})
    if as_json:
        output.print_json(made)
    else:
        print(made["link"])
        output.error_console().print("It is good once. Send it to nobody else.", style="dim")
