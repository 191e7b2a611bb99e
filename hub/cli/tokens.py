"""`hub tokens`: what programs log in with."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, Limit, Yes

app = App(name="tokens", help="API tokens.")

COLUMNS = (
    Column("ID", "id", "id"),
    Column("NAME", "name"),
    Column("PREFIX", "prefix"),
    Column("SCOPES", "scopes", "list"),
    Column("EXPIRES", "expires_at", "time"),
    Column("LAST USED", "last_used_at", "time"),
    Column("REVOKED", "revoked_at", "time"),
)


@app.command
def ls(*, limit: Limit = 200, as_json: AsJson = False) -> None:
    """List tokens; never the tokens themselves."""
    with connect() as client:
        found = list(client.items("/tokens", limit=limit))
    output.table(found, COLUMNS, as_json=as_json, empty="No tokens yet. Make one: hub tokens create NAME")


@app.command
def create(
    name: Annotated[str, Parameter(help="What the token is for.")],
    *,
    scope: Annotated[tuple[str, ...], Parameter(help="A scope such as runs:write; repeatable; none: all.")] = (),
    service: Annotated[str | None, Parameter(name="--for", help="Service account that the token is for.")] = None,
    days: Annotated[float | None, Parameter(help="Days until it expires; none: never.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a token. It is shown once."""
    body: dict[str, object] = {"name": name}
    if scope:
        body["scopes"] = list(scope)
    if service is not None:
        body["account"] = service
    if days is not None:
        body["expires_in"] = days * 86_400
    with connect() as client:
        made = client.post("/tokens", body)
    if as_json:
        output.print_json(made)
    else:
        print(made["token"])
        output.error_console().print("Keep it: it is not shown again. Use it as HUB_API_KEY.", style="dim")


@app.command
def revoke(token: Annotated[str, Parameter(help="Id of the token.")], *, yes: Yes = False) -> None:
    """Make a token worthless at once."""
    output.confirm(f"Revoke token {token}?", yes=yes)
    with connect() as client:
        client.delete(path("tokens", token))
    output.say(f"Token {token} is revoked.")
