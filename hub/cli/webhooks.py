"""`hub webhooks`: sources, their receipts and keys, and checking one stored request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from hub.cli import catalog, importing, output, receipts
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, Limit, Yes
from hub.cli.signing import given
from hub.errors import UsageError
from hub.moments import span

app = App(name="webhooks", help="Webhook sources, their receipts and keys.")
receipts.install(app)
app.command(catalog.app)
importing.install(app)

Name = Annotated[str, Parameter(help="The source's name or id.")]
Options = Annotated[
    tuple[str, ...], Parameter(name=("--option", "-o"), help="KEY=VALUE of the preset; repeatable.", negative=())
]
Redact = Annotated[
    tuple[str, ...],
    Parameter(help="json:PATH, field:NAME, header:NAME, query:NAME or body: not stored; repeatable.", negative=()),
]
Schemas = Annotated[
    Literal["off", "observe", "enforce"] | None,
    Parameter(help="What departs from the schemas of the catalog: off, observe (note it), enforce (refuse it)."),
]
Allow = Annotated[
    tuple[str, ...],
    Parameter(help="An address or network that requests may come from, 192.0.2.0/24; repeatable.", negative=()),
]
Keep = Annotated[str | None, Parameter(help="How long receipts are kept: 12h, 30d.")]
KeepBytes = Annotated[
    int | None, Parameter(help="Bytes of bodies that are kept, the newest; 0: no limit but that of time.")
]
Order = Annotated[
    str | None, Parameter(help="CEL of a key, body.repository.id: runs of one key one after the other; '': at once.")
]
Silence = Annotated[
    str | None, Parameter(help="Raise an alert when so long no request was accepted: 30m, 2h, 7d; off: never.")
]
Connection = Annotated[str | None, Parameter(help="Of RabbitMQ and the like: the connection by which messages come.")]
Secret = Annotated[
    str | None, Parameter(help="The provider's secret; - reads it from standard input.", allow_leading_hyphen=True)
]

COLUMNS = (
    Column("NAME", "name"),
    Column("PRESET", "preset"),
    Column("ENABLED", "enabled", "flag"),
    Column("READY", "ready", "flag"),
    Column("VERIFY", lambda item: _verify(item)),
    Column("LAST REQUEST", "last_received_at", "time"),
    Column("CREATED", "created_at", "time"),
)
DETAILS = (
    Column("Source", "name"),
    Column("Id", "id"),
    Column("Preset", "preset"),
    Column("Options", "options"),
    Column("Enabled", "enabled", "flag"),
    Column("Verify", lambda item: _verify(item)),
    Column("Connection", "connection"),
    Column("Consumer", lambda item: _consumer(item["consumer"])),
    Column("Secrets", lambda item: [_secret(one) for one in item["secrets"]] or ["none"], "list"),
    Column("Paused", "paused_at", "time"),
    Column("Held", lambda item: item["held"] or None),
    Column("Largest body", lambda item: f"{item['max_body']} bytes"),
    Column("Rate", lambda item: f"{item['rate_per_minute']} a minute"),
    Column("Receipts kept", lambda item: _kept(item)),
    Column("From", lambda item: item["allow_from"] or None, "list"),
    Column("Answer", lambda item: f"{item['answer']['status']} {item['answer']['text']}" if item["answer"] else None),
    Column("Handshake", "handshake"),
    Column("Confirmed", "confirmed_at", "time"),
    Column("Not confirmed", "confirm_error"),
    Column("Redacted", lambda item: item["redact"] or None, "list"),
    Column("Schemas", lambda item: item["schema_mode"] if item["schema_mode"] != "off" else None),
    Column("In order of", lambda item: item["order_by"] or None),
    Column("Alert after", lambda item: output.duration(item["alert_after_s"]) if item["alert_after_s"] else None),
    Column("Silent", "silent_at", "time"),
    Column("Last request", "last_received_at", "time"),
    Column("Warnings", lambda item: item["warnings"], "list"),
    Column("At the provider", "where"),
    Column("Documentation", "docs"),
)
_WHO = {"issued": "from the provider", "chosen": "of your choice"}


@app.command
def create(
    name: Annotated[str, Parameter(help="A name for the source.")],
    *,
    preset: Annotated[str, Parameter(help="The provider: `hub webhooks presets` lists them.")],
    secret: Secret = None,
    connection: Connection = None,
    option: Options = (),
    observe: Annotated[bool, Parameter(negative=(), help="Let pass what is not verified, and say so.")] = False,
    verify: Annotated[str, Parameter(help="none: verify nothing. Anybody may send then.")] = "preset",
    max_body: Annotated[int | None, Parameter(help="Largest body in bytes.")] = None,
    rate: Annotated[int | None, Parameter(help="Requests a minute.")] = None,
    redact: Redact = (),
    alert_after_silence: Silence = None,
    order_by: Order = None,
    allow_from: Allow = (),
    keep: Keep = None,
    keep_bytes: KeepBytes = None,
    as_json: AsJson = False,
) -> None:
    """Make a source; its address is shown this once."""
    body: dict[str, Any] = {"name": name, "preset": preset, "options": pairs(option), "verify": verify}
    body |= {"connection": connection, "secret": given(secret), "max_body": max_body, "rate_per_minute": rate}
    body |= {"mode": "observe" if observe else "enforce", "redact": list(redact)}
    body |= {"alert_after_s": span(alert_after_silence), "order_by": order_by}
    body |= {"allow_from": list(allow_from), "keep_s": span(keep), "keep_bytes": keep_bytes}
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
    connection: Connection = None,
    option: Options = (),
    enabled: Annotated[bool | None, Parameter(negative="--disabled", help="Let it rest, or go on.")] = None,
    mode: Annotated[str | None, Parameter(help="enforce or observe.")] = None,
    verify: Annotated[str | None, Parameter(help="preset, or none: anybody may send.")] = None,
    max_body: Annotated[int | None, Parameter(help="Largest body in bytes.")] = None,
    rate: Annotated[int | None, Parameter(help="Requests a minute.")] = None,
    redact: Redact = (),
    keep_all: Annotated[bool, Parameter(negative=(), help="Redact nothing any more.")] = False,
    alert_after_silence: Silence = None,
    order_by: Order = None,
    schemas: Schemas = None,
    allow_from: Allow = (),
    allow_all: Annotated[bool, Parameter(negative=(), help="Take requests from anywhere again.")] = False,
    keep: Keep = None,
    keep_bytes: KeepBytes = None,
    answer: Annotated[str | None, Parameter(help="The text that senders are answered; {receipt} and {type}.")] = None,
    answer_type: Annotated[str, Parameter(help="Its content type.")] = "application/json",
    answer_status: Annotated[int, Parameter(help="The status of that answer, 200 to 299.")] = 200,
    answer_of_preset: Annotated[bool, Parameter(negative=(), help="Answer what the preset says again.")] = False,
    handshake: Annotated[
        Literal["open", "closed"] | None, Parameter(help="Answer handshakes that happen but once.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change a source. Options and places to redact replace those it had."""
    if (redact and keep_all) or (allow_from and allow_all) or (answer is not None and answer_of_preset):
        first, second = ("--redact", "--keep-all") if redact and keep_all else ("--allow-from", "--allow-all")
        if answer is not None and answer_of_preset:
            first, second = "--answer", "--answer-of-preset"
        raise UsageError(f"{first} and {second} contradict each other.")
    asked: dict[str, Any] = {
        "enabled": enabled,
        "mode": mode,
        "verify": verify,
        "max_body": max_body,
        "rate_per_minute": rate,
    }
    asked |= {"alert_after_s": span(alert_after_silence), "order_by": order_by, "connection": connection}
    asked |= {"schema_mode": schemas, "keep_s": span(keep), "keep_bytes": keep_bytes}
    asked["handshake"] = handshake
    asked["answer"] = "preset" if answer_of_preset else None
    if answer is not None:
        asked["answer"] = {"text": answer, "type": answer_type, "status": answer_status}
    if allow_from or allow_all:
        asked["allow_from"] = list(allow_from)
    body: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
    if option:
        body["options"] = pairs(option)
    if redact or keep_all:
        body["redact"] = list(redact)
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
    body = {"secret": given(secret), "new_secret": new_secret, "new_url": new_url, "overlap_s": overlap}
    with connect() as client:
        made = client.post(path("sources", name, "rotate"), body)
    _show_made(made, as_json=as_json)


