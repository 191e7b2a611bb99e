"""`hub endpoints`: where webhooks of our own go, and every attempt to get them there."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, Limit, Yes
from hub.client import Client
from hub.errors import HubError, UsageError

app = App(name="endpoints", help="Where webhooks of our own go, and what came of them.")
Name = Annotated[str, Parameter(help="The endpoint's name or id.")]
Url = Annotated[str | None, Parameter(help="https://HOST/PATH; - or left out: asked for on standard input.")]
Sign = Literal["v1", "v1a", "both"]

COLUMNS = (
    Column("NAME", "name"),
    Column("WHERE", "label"),
    Column("ENABLED", "enabled", "flag"),
    Column("FAILING SINCE", "failing_since", "time"),
    Column("SIGNS", lambda item: [key["scheme"] for key in item["keys"]], "list"),
    Column("CREATED", "created_at", "time"),
)
DETAILS = (
    Column("Endpoint", "name"),
    Column("Id", "id"),
    Column("Where", "label"),
    Column("Enabled", "enabled", "flag"),
    Column("Reason", lambda item: item["disabled_reason"] or None),
    Column("Failing since", "failing_since", "time"),
    Column("Keys", lambda item: [_key(key) for key in item["keys"]], "list"),
)
OUTGOING = (
    Column("ID", "id", "id"),
    Column("ENDPOINT", lambda item: item["endpoint"] or "(removed)"),
    Column("TYPE", "type"),
    Column("STATUS", "status", "state"),
    Column("ATTEMPTS", "attempts"),
    Column("NEXT", "due_at", "time"),
    Column("ERROR", lambda item: item["error"] or "-"),
    Column("CREATED", "created_at", "time"),
)
ATTEMPTS = (
    Column("NUMBER", "number"),
    Column("AT", "started_at", "time"),
    Column("TOOK", lambda item: f"{item['duration_us'] / 1e6:.2f} s"),
    Column("ANSWER", lambda item: item["status_code"] or "-"),
    Column("ERROR", lambda item: item["error"] or "-"),
)


@app.command
def create(
    name: Annotated[str, Parameter(help="A name for the endpoint.")],
    url: Url = None,
    *,
    sign: Annotated[Sign, Parameter(help="v1: a shared secret, v1a: a public key.")] = "v1",
    as_json: AsJson = False,
) -> None:
    """Make an endpoint; a secret is shown this once."""
    with connect() as client:
        made = client.post("/endpoints", {"name": name, "url": _url(url), "sign": sign})
    _show_made(made, as_json=as_json)


@app.command
def ls(*, limit: Limit = 200, as_json: AsJson = False) -> None:
    """List endpoints."""
    with connect() as client:
        found = list(client.items("/endpoints", limit=limit))
    output.table(found, COLUMNS, as_json=as_json, empty="No endpoints yet. Make one: hub endpoints create NAME URL")


@app.command
def show(name: Name, *, as_json: AsJson = False) -> None:
    """Show one endpoint, without its address."""
    with connect() as client:
        output.detail(client.get(path("endpoints", name)), DETAILS, as_json=as_json)


@app.command
def update(name: Name, url: Url = None, *, as_json: AsJson = False) -> None:
    """Give an endpoint another address."""
    with connect() as client:
        found = client.patch(path("endpoints", name), {"url": _url(url)})
        output.detail(found, DETAILS, as_json=as_json)


@app.command
def enable(name: Name) -> None:
    """Switch an endpoint on again; what waits for it is sent at once."""
    with connect() as client:
        client.patch(path("endpoints", name), {"enabled": True})
    output.say(f"The endpoint {name} is enabled.")


@app.command
def disable(name: Name) -> None:
    """Switch an endpoint off; what is sent to it waits."""
    with connect() as client:
        client.patch(path("endpoints", name), {"enabled": False})
    output.say(f"The endpoint {name} is disabled; what is sent to it waits.")


@app.command
def rotate(
    name: Name,
    *,
    sign: Annotated[Sign | None, Parameter(help="v1, v1a or both; as before if it is left out.")] = None,
    overlap: Annotated[int, Parameter(help="Seconds for which the old keys sign as well.")] = 86_400,
    as_json: AsJson = False,
) -> None:
    """Give an endpoint new keys; for a while everything is signed with both."""
    with connect() as client:
        made = client.post(path("endpoints", name, "rotate"), {"sign": sign, "overlap_s": overlap})
    _show_made(made, as_json=as_json)


@app.command
def rm(name: Name, *, yes: Yes = False) -> None:
    """Remove an endpoint; what waits for it is not sent any more."""
    output.confirm(f"Remove the endpoint {name}?", yes=yes)
    with connect() as client:
        client.delete(path("endpoints", name))
    output.say(f"The endpoint {name} is removed.")


@app.command
def send(
    name: Name,
    type: Annotated[str, Parameter(help="The type of the message, for example order.paid.")],
    *,
    data: Annotated[str, Parameter(help="Its data as JSON; - reads it from standard input.")] = "null",
    as_json: AsJson = False,
) -> None:
    """Send a message."""
    body = {"type": type, "data": _json(sys.stdin.read() if data == "-" else data)}
    with connect() as client:
        sent = client.post(path("endpoints", name, "send"), body)
    if as_json:
        output.print_json(sent)
    else:
        output.say(f"Message {sent['id']} goes to {name}: hub endpoints delivery {sent['id']}")


@app.command(name="test")
def try_endpoint(
    name: Name,
    *,
    wait: Annotated[float, Parameter(help="Seconds to wait for the first attempt.")] = 30.0,
    as_json: AsJson = False,
) -> int:
    """Send a message of the type `hub.test` and say what came of it; exit status 1 when it was not taken."""
    with connect() as client:
        sent = client.post(path("endpoints", name, "send"), {"type": "hub.test", "data": {"endpoint": name}})
        found = _tried(client, str(sent["id"]), wait)
    if as_json:
        output.print_json(found)
        return int(found["status"] != "delivered")
    if not found["tried"]:
        raise _NotTaken("No attempt was made yet.", hint="Is upkeep running, and the endpoint enabled?")
    if found["status"] != "delivered":
        raise _NotTaken(f"The endpoint {name} did not take it: {found['error']}", hint="It is tried again.")
    output.say(f"The endpoint {name} took it ({found['tried'][-1]['status_code']}).")
    return 0


@app.command
def deliveries(
    name: Annotated[str | None, Parameter(help="Only those of this endpoint.")] = None,
    *,
    status: Annotated[
        Literal["pending", "sending", "delivered", "failed"] | None, Parameter(help="Only these.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List what was sent and what waits, newest first."""
    query = {"endpoint": name, "status": status}
    with connect() as client:
        found = list(client.items("/outgoing", query={k: v for k, v in query.items() if v}, limit=limit))
    output.table(found, OUTGOING, as_json=as_json, empty="Nothing was sent.")


