"""`hub routes`, `hub silences` and `hub inhibitions`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from cyclopts import App, Parameter
from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, Yes
from hub.errors import UsageError
from hub.moments import span, span_text
from hub.types import SECOND, from_rfc3339, now_us, rfc3339

routes = App(name="routes", help="Which alerts go where, how they are put together, and when.")
silences = App(name="silences", help="Alerts that nobody is told of for a while, and maintenance windows.")
inhibitions = App(name="inhibitions", help="Alerts that are not told while another one explains them.")

MAX_FILE = 100_000
Name = Annotated[str, Parameter(help="The route's name; default is the one that takes what no other takes.")]
Match = Annotated[str, Parameter(help="CEL over alert, labels and now, such as labels.flow == 'etl'.")]
Time = Annotated[str | None, Parameter(help="A time such as 2026-01-31T08:00:00Z, or so long from now: 30m, 2h, 7d.")]
File = Annotated[str | None, Parameter(name=("--file", "-f"), help="All of it as YAML or JSON; - is standard input.")]
GroupBy = Annotated[tuple[str, ...], Parameter(help="Labels that put alerts together; repeatable. '*': each alone.")]
Length = Annotated[str | None, Parameter(name="--for", help="How long: 30m, 2h, 7d; of each window with --cron.")]
Ended = Annotated[bool, Parameter(help="Those that are over too.")]
Kind = Annotated[str, Parameter(help="The kind of the alert: run-failed, source-silent, ...")]
Severity = Annotated[str, Parameter(help="info, warning, error or critical.")]
Labels = Annotated[tuple[str, ...], Parameter(name=("--label", "-l"), help="A label NAME=VALUE; repeatable.")]


def _waits(item: Mapping[str, Any]) -> str:
    spec = item["spec"]
    waits = (spec["group_wait_s"], spec["group_interval_s"], spec["repeat_interval_s"])
    return " / ".join(span_text(seconds) if seconds else "0s" for seconds in waits)


_ROUTES = (
    Column("NAME", "name"),
    Column("MATCH", lambda item: item["spec"]["match"] or "everything"),
    Column("CHANNELS", lambda item: ", ".join(item["spec"]["channels"]) or "all"),
    Column("GROUPED BY", lambda item: ", ".join(item["spec"]["group_by"]) or "nothing"),
    Column("WAIT / INTERVAL / REPEAT", _waits),
    Column("CONTINUE", lambda item: item["spec"]["continue"], "flag"),
    Column("ENABLED", "enabled", "flag"),
)
_SILENCES = (
    Column("ID", "id", "id"),
    Column("STATE", "state", "state"),
    Column("MATCH", "match"),
    Column("HIDES", "hides"),
    Column("COMMENT", "comment"),
    Column("AUTHOR", "author"),
    Column("STARTS", "starts_at", "time"),
    Column("ENDS", "ends_at", "time"),
    Column("WINDOW", lambda item: _window(item["schedule"])),
)
_INHIBITIONS = (
    Column("NAME", "name"),
    Column("WHILE", "source"),
    Column("NOT TOLD", "target"),
    Column("ALIKE IN", lambda item: ", ".join(item["equal"])),
)
_PATHS = (
    Column("ROUTE", "route"),
    Column("CHANNELS", lambda item: ", ".join(item["channels"]) or "none"),
    Column("GROUP", lambda item: ", ".join(f"{name}={value}" for name, value in item["group"].items())),
    Column("NOT TOLD NOW BECAUSE OF", "muted"),
    Column("ERROR", "error"),
)


def _window(schedule: Mapping[str, Any] | None) -> str:
    return f"{schedule['cron']} {schedule['timezone']}, {span_text(schedule['duration_s'])}" if schedule else ""


@routes.command(name="ls")
def list_routes(*, as_json: AsJson = False) -> None:
    """List routes in the order in which they are asked."""
    with connect() as client:
        found = list(client.items("/routes"))
    output.table(found, _ROUTES, as_json=as_json, empty="")


@routes.command(name="show")
def show_route(name: Name, *, as_json: AsJson = False) -> None:
    """Show a route as YAML that `hub routes set` takes."""
    with connect() as client:
        found = client.get(path("routes", name))
    if as_json:
        output.print_json(found)
    else:
        output.say(yaml.safe_dump(found["spec"], sort_keys=False, allow_unicode=True).rstrip())


@routes.command(name="set")
def set_route(
    name: Name,
    *,
    file: Annotated[
        str | None, Parameter(name=("--file", "-f"), help="All of it as YAML or JSON; - is standard input.")
    ] = None,
    match: Annotated[str | None, Parameter(help="Which alerts: CEL over alert, labels and now.")] = None,
    channel: Annotated[tuple[str, ...], Parameter(help="Where they go: a name, or tag:NAME; repeatable.")] = (),
    group_by: Annotated[
        tuple[str, ...], Parameter(help="Labels that put alerts together; repeatable. '*': each alone.")
    ] = (),
    group_wait: Annotated[str | None, Parameter(help="How long a first alert waits for others: 0s, 30s, 5m.")] = None,
    group_interval: Annotated[str | None, Parameter(help="How often there is news of a group: 5m.")] = None,
    repeat_interval: Annotated[str | None, Parameter(help="When what still fires is told again: 4h.")] = None,
    send_resolved: Annotated[bool | None, Parameter(help="Whether ends are told.")] = None,
    go_on: Annotated[bool | None, Parameter(name="--continue", help="Ask the routes after this one too.")] = None,
    position: Annotated[int | None, Parameter(help="Its place; 0 is asked first.")] = None,
    enabled: Annotated[bool, Parameter(help="Whether it is asked at all.")] = True,
    as_json: AsJson = False,
) -> None:
    """Make a route or change it. Options change what they name; `--file` replaces all of it."""
    asked = {
        "match": match, "channels": list(channel) or None, "group_by": list(group_by) or None,
        "group_wait_s": span(group_wait), "group_interval_s": span(group_interval),
        "repeat_interval_s": span(repeat_interval), "send_resolved": send_resolved, "continue": go_on,
    }  # fmt: skip
    changes = {key: value for key, value in asked.items() if value is not None}
    with connect() as client:
        known: dict[str, Any] = {str(item["name"]): item["spec"] for item in client.items("/routes")}
        spec = _read(file) if file else {**known.get(name, {}), **changes}
        made = client.put(path("routes", name), {"spec": spec, "position": position, "enabled": enabled})
    if as_json:
        output.print_json(made)
    else:
        output.say(f"Route {name} is {'changed' if name in known else 'made'}. Who would get what: hub routes test")


def _read(file: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read(MAX_FILE + 1) if file == "-" else Path(file).read_text(encoding="utf-8")
        found = yaml.safe_load(text) if len(text) <= MAX_FILE else None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise UsageError(f"{file} holds no route", hint="`hub routes show default` prints one.")
    return found


@routes.command(name="rm")
def remove_route(name: Name, *, yes: Yes = False) -> None:
    """Remove a route; what it took goes to those that are left."""
    output.confirm(f"Remove route {name}?", yes=yes)
    with connect() as client:
        client.delete(path("routes", name))
    output.say(f"Route {name} is removed.")


@routes.command(name="test")
def try_routes(
    alert: Annotated[str, Parameter(help="An alert there is; left out, one is made of the options.")] = "",
    *,
    kind: Kind = "run-failed",
    severity: Severity = "error",
    about: Annotated[str, Parameter(help="What it is about.")] = "",
    label: Labels = (),
    as_json: AsJson = False,
) -> None:
    """Show who would get an alert now. Nothing is sent."""
    wrong = [one for one in label if "=" not in one]
    if wrong:
        raise UsageError(f"--label {wrong[0]!r} is not NAME=VALUE", hint="For example --label flow=etl.")
    labels = dict(one.split("=", 1) for one in label)
    asked = {"alert_id": alert or None, "kind": kind, "severity": severity, "about": about, "labels": labels}
    with connect() as client:
        found = client.post("/routes/test", asked)["paths"]
    output.table(found, _PATHS, as_json=as_json, empty="No route takes it.")


@silences.command(name="ls")
def list_silences(*, ended: Ended = False, as_json: AsJson = False) -> None:
    """List silences, and how many alerts each hides now."""
    with connect() as client:
        found = list(client.items("/silences", {"ended": True} if ended else {}))
    empty = "Nothing is silenced. hub silences create \"labels.flow == 'etl'\" --for 2h --comment 'being mended'"
    output.table(found, _SILENCES, as_json=as_json, empty=empty)


@silences.command(name="create")
def create_silence(
    match: Match,
    *,
    comment: Annotated[str, Parameter(help="Why; whoever misses an alert reads it.")],
    starts: Time = None,
    ends: Time = None,
    length: Annotated[
        str | None, Parameter(name="--for", help="How long: 30m, 2h, 7d; of each window with --cron.")
    ] = None,
    cron: Annotated[str | None, Parameter(help="Again and again from these times, as long as --for says.")] = None,
    timezone: Annotated[str, Parameter(help="The time zone of --cron.")] = "UTC",
    author: Annotated[str, Parameter(help="Who; left out, whoever calls.")] = "",
    as_json: AsJson = False,
) -> None:
    """Hide alerts for a while."""
    begins = _time(starts)
    seconds = span(length)
    if seconds is None and (cron or not ends):
        raise UsageError("how long is not said", hint="Say --for 2h, or --ends 2026-01-31T08:00:00Z.")
    body: dict[str, Any] = {"match": match, "comment": comment, "author": author, "starts": begins, "ends": _time(ends)}
    if cron:
        body["schedule"] = {"cron": cron, "timezone": timezone, "duration_s": seconds}
    elif seconds is not None and not ends:
        body["ends"] = rfc3339((from_rfc3339(begins) if begins else now_us()) + seconds * SECOND)
    with connect() as client:
        made = client.post("/silences", {name: value for name, value in body.items() if value is not None})
    if as_json:
        output.print_json(made)
    else:
        output.say(f"Silence {made['id']} is made. End it: hub silences end {made['id']}")


def _time(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return rfc3339(from_rfc3339(text))
    except ValueError:
        seconds = span(text)
        return rfc3339(now_us() + (seconds or 0) * SECOND)


@silences.command(name="end")
def end_silence(silence: Annotated[str, Parameter(help="The silence's id.")]) -> None:
    """End a silence now; what it hid and still fires is told."""
    with connect() as client:
        client.delete(path("silences", silence))
    output.say("The silence is over.")


@inhibitions.command(name="ls")
def list_inhibitions(*, as_json: AsJson = False) -> None:
    """List inhibitions."""
    with connect() as client:
        found = list(client.items("/inhibitions"))
    output.table(found, _INHIBITIONS, as_json=as_json, empty="No inhibitions. Every alert that fires is told.")


@inhibitions.command(name="set")
def set_inhibition(
    name: Annotated[str, Parameter(help="The inhibition's name.")],
    *,
    source: Annotated[str, Parameter(name="--while", help="CEL: the alert that explains others.")],
    target: Annotated[str, Parameter(name="--hide", help="CEL: the alerts that are not told meanwhile.")],
    equal: Annotated[tuple[str, ...], Parameter(name="--alike", help="Labels that both have alike; repeatable.")] = (),
    as_json: AsJson = False,
) -> None:
    """Hide alerts while another one fires that explains them."""
    with connect() as client:
        made = client.put(path("inhibitions", name), {"source": source, "target": target, "equal": list(equal)})
    if as_json:
        output.print_json(made)
    else:
        output.say(f"Inhibition {name} is set.")


@inhibitions.command(name="rm")
def remove_inhibition(name: Annotated[str, Parameter(help="The inhibition's name.")], *, yes: Yes = False) -> None:
    """Remove an inhibition."""
    output.confirm(f"Remove inhibition {name}?", yes=yes)
    with connect() as client:
        client.delete(path("inhibitions", name))
    output.say(f"Inhibition {name} is removed.")