@app.command
def pause(name: Name, *, as_json: AsJson = False) -> None:
    """Hold what comes in: requests are kept and answered, their events wait."""
    with connect() as client:
        found = client.post(path("sources", name, "pause"), {})
    if as_json:
        output.print_json(found)
        return
    output.say(f"The source {found['name']} is paused; {found['held']} requests wait.")
    output.say(f"`hub webhooks resume {found['name']}` lets them happen, in order.")


@app.command
def resume(name: Name, *, as_json: AsJson = False) -> None:
    """Let what was held happen, in the order in which it came."""
    with connect() as client:
        found = client.post(path("sources", name, "resume"), {})
    if as_json:
        output.print_json(found)
    else:
        output.say(f"The source {found['name']} goes on; what was held happens now.")


@app.command
def order(name: Name, *, as_json: AsJson = False) -> None:
    """List the keys of a source whose runs are made one after the other: what each waits for."""
    columns = (
        Column("KEY", "key"),
        Column("RUN", "run_id", "id"),
        Column("WAITING", "waiting"),
        Column("SINCE", "since", "time"),
        Column("PROBLEM", "error"),
    )
    with connect() as client:
        found = client.get(path("sources", name, "order"))
    output.table(found, columns, as_json=as_json, empty="Nothing waits here.")


