"""`hub profiles`: which hub the commands talk to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from hub import profiles
from hub.cli import output
from hub.cli.output import AsJson, Column, Yes
from hub.settings import load_settings

app = App(name="profiles", help="Which hub the commands of this machine talk to.")

Name = Annotated[str, Parameter(help="Name of the profile.")]
COLUMNS = (
    Column("", lambda row: "*" if row["active"] else ""),
    Column("NAME", "name"),
    Column("API URL", lambda row: row["api_url"] or "this machine"),
    Column("TOKEN", lambda row: "yes" if row["token"] else "no"),
)


@app.command
def ls(*, as_json: AsJson = False) -> None:
    """List profiles; never their tokens."""
    home = home_of()
    found = profiles.read(home)
    here = load_settings().profile or profiles.LOCAL
    rows = [{"name": profiles.LOCAL, "active": here == profiles.LOCAL, "api_url": "", "token": False}]
    for name, one in sorted(found.known.items()):
        token = bool(one.get("api_key"))
        rows.append({"name": name, "active": name == here, "api_url": one.get("api_url", ""), "token": token})
    output.table(rows, COLUMNS, as_json=as_json, empty="")


@app.command
def use(name: Name) -> None:
    """Talk to this hub from now on; `local` is this machine's own."""
    with profiles.changing(home_of()) as found:
        if name != profiles.LOCAL:
            profiles.find(found, name)
        found.active = name
        where = found.known.get(name, {}).get("api_url", "")
    output.say(f"Commands talk to {where or 'the hub of this machine'} now.")


@app.command
def create(
    name: Name,
    url: Annotated[str, Parameter(help="Address of the hub.")],
    *,
    ca: Annotated[Path | None, Parameter(help="Certificate (PEM) of who signed the hub's.")] = None,
    token: Annotated[bool, Parameter(negative=(), help="An API token is asked for, or read from input.")] = False,
) -> None:
    """Make a profile, or change it. To sign in instead: hub login URL."""
    from hub.cli.login import checked_url
    from hub.cli.secrets import read_value

    values = {"api_url": checked_url(url)}
    if ca is not None:
        values["api_ca"] = str(ca.absolute())
    if token:
        values["api_key"] = read_value("API token: ")
    with profiles.changing(home_of()) as found:
        found.known[profiles.check_name(name)] = values
    output.say(f"Profile {name} is made. Use it: hub profiles use {name}")


@app.command
def rm(name: Name, *, yes: Yes = False) -> None:
    """Remove a profile, and its token from this machine. To make the token worthless as well: hub logout."""
    home = home_of()
    profiles.find(profiles.read(home), name)
    output.confirm(f"Remove profile {name}?", yes=yes)
    with profiles.changing(home) as found:
        found.known.pop(name, None)
        if found.active == name:
            found.active = profiles.LOCAL
    output.say(f"Profile {name} is removed.")


def home_of() -> Path:
    """The home of this machine's user, whatever profile is in use."""
    return load_settings({"profile": profiles.LOCAL}).home