@app.command
def delivery(
    webhook: Annotated[str, Parameter(help="The message's id.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show a message with every attempt to deliver it."""
    with connect() as client:
        found = client.get(path("outgoing", webhook))
    if as_json:
        output.print_json(found)
        return
    output.detail(found, (*_DELIVERY, Column("Body", "body")), as_json=False)
    output.table(found["tried"], ATTEMPTS, as_json=False, empty="No attempt was made yet.")


@app.command
def resend(
    what: Annotated[str, Parameter(help="A message's id, or an endpoint's name with --all.")],
    *,
    all: Annotated[
        bool, Parameter(negative=(), help="All of an endpoint's that have a status, 1,000 at once.")
    ] = False,
    status: Annotated[Literal["failed", "delivered", "pending"], Parameter(help="With --all: which.")] = "failed",
    since: Annotated[str | None, Parameter(help="With --all: made since then, 2026-01-31T12:00:00Z.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send a message again, or many; under the ids that they had."""
    with connect() as client:
        if all:
            body = {"status": status, "since": since}
            done = client.post(path("endpoints", what, "resend"), body)
        else:
            done = client.post(path("outgoing", what, "resend"), {})
    if as_json:
        output.print_json(done)
    else:
        output.say(f"{done['count']} messages are sent again.")


class _NotTaken(HubError):
    exit_code = 1


_DELIVERY = (
    Column("Message", "id"),
    Column("Endpoint", lambda item: item["endpoint"] or "(removed)"),
    Column("Type", "type"),
    Column("From", lambda item: item["origin"] or None),
    Column("Status", "status"),
    Column("Next", "due_at", "time"),
    Column("Error", "error"),
)


def _tried(client: Client, webhook: str, wait: float) -> Mapping[str, Any]:
    deadline = time.monotonic() + wait
    while True:
        found: Mapping[str, Any] = client.get(path("outgoing", webhook))
        if found["tried"] or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def _url(given: str | None) -> str:
    """The address, which may hold a secret: left out, it stands in no process list."""
    if given not in (None, "-"):
        return str(given)
    if sys.stdin.isatty():
        return input("Address: ").strip()
    return sys.stdin.readline().strip()


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"--data is not JSON: {error}") from None


def _key(key: Mapping[str, Any]) -> str:
    until = f" (until {key['expires_at'][:19]}Z)" if key["expires_at"] else ""
    return f"{key['scheme']}{' ' + key['public'] if key['public'] else ''}{until}"


def _show_made(made: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.print_json(made)
        return
    columns = [Column("Endpoint", "name")]
    columns += [Column(f"Key {key['scheme']}", f"key_{key['scheme']}") for key in made["keys"]]
    shown = {**made, **{f"key_{key['scheme']}": key["key"] for key in made["keys"]}}
    output.detail(shown, tuple(columns), as_json=False)
    output.say("Give it to the receiver. A secret is shown this once: keep it now.", style="yellow")
