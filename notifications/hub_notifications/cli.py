"""`hub channels` and `hub alerts`."""

from __future__ import annotations

import getpass
import sys
import time
from typing import Annotated, Any

from cyclopts import App, Parameter
from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, Limit, Yes
from hub.errors import UnavailableError

channels = App(name="channels", help="Where alerts go: email, Slack and a hundred other services.")
alerts = App(name="alerts", help="What went wrong, and whether somebody was told.")

Name = Annotated[str, Parameter(help="The channel's name.")]
_CHANNELS = (
    Column("NAME", "name"),
    Column("ADDRESS", "label"),
    Column("ENABLED", "enabled", "flag"),
    Column("PROBLEM", "disabled_reason"),
    Column("CREATED", "created_at", "time"),
)
_ALERTS = (
    Column("ID", "id", "id"),
    Column("STATUS", "status", "state"),
    Column("KIND", "kind"),
    Column("TITLE", "title"),
    Column("RUN", "run_id", "id"),
    Column("RAISED", "created_at", "time"),
)
_DELIVERIES = (
    Column("CHANNEL", "channel"),
    Column("ATTEMPT", "attempt"),
    Column("STATUS", "status", "state"),
    Column("DUE", "due_at", "time"),
    Column("ENDED", "ended_at", "time"),
    Column("ERROR", "error"),
    Column("ALERT", "alert_id", "id"),
)


@channels.command(name="add")
def add_channel(name: Name, address: str = "", *, as_json: AsJson = False) -> None:
    """Add a channel.

    Parameters
    ----------
    address
        An Apprise URL such as mailtos://user:password@example.com, or slack+https://host/path for a
        Slack-compatible webhook. Left out, it is asked for, so that it stays out of your shell's history.
    """
    if not address:
        address = getpass.getpass("Address: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
    with connect() as client:
        made = client.post("/channels", {"name": name, "address": address})
    if as_json:
        output.print_json(made)
    else:
        output.say(f"Channel {name} is added. Try it: hub channels test {name}")


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
def list_deliveries(*, alert: str = "", limit: Limit = 50, as_json: AsJson = False) -> None:
    """List attempts to deliver alerts, newest first.

    Parameters
    ----------
    alert
        Only those of this alert.
    """
    with connect() as client:
        found = list(client.items("/deliveries", {"alert_id": alert} if alert else {}, limit=limit))
    output.table(found, _DELIVERIES, as_json=as_json, empty="Nothing was sent yet.")


def _switch(name: str, enabled: bool) -> None:
    with connect() as client:
        client.patch(path("channels", name), {"enabled": enabled})
    output.say(f"Channel {name} is switched {'on' if enabled else 'off'}.")


def _first_attempt(client: Any, alert_id: str, wait: float) -> dict[str, Any]:
    deadline = time.monotonic() + wait
    while True:
        attempts = list(client.items("/deliveries", {"alert_id": alert_id}, limit=10))
        ended = [attempt for attempt in attempts if attempt["ended_at"]]
        if ended or time.monotonic() > deadline:
            return dict((ended or attempts)[-1])
        time.sleep(0.2)
