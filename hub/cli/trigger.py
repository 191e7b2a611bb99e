"""`hub trigger`: what a provider would send, signed with the source's own secret."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column
from hub.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from hub.client import Client

SAMPLES = (
    Column("PRESET", "id"),
    Column("SAMPLES", "samples", "list"),
    Column("EVENTS", "events", "list"),
)


def trigger(
    provider: Annotated[str | None, Parameter(help="The preset: `hub webhooks presets` lists them.")] = None,
    event: Annotated[str | None, Parameter(help="A sample or an event type; without it the first sample.")] = None,
    *,
    source: Annotated[str | None, Parameter(help="Send it to this source; needed when there are several.")] = None,
    body: Annotated[
        Path | None, Parameter(help="Send the bytes of this file; - reads standard input.", allow_leading_hyphen=True)
    ] = None,
    bookmark: Annotated[str | None, Parameter(help="Send this bookmarked request instead.")] = None,
    header: Annotated[tuple[str, ...], Parameter(name=("--header", "-H"), help="NAME: VALUE.", negative=())] = (),
    list_: Annotated[bool, Parameter(name="--list", negative=(), help="Say what there is to send.")] = False,
    as_json: AsJson = False,
) -> int:
    """Sign a sample as its provider would and let it come in at a source."""
    with connect() as client:
        if list_:
            found = [client.get(path("presets", provider))] if provider else client.get("/presets")
            output.table(found, SAMPLES, as_json=as_json, empty="No plugin brings presets.")
            return 0
        asked: dict[str, Any] = {"event": event, "headers": _headers(header), "bookmark": bookmark}
        if bookmark is not None:
            if event is not None or body is not None or header:
                raise UsageError("A bookmark is sent as it is.", hint="Leave out the event, --body and --header.")
            source = source or client.get(path("bookmarks", bookmark))["source_id"]
        if body is not None:
            asked["body_base64"] = base64.b64encode(_read(body)).decode()
        came = client.post(path("sources", source or _only(client, provider), "trigger"), asked)
    _tell(came, as_json=as_json)
    return 0 if came["status"] < 400 else 1


def _only(client: Client, provider: str | None) -> str:
    """The one source of that provider."""
    if provider is None:
        raise UsageError("Name a provider or a source.", hint="For example: hub trigger github push")
    names = sorted(str(one["name"]) for one in client.items("/sources") if one["preset"] == provider)
    if len(names) > 1:
        raise UsageError(f"{provider} has several sources: {', '.join(names)}.", hint="Choose one by --source.")
    if not names:
        client.get(path("presets", provider))  # says so when there is no such provider
        raise NotFoundError(
            f"there is no source of {provider} yet", hint=f"hub webhooks create NAME --preset {provider}"
        )
    return names[0]


def _headers(given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for line in given:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise UsageError(f"--header {line!r} is not NAME: VALUE.")
        found[name.strip()] = value.strip()
    return found


def _read(file: Path) -> bytes:
    return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()


def _tell(came: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.print_json(came)
        return
    what = f"{came['event_type'] or came['verdict']} {came['delivery_id'] or ''}".strip()
    if came["status"] >= 400:
        output.say(f"{what}: answered {came['status']}: {came['reason']}", style="red")
    elif came["duplicate"]:
        output.say(f"{what}: came before, as receipt {came['receipt']}; nothing happens again.", style="yellow")
    else:
        output.say(f"{what}: answered {came['status']}, receipt {came['receipt']}")
