"""`hub webhooks`: sources, their receipts and keys, and checking one stored request."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, Limit, Yes
from hub.errors import UsageError

app = App(name="webhooks", help="Webhook sources, their receipts and keys.")

Name = Annotated[str, Parameter(help="The source's name or id.")]
Options = Annotated[
    tuple[str, ...], Parameter(name=("--option", "-o"), help="KEY=VALUE of the preset; repeatable.", negative=())
]
Secret = Annotated[str | None, Parameter(help="The provider's secret; - reads it from standard input.")]

COLUMNS = (
    Column("NAME", "name"),
    Column("PRESET", "preset"),
    Column("ENABLED", "enabled", "flag"),
    Column("READY", "ready", "flag"),
    Column("VERIFY", lambda item: "NONE" if item["verify"] == "none" else item["mode"]),
    Column("LAST REQUEST", "last_received_at", "time"),
    Column("CREATED", "created_at", "time"),
)
DETAILS = (
    Column("Source", "name"),
    Column("Id", "id"),
    Column("Preset", "preset"),
    Column("Options", "options"),
    Column("Enabled", "enabled", "flag"),
    Column("Verify", lambda item: "NONE" if item["verify"] == "none" else item["mode"]),
    Column("Secrets", lambda item: [_secret(one) for one in item["secrets"]] or ["none"], "list"),
    Column("Largest body", lambda item: f"{item['max_body']} bytes"),
    Column("Rate", lambda item: f"{item['rate_per_minute']} a minute"),
    Column("Receipts kept", lambda item: f"{item['keep_s'] // 86_400} days"),
    Column("Last request", "last_received_at", "time"),
    Column("Warnings", lambda item: item["warnings"], "list"),
    Column("At the provider", "where"),
    Column("Documentation", "docs"),
)
RECEIPTS = (
    Column("ID", "id", "id"),
    Column("RECEIVED", "received_at", "time"),
    Column("VERDICT", "verdict", "state"),
    Column("EVENT", "event_type"),
    Column("DELIVERY", "delivery_id"),
    Column("BYTES", "body_size"),
    Column("AGAIN", "duplicates"),
    Column("EVENTS", "events"),
    Column("REASON", lambda item: item["error"] or item["reason"]),
)
RECEIPT = (
    Column("Receipt", "id"),
    Column("Received", "received_at", "time"),
    Column("Verdict", "verdict", "state"),
    Column("Reason", "reason"),
    Column("Answered", "answer_status"),
    Column("Event", "event_type"),
    Column("Delivery", "delivery_id"),
    Column("From", "remote"),
    Column("Came again", "duplicates"),
    Column("Events", "events"),
    Column("Replay of", "replay_of"),
    Column("Problem", "error"),
    Column("Query", "query"),
    Column("Headers", lambda item: "".join(f"\n  {name}: {value}" for name, value in item["headers"])),
    Column("Body", lambda item: "\n" + (item["body"] if item["body"] is not None else item["body_base64"])),
)


_WHO = {"issued": "from the provider", "chosen": "of your choice"}


@app.command
def create(
    name: Annotated[str, Parameter(help="A name for the source.")],
    *,
    preset: Annotated[str, Parameter(help="The provider: `hub webhooks presets` lists them.")],
    secret: Secret = None,
    option: Options = (),
    observe: Annotated[bool, Parameter(negative=(), help="Let pass what is not verified, and say so.")] = False,
    verify: Annotated[str, Parameter(help="none: verify nothing. Anybody may send then.")] = "preset",
    max_body: Annotated[int | None, Parameter(help="Largest body in bytes.")] = None,
    rate: Annotated[int | None, Parameter(help="Requests a minute.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a source; its address is shown this once."""
    body: dict[str, Any] = {"name": name, "preset": preset, "options": pairs(option), "verify": verify}
    body |= {"secret": _given(secret), "max_body": max_body, "rate_per_minute": rate}
    body["mode"] = "observe" if observe else "enforce"
    with connect() as client:
        made = client.post("/sources", body)
    _show_made(made, as_json=as_json)


@app.command
def ls(*, limit: Limit = 200, as_json: AsJson = False) -> None:
    """List sources."""
    with connect() as client:
        found = list(client.items("/sources", limit=limit))
    empty = "No webhook sources yet. Make one: hub webhooks create NAME --preset github"
    output.table(found, COLUMNS, as_json=as_json, empty=empty)


@app.command
def show(name: Name, *, as_json: AsJson = False) -> None:
    """Show one source."""
    with connect() as client:
        output.detail(client.get(path("sources", name)), DETAILS, as_json=as_json)


@app.command
def update(
    name: Name,
    *,
    option: Options = (),
    enabled: Annotated[bool | None, Parameter(negative="--disabled", help="Let it rest, or go on.")] = None,
    mode: Annotated[str | None, Parameter(help="enforce or observe.")] = None,
    verify: Annotated[str | None, Parameter(help="preset, or none: anybody may send.")] = None,
    max_body: Annotated[int | None, Parameter(help="Largest body in bytes.")] = None,
    rate: Annotated[int | None, Parameter(help="Requests a minute.")] = None,
    as_json: AsJson = False,
) -> None:
    """Change a source. Options replace those it had."""
    asked = {"enabled": enabled, "mode": mode, "verify": verify, "max_body": max_body, "rate_per_minute": rate}
    body: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
    if option:
        body["options"] = pairs(option)
    if not body:
        raise UsageError("nothing to change", hint="`hub webhooks update --help` lists what can be changed.")
    with connect() as client:
        output.detail(client.patch(path("sources", name), body), DETAILS, as_json=as_json)


