"""`hub channels` and `hub alerts`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, Limit, Yes
from hub.cli.waiting import QUIET, Progress
from hub.errors import UnavailableError, UsageError
from hub.moments import span
from rich.text import Text

from hub_notifications.scheme_cli import FIELDS, SCHEMES, ask_secret, named_field

channels = App(name="channels", help="Where alerts go: email, Slack and a hundred other services.")
alerts = App(name="alerts", help="What went wrong, and whether somebody was told.")

Name = Annotated[str, Parameter(help="The channel's name.")]
Tags = Annotated[tuple[str, ...], Parameter(help="A tag, so that routes can name it tag:NAME; repeatable.")]
Rate = Annotated[int, Parameter(help="Messages a minute; what is more becomes a digest.")]
Burst = Annotated[int, Parameter(help="Messages at once after a rest.")]
Length = Annotated[str, Parameter(name="--for", help="For how long: 30m, 8h, 2d.")]
By = Annotated[str, Parameter(help="Who; left out, whoever calls.")]
AlertId = Annotated[str, Parameter(help="The alert's id.")]
TemplateText = Annotated[
    str | None,
    Parameter(
        help="A Jinja2 template, a file that holds one, or - for standard input; empty: the hub's own.",
        allow_leading_hyphen=True,
    ),
]
_CHANNELS = (
    Column("NAME", "name"),
    Column("ADDRESS", "label"),
    Column("TAGS", lambda item: ", ".join(item["tags"])),
    Column("RATE", lambda item: f"{item['rate']}/min, {item['burst']} at once"),
    Column("ENABLED", "enabled", "flag"),
    Column("PROBLEM", lambda item: item["disabled_reason"] or item["needs"]),
    Column("CREATED", "created_at", "time"),
)
_TEMPLATES = (
    Column("TITLE TEMPLATE", "title_template"),
    Column("BODY TEMPLATE", "body_template"),
    Column("TEMPLATE PROBLEM", "template_error"),
)
_ALERTS = (
    Column("ID", "id", "id"),
    Column("STATUS", "status", "state"),
    Column("KIND", "kind"),
    Column("SEVERITY", "severity"),
    Column("TITLE", "title"),
    Column("TIMES", "count"),
    Column("TAKEN BY", "acknowledged_by"),
    Column("RUN", "run_id", "id"),
    Column("RAISED", "created_at", "time"),
    Column("LAST", "last_at", "time"),
)
_DELIVERIES = (
    Column("ID", "id", "id"),
    Column("CHANNEL", "channel"),
    Column("WHY", "reason"),
    Column("ATTEMPT", "attempt"),
    Column("STATUS", "status", "state"),
    Column("DUE", "due_at", "time"),
    Column("ENDED", "ended_at", "time"),
    Column("ERROR", "error"),
    Column("ALERT", "alert_id", "id"),
)


@channels.command(name="add")
def add_channel(
    name: Name,
    address: str = "",
    *,
    scheme: str = "",
    field: tuple[str, ...] = (),
    tag: Tags = (),
    rate: Rate = 30,
    burst: Burst = 10,
    title_template: TemplateText = None,
    body_template: TemplateText = None,
    as_json: AsJson = False,
) -> None:
    """Add a channel.

    Parameters
    ----------
    address
        An Apprise URL such as mailtos://user:password@example.com, or slack+https://host/path for a
        Slack-compatible webhook. Left out, it is asked for, so that it stays out of your shell's history.
    scheme
        Make the address of fields instead; `hub channels schemes SCHEME` lists them.
    field
        NAME=VALUE, as often as there are fields. NAME=- asks for the value, or reads a line of standard input.
    """
    asked: dict[str, Any] = {"name": name}
    if scheme or field:
        asked |= {"scheme": scheme, "fields": dict(named_field(one) for one in field)}
        asked |= {"address": address} if address else {}
    else:
        asked |= {"address": address or ask_secret("Address")}
    with connect() as client:
        body = {**asked, "tags": list(tag), "rate": rate, "burst": burst}
        made = client.post("/channels", {**body, **_templates(title_template, body_template)})
    if as_json:
        output.print_json(made)
    else:
        output.say(f"Channel {name} is added. Try it: hub channels test {name}")


@channels.command(name="update")
def update_channel(
    name: Name,
    *,
    title_template: TemplateText = None,
    body_template: TemplateText = None,
    as_json: AsJson = False,
) -> None:
    """Give a channel texts of its own, or take them away with an empty one."""
    given = _templates(title_template, body_template)
    if not given:
        raise UsageError("nothing is to be changed", hint="Give --title-template or --body-template.")
    with connect() as client:
        made = client.patch(path("channels", name), given)
    if as_json:
        output.print_json(made)
    else:
        output.say(f"Channel {name} is changed. See what it gets: hub channels preview {name}")


@channels.command(name="show")
def show_channel(name: Name, *, as_json: AsJson = False) -> None:
    """Show a channel and its templates; never its address."""
    with connect() as client:
        found = client.get(path("channels", name))
    output.detail(found, (*_CHANNELS, *_TEMPLATES), as_json=as_json)


@channels.command(name="preview")
def preview_channel(
    name: Name,
    *,
    sample: Literal["firing", "more", "resolved", "digest", "test"] = "firing",
    alert: str = "",
    title_template: TemplateText = None,
    body_template: TemplateText = None,
    as_json: AsJson = False,
) -> None:
    """Show what a channel would get. Sends nothing, saves nothing.

    Parameters
    ----------
    sample
        A made-up message.
    alert
        A recorded alert instead.
    """
    asked = {"alert_id": alert} if alert else {"sample": sample}
    with connect() as client:
        made = client.post(f"{path('channels', name)}/preview", {**asked, **_templates(title_template, body_template)})
    if as_json:
        output.print_json(made)
        return
    output.show(Text(made["title"], style="bold"))
    output.show(Text(made["text"]))
    length = f"{made['format']}, {made['length']:,} of {made['limit']:,} {made['unit']}"
    problem = f"Its template was not used: {made['problem']}"
    output.show(Text(problem, style="yellow") if made["problem"] else Text(length, style="dim"))


@channels.command(name="ls")
def list_channels(*, limit: Limit = 200, as_json: AsJson = False) -> None:
    """List channels; never their addresses."""
    with connect() as client:
        found = list(client.items("/channels", limit=limit))
    output.table(found, _CHANNELS, as_json=as_json, empty="No channels yet. Add one: hub channels add NAME ADDRESS")


@channels.command(name="test")
def try_channel(name: Name, *, wait: float = 30.0, as_json: AsJson = False) -> None:
    """Send a test alert and show how it went. Needs a running hub (`hub up`).

    Parameters
    ----------
    wait
        Seconds to wait for the first attempt.
    """
    with connect() as client:
        sent = client.post(f"{path('channels', name)}/test", {})
        attempt = _first_attempt(client, sent["id"], wait)
    if as_json:
        output.print_json(attempt)
    if attempt["status"] != "sent":
        raise UnavailableError(
            f"The test did not arrive: {attempt['error'] or 'nothing has sent it yet; is `hub up` running?'}",
            hint=f"`hub alerts deliveries --alert {sent['id']}` shows each attempt.",
        )
    if not as_json:
        output.say(f"Channel {name} took the test alert.", style="green")


@channels.command(name="enable")
def enable_channel(name: Name) -> None:
    """Switch a channel on again."""
    _switch(name, True)


@channels.command(name="disable")
def disable_channel(name: Name) -> None:
    """Switch a channel off; it gets no alerts."""
    _switch(name, False)


@channels.command(name="rm")
def remove_channel(name: Name, *, yes: Yes = False) -> None:
    """Remove a channel."""
    output.confirm(f"Remove channel {name}?", yes=yes)
    with connect() as client:
        client.delete(path("channels", name))
    output.say(f"Channel {name} is removed.")


@channels.command(name="schemes")
def list_schemes(scheme: str = "", *, as_json: AsJson = False) -> None:
    """List the schemes that addresses may have, or show how an address of one is made.

    Parameters
    ----------
    scheme
        Show its forms and fields.
    """
    with connect() as client:
        found = client.get(path("channels", "schemes", scheme) if scheme else "/channels/schemes")
    if as_json:
        output.print_json(found if scheme else found["items"])
    elif not scheme:
        output.table(found["items"], SCHEMES, as_json=False, empty="No schemes.")
    else:
        output.say(f"{found['scheme']}://  {found['service']}  {found['more']}")
        for form in found["templates"]:
            output.say(f"  {form}")
        output.table(found["fields"], FIELDS, as_json=False, empty="It has no fields.")


@channels.command(name="secret")
def make_secret() -> None:
    """Make a secret for a hub+https:// address, to be given to its receiver as well."""
    from hub.webhooks.standard import new_secret  # noqa: PLC0415 - cryptography is slow to import

    output.say(new_secret())