@app.command
def rm(name: Name, *, yes: Yes = False) -> None:
    """Remove a source; its address answers 404 from now on."""
    output.confirm(f"Remove the webhook source {name}?", yes=yes)
    with connect() as client:
        client.delete(path("sources", name))
    output.say(f"The webhook source {name} is removed.")


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
    secret: Annotated[str, Parameter(help="The secret; - reads it from standard input.", allow_leading_hyphen=True)],
    request: Annotated[Path, Parameter(help='A JSON file: {"method","url","headers","body"}.')],
    now: Annotated[int | None, Parameter(help="Unix time to check the time window at; without it, it is not.")] = None,
    tolerance: Annotated[int | None, Parameter(help="Seconds of the time window, instead of the preset's.")] = None,
    option: Options = (),
) -> int:
    """Check one stored request. Exit status 0: valid, 1: not, 2: it cannot be checked, 75: not now."""
    from hub.plugins import load_plugins
    from hub.runtime.presets import install
    from hub.settings import load_settings
    from hub.web.door.plugged import verifiers
    from hub.webhooks.check import verify_file

    hooks = load_plugins(load_settings(), process="cli").hooks
    answer, status = verify_file(
        provider, given(secret) or "", request, now, tolerance, pairs(option),
        presets=install(hooks), verifiers=verifiers(hooks),
    )  # fmt: skip
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


def _kept(item: Mapping[str, Any]) -> str:
    days = f"{item['keep_s'] // 86_400} days"
    return f"{days}, the newest {item['keep_bytes']} bytes" if item["keep_bytes"] else days


def _verify(item: Mapping[str, Any]) -> str:
    if item["connection"]:
        return "connection"
    return "NONE" if item["verify"] == "none" else str(item["mode"])


def _consumer(said: dict[str, Any] | None) -> str | None:
    if said is None:
        return None
    again = f", tried again at {said['retry_at'][:19]}Z" if said["retry_at"] else ""
    return f"{said['state']} since {said['since'][:19]}Z{again}" + (f": {said['reason']}" if said["reason"] else "")


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
