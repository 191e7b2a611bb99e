"""`hub cloud`: the planes this hub reports to."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

from cyclopts import App, Parameter
from hub.cli import output
from hub.cli.connection import connect as open_client
from hub.cli.connection import path
from hub.cli.output import AsJson, Column, Limit, Yes
from hub.errors import ConflictError, NotFoundError, UsageError

app = App(name="cloud", help="The planes this hub reports to.")

COLUMNS = (
    Column("NAME", "name"),
    Column("PLANE", "url"),
    Column("STATUS", "status", "state"),
    Column("ROLE", lambda item: "primary" if item["primary"] else "mirror"),
    Column("ACKED", "acked_seq"),
    Column("HEAD", "head_seq"),
    Column("LAG", "lag"),
    Column("LAST CONTACT", "last_contact_at", "time"),
    Column("ERROR", "last_error"),
)
LinkName = Annotated[str, Parameter(help="The link's name; needed when there are several.")]


@app.command
def connect(
    url: Annotated[str, Parameter(help="Where the plane is: https://plane.example.org.")],
    token: Annotated[str, Parameter(help="What `hub sites create` printed there; - reads it from standard input.")],
    *,
    name: Annotated[str, Parameter(help="What to call the link.")] = "cloud",
    as_json: AsJson = False,
) -> None:
    """Report to a plane from now on. Only metadata leaves; `hub cloud preview` shows it."""
    body = {"url": url, "token": _token(token), "name": name}
    with open_client() as client:
        made = client.post("/links", body)
    if as_json:
        output.print_json(made)
        return
    role = "It may cancel and pause runs here." if made["primary"] else "It is a mirror: it may not command."
    output.say(f"This hub reports to {made['url']} as link {made['name']!r}. {role}")


@app.command
def status(*, as_json: AsJson = False) -> None:
    """How each link stands: what the plane has, what it lacks, when it was there last."""
    with open_client() as client:
        found, _ = client.page("/links")
    output.table(found, COLUMNS, as_json=as_json, empty="No plane. Connect one: hub cloud connect URL TOKEN")


@app.command
def disconnect(link: LinkName = "", *, yes: Yes = False) -> None:
    """Report to a plane no more. All history stays here; its token is forgotten."""
    with open_client() as client:
        name = _only(client, link)["name"]
        output.confirm(f"Disconnect {name}?", yes=yes)
        client.delete(path("links", name))
    output.say(f"Link {name!r} is disconnected.")


@app.command
def promote(link: LinkName = "") -> None:
    """Let this plane command, and no other one. It must have everything first."""
    with open_client() as client:
        name = _only(client, link)["name"]
        client.post(path("links", name, "promote"))
    output.say(f"The plane of {name!r} commands this hub now.")


@app.command
def preview(*, limit: Limit = 10) -> None:
    """Print the last events exactly as a plane gets them, one a line."""
    with open_client() as client:
        for event in client.get("/links/preview", {"limit": limit})["items"]:
            print(json.dumps(event, ensure_ascii=False))


@app.command
def digest(link: LinkName = "", *, as_json: AsJson = False) -> None:
    """Compare both ends: the digest of all runs here and at the plane. Exit status 4 when they differ."""
    with open_client() as client:
        found = client.get(path("links", _only(client, link)["name"], "digest"))
    if as_json:
        output.print_json(found)
    else:
        plane = found["plane"] or {"runs": "?", "sha256": found["problem"]}
        output.say(f"site   {found['site']['runs']} runs  {found['site']['sha256']}")
        output.say(f"plane  {plane['runs']} runs  {plane['sha256']}")
        output.say("equal" if found["equal"] else "different", style="green" if found["equal"] else "red")
    if not found["equal"]:
        raise ConflictError("the two ends do not hold the same", hint="`hub cloud status` shows the lag.")


def _only(client: Any, name: str) -> dict[str, Any]:
    found, _ = client.page("/links")
    chosen = [link for link in found if name in ("", link["name"], link["id"])]
    if not chosen:
        what = f"There is no link {name!r}." if name else "This hub reports to no plane."
        raise NotFoundError(what, hint="hub cloud connect URL TOKEN makes a link.")
    if len(chosen) > 1:
        raise UsageError("There are several links.", hint=f"Say which: {', '.join(link['name'] for link in chosen)}.")
    return dict(chosen[0])


def _token(given: str) -> str:
    return sys.stdin.readline().strip() if given == "-" else given