@alerts.command(name="ls")
def list_alerts(*, firing: bool = False, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List alerts, newest first.

    Parameters
    ----------
    firing
        Only those that no later success has resolved.
    """
    with connect() as client:
        found = list(client.items("/alerts", {"status": "firing"} if firing else {}, limit=limit))
    output.table(found, _ALERTS, as_json=as_json, empty="No alerts. Nothing has failed.")


@alerts.command(name="show")
def show_alert(alert_id: str, *, as_json: AsJson = False) -> None:
    """Show an alert and every attempt to deliver it."""
    with connect() as client:
        alert = client.get(path("alerts", alert_id))
        attempts = list(client.items("/deliveries", {"alert_id": alert_id}, limit=200))
    if as_json:
        output.print_json({**alert, "deliveries": attempts})
        return
    output.detail(alert, (*_ALERTS, Column("TEXT", "body")), as_json=False)
    output.table(attempts, _DELIVERIES, as_json=False, empty="It was not sent: there was no channel.")


@alerts.command(name="deliveries")
def list_deliveries(*, alert: str = "", dead: bool = False, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List attempts to deliver alerts, newest first.

    Parameters
    ----------
    alert
        Only those of this alert.
    dead
        Only those that were given up; `hub alerts retry` sends them once more.
    """
    asked = {"alert_id": alert, "status": "dead" if dead else ""}
    with connect() as client:
        found = list(client.items("/deliveries", {name: said for name, said in asked.items() if said}, limit=limit))
    output.table(found, _DELIVERIES, as_json=as_json, empty="Nothing was sent yet.")


@alerts.command(name="ack")
def acknowledge(alert: AlertId, *, length: Length = "24h", by: By = "") -> None:
    """Say that somebody looks after an alert: it is neither repeated nor escalated."""
    with connect() as client:
        said = client.post(f"{path('alerts', alert)}/acknowledge", {"for_s": span(length), "by": by})
    output.say(f"{said['by']} looks after it for {length}.")


@alerts.command(name="unack")
def unacknowledge(alert: AlertId) -> None:
    """Take an acknowledgement back."""
    with connect() as client:
        client.delete(f"{path('alerts', alert)}/acknowledge")
    output.say("Nobody looks after it.")


@alerts.command(name="resolve")
def resolve_alert(alert: AlertId) -> None:
    """Say by hand that an alert is over."""
    with connect() as client:
        client.post(f"{path('alerts', alert)}/resolve", {})
    output.say("The alert is over.")


@alerts.command(name="retry")
def retry_delivery(delivery: Annotated[str, Parameter(help="The delivery's id.")]) -> None:
    """Send once more what was given up."""
    with connect() as client:
        made = client.post(f"{path('deliveries', delivery)}/retry", {})
    output.say(f"Attempt {made['attempt']} to channel {made['channel']} is planned.")


def _templates(title: str | None, body: str | None) -> dict[str, str]:
    """The templates that were given, read where a file was."""
    given = {"title_template": title, "body_template": body}
    return {name: _source(name, text) for name, text in given.items() if text is not None}


def _source(name: str, given: str) -> str:
    if given == "-":
        return sys.stdin.read()
    if not given or "{{" in given or "{%" in given:
        return given
    try:
        return Path(given).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--{name.replace('_', '-')}: cannot read the file {given!r}: {getattr(error, 'strerror', None) or error}",
            hint="A text that is no file holds {{ }} or {% %}.",
        ) from None


def _switch(name: str, enabled: bool) -> None:
    with connect() as client:
        client.patch(path("channels", name), {"enabled": enabled})
    output.say(f"Channel {name} is switched {'on' if enabled else 'off'}.")


def _first_attempt(client: Any, alert_id: str, wait: float) -> dict[str, Any]:
    began, progress = time.monotonic(), Progress()
    try:
        while True:
            attempts = list(client.items("/deliveries", {"alert_id": alert_id}, limit=10))
            ended = [attempt for attempt in attempts if attempt["ended_at"]]
            waited = time.monotonic() - began
            if ended or waited > wait:
                return dict((ended or attempts)[-1])
            if waited > QUIET:
                progress.tell(f"Nothing has sent it yet (the alerts loop of `hub up` does); waiting up to {wait:g} s.")
            time.sleep(0.2)
    finally:
        progress.clear()
