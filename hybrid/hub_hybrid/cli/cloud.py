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
from hub.types import ExportLevel

app = App(name="cloud", help="The planes this hub reports to.")

COLUMNS = (
    Column("NAME", "name"),
    Column("PLANE", "url"),
    Column("STATUS", "status", "state"),
    Column("POLICY", "level"),
    Column("ROLE", lambda item: "primary" if item["primary"] else "mirror"),
    Column("ACKED", "acked_seq"),
    Column("HEAD", "head_seq"),
    Column("LAG", "lag"),
    Column("LAST CONTACT", "last_contact_at", "time"),
    Column("ERROR", "last_error"),
)
ADDRESSES = (
    Column("ID", "id"),
    Column("SOURCE", "source"),
    Column("STATUS", "status", "state"),
    Column("SINCE", "opened_at", "time"),
)
_LEAVES = {
    "metadata": "Ids, names, states, times and types of errors leave.",
    "errors": "Metadata and texts of errors leave.",
    "logs": "Metadata, texts of errors and log lines leave.",
    "params": "Metadata, texts of errors, log lines and parameters leave.",
    "results": "Metadata, texts of errors, log lines, parameters and results leave.",
}
LinkName = Annotated[str, Parameter(help="The link's name; needed when there are several.")]


@app.command
def connect(
    url: Annotated[str, Parameter(help="Where the plane is: https://plane.example.org.")],
    token: Annotated[
        str,
        Parameter(help="What `hub sites create` printed there; - reads it from input.", allow_leading_hyphen=True),
    ],
    *,
    name: Annotated[str, Parameter(help="What to call the link.")] = "cloud",
    policy: Annotated[ExportLevel, Parameter(help="The most that leaves; each holds those before it.")] = "metadata",
    site_name: Annotated[str, Parameter(help="What the plane calls this hub, if the token is for any.")] = "",
    as_json: AsJson = False,
) -> None:
    """Report to a plane from now on. Only metadata leaves unless --policy says more; `hub cloud preview` shows it."""
    body = {"url": url, "token": _token(token), "name": name, "level": policy, "site_name": site_name or None}
    with open_client() as client:
        made = client.post("/links", body)
    if as_json:
        output.print_json(made)
        return
    role = "It may cancel and pause runs here." if made["primary"] else "It is a mirror: it may not command."
    output.say(f"This hub reports to {made['url']} as link {made['name']!r}. {role} {_LEAVES[made['level']]}")


@app.command
def status(*, as_json: AsJson = False) -> None:
    """How each link stands: what the plane has, what it lacks, when it was there last."""
    with open_client() as client:
        found, _ = client.page("/links")
    output.table(found, COLUMNS, as_json=as_json, empty="No plane. Connect one: hub cloud connect URL TOKEN")


@app.command
def rejoin(
    token: Annotated[
        str,
        Parameter(help="What `hub sites token NAME` printed there; - reads it from input.", allow_leading_hyphen=True),
    ],
    *,
    link: LinkName = "",
) -> None:
    """Join the plane of a link anew, where this hub's key is no longer good. Nothing that waits is lost."""
    with open_client() as client:
        name = _only(client, link)["name"]
        client.post(path("links", name, "rejoin"), {"token": _token(token)})
    output.say(f"Link {name!r} goes on with a new key.")


@app.command
def policy(
    level: Annotated[ExportLevel | None, Parameter(help="The most that leaves; without it, say what leaves.")] = None,
    *,
    link: LinkName = "",
    as_json: AsJson = False,
) -> None:
    """Let more or less leave: metadata, errors, logs, params, results. Less holds at once, more from now on."""
    with open_client() as client:
        found = _only(client, link)
        if level is not None:
            client.put(path("links", found["name"], "policy"), {"level": level})
            found["level"] = level
    if as_json:
        output.print_json({"link": found["name"], "level": found["level"]})
    else:
        output.say(f"{found['level']}: {_LEAVES[found['level']]}")


@app.command
def publish(
    source: Annotated[str, Parameter(help="A webhook source of this hub, by name or id.")],
    *,
    link: LinkName = "",
    as_json: AsJson = False,
) -> None:
    """Give a source an address at the plane. What comes there is sealed to this hub, and judged and run here."""
    with open_client() as client:
        name = _only(client, link)["name"]
        made = client.post(path("links", name, "addresses"), {"source": source})
    if as_json:
        output.print_json(made)
        return
    output.say(f"{made['source']!r} is also reached at the plane of {name!r}. This is shown once:")
    print(made["url"])


@app.command
def addresses(*, link: LinkName = "", as_json: AsJson = False) -> None:
    """The addresses that sources of this hub have at a plane, and whether the plane has heard of them."""
    with open_client() as client:
        found, _ = client.page(path("links", _only(client, link)["name"], "addresses"))
    output.table(found, ADDRESSES, as_json=as_json, empty="None. Make one: hub cloud publish SOURCE")


@app.command
def unpublish(
    address: Annotated[str, Parameter(help="The address's id; `hub cloud addresses` shows it.")],
    *,
    link: LinkName = "",
    yes: Yes = False,
) -> None:
    """Take an address back: nothing more is taken there, and what waits there still comes."""
    with open_client() as client:
        name = _only(client, link)["name"]
        output.confirm(f"Take the address {address} back?", yes=yes)
        client.delete(path("links", name, "addresses", address))
    output.say("It is taken back.")


@app.command
def disconnect(link: LinkName = "", *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Report to a plane no more. All history stays here; the plane is asked to revoke this hub's key."""
    with open_client() as client:
        name = _only(client, link)["name"]
        output.confirm(f"Disconnect {name}?", yes=yes)
        told = client.request("DELETE", path("links", name))
    if as_json:
        output.print_json(told)
        return
    output.say(f"Link {name!r} is disconnected.")
    if told["key_revoked"]:
        output.say("The plane has revoked this hub's key.")
        return
    until = f", or it is good until {told['key_until']}" if told["key_until"] else ""
    output.say(
        f"The plane could not be told: {told['problem']}. Its record of this hub's key still stands:"
        f" revoke it there (hub sites revoke NAME){until}.", style="yellow",
    )  # fmt: skip


@app.command
def promote(link: LinkName = "") -> None:
    """Let this plane command, and no other one. It must have everything first."""
    with open_client() as client:
        name = _only(client, link)["name"]
        client.post(path("links", name, "promote"))
    output.say(f"The plane of {name!r} commands this hub now.")


@app.command
def preview(*, link: LinkName = "", limit: Limit = 10) -> None:
    """Print the last events exactly as the plane of a link gets them under its policy, one a line."""
    with open_client() as client:
        for event in client.get("/links/preview", {"limit": limit, "link": link})["items"]:
            print(json.dumps(event, separators=(",", ":")))


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