@app.command
def rotate(
    name: Name,
    *,
    secret: Secret = None,
    new_secret: Annotated[bool, Parameter(negative=(), help="Make a new secret of our choice.")] = False,
    new_url: Annotated[bool, Parameter(negative=(), help="Make a new address.")] = False,
    overlap: Annotated[int, Parameter(help="Seconds for which the old ones hold as well.")] = 86_400,
    as_json: AsJson = False,
) -> None:
    """Give a source a new secret, a new address, or both; the old ones hold for a while."""
    if secret is None and not new_url:
        new_secret = True
    body = {"secret": _given(secret), "new_secret": new_secret, "new_url": new_url, "overlap_s": overlap}
    with connect() as client:
        made = client.post(path("sources", name, "rotate"), body)
    _show_made(made, as_json=as_json)


@app.command
def rm(name: Name, *, yes: Yes = False) -> None:
    """Remove a source; its address answers 404 from now on."""
    output.confirm(f"Remove the webhook source {name}?", yes=yes)
    with connect() as client:
        client.delete(path("sources", name))
    output.say(f"The webhook source {name} is removed.")


@app.command
def receipts(
    name: Annotated[str | None, Parameter(help="Only of this source.")] = None,
    *,
    verdict: Annotated[str | None, Parameter(help="accepted, observed, handshake or rejected.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List requests that came in, newest first."""
    query = {key: value for key, value in (("source", name), ("verdict", verdict)) if value}
    with connect() as client:
        found = list(client.items("/receipts", query, limit=limit))
    output.table(found, RECEIPTS, as_json=as_json, empty="No request has come in yet.")


@app.command
def receipt(id: Annotated[str, Parameter(help="The receipt's id.")], *, as_json: AsJson = False) -> None:
    """Show one request with its headers and body."""
    with connect() as client:
        output.detail(client.get(path("receipts", id)), RECEIPT, as_json=as_json)


@app.command
def replay(
    id: Annotated[str, Parameter(help="The receipt's id.")],
    *,
    unverified: Annotated[bool, Parameter(negative=(), help="Replay it although it was refused.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a kept request happen again, as a receipt of its own."""
    with connect() as client:
        made = client.post(path("receipts", id, "replay"), {"unverified": unverified})
    if as_json:
        output.print_json(made)
    else:
        output.say(f"Receipt {made['id']} repeats {made['replay_of']}.")


@app.command
def presets(*, as_json: AsJson = False) -> None:
    """List the providers that this hub knows."""
    columns = (
        Column("PRESET", "id"),
        Column("NAME", "name"),
        Column("SECRET", lambda item: _WHO[item["secret"]]),
        Column("OPTIONS", lambda item: sorted(item["options"]), "list"),
        Column("SUMMARY", "summary"),
    )
    with connect() as client:
        output.table(client.get("/presets"), columns, as_json=as_json, empty="No plugin brings presets.")


@app.command
def verify(
    provider: Annotated[str, Parameter(help="The preset: `hub webhooks presets` lists them.")],
    *,
    secret: Annotated[str, Parameter(help="The secret; - reads it from standard input.")],
    request: Annotated[Path, Parameter(help='A JSON file: {"method","url","headers","body"}.')],
    now: Annotated[int | None, Parameter(help="Unix time to check the time window at; without it, it is not.")] = None,
    tolerance: Annotated[int | None, Parameter(help="Seconds of the time window, instead of the preset's.")] = None,
    option: Options = (),
) -> int:
    """Check one stored request. Exit status 0: valid, 1: not, 2: it cannot be checked."""
    from hub.runtime.presets import installed
    from hub.webhooks.check import verify_file

    answer, status = verify_file(
        provider, _given(secret) or "", request, now, tolerance, pairs(option), presets=installed()
    )
    output.print_json(answer)
    return status


def pairs(options: tuple[str, ...]) -> dict[str, str]:
    """KEY=VALUE options as a mapping. Raises UsageError for a word without an equals sign."""
    found: dict[str, str] = {}
    for pair in options:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--option {pair!r} is not KEY=VALUE.")
        found[key] = value
    return found


def _given(secret: str | None) -> str | None:
    """The secret; - reads it from standard input, so that it stands in no process list."""
    return sys.stdin.readline().rstrip("\r\n") if secret == "-" else secret  # noqa: S105 - the sign for standard input


def _secret(one: dict[str, Any]) -> str:
    return f"{one['name']} (until {one['expires_at'][:19]}Z)" if one["expires_at"] else str(one["name"])


def _show_made(made: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.print_json(made)
        return
    columns = (
        Column("Source", "name"),
        Column("Address", "url"),
        Column("Secret", "secret"),
        Column("Enter them", "where"),
    )
    output.detail(made, columns, as_json=False)
    if made["url"] or made["secret"]:
        output.say("This is shown once: keep it now.", style="yellow")
    if not made["ready"]:
        command = f"hub webhooks rotate {made['name']} --secret -"
        output.say(f"The address answers 404 until it has the provider's secret: {command}", style="yellow")
