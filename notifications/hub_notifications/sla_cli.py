"""`hub slas`: what is expected of flows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import yaml
from cyclopts import App, Parameter
from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, Yes
from hub.errors import UsageError
from hub.moments import span

slas = App(name="slas", help="What is expected of flows: failures, durations, deadlines, that they run at all.")

Name = Annotated[str, Parameter(help="Its name.")]
_SLAS = (
    Column("NAME", "name"),
    Column("OF", lambda item: item["spec"]["deployment"] or item["spec"]["flow"]),
    Column("EXPECTS", lambda item: _expects(item["spec"])),
    Column("SEVERITY", lambda item: item["spec"]["severity"]),
    Column("TO", lambda item: ", ".join(item["spec"]["to"]) or "the routes"),
    Column("ENABLED", lambda item: item["spec"]["enabled"], "flag"),
)
_CHECKS = (Column("NAME", "name"), Column("KEPT", "kept", "flag"), Column("WHY", "text"))


def _expects(spec: Mapping[str, Any]) -> str:
    kind = next(name for name in ("failure_rate", "duration", "deadline", "not_run") if spec[name] is not None)
    said = ", ".join(f"{name} {value}" for name, value in spec[kind].items() if value not in (None, "", False, 0))
    return f"{kind}: {said}"


@slas.command(name="ls")
def list_slas(*, as_json: AsJson = False) -> None:
    """List SLAs."""
    with connect() as client:
        found = list(client.items("/slas"))
    empty = "Nothing is expected of any flow. hub slas add NAME --deployment nightly --every 25h"
    output.table(found, _SLAS, as_json=as_json, empty=empty)


@slas.command(name="show")
def show_sla(name: Name, *, as_json: AsJson = False) -> None:
    """Show an SLA as it stands in `hub.yaml`."""
    with connect() as client:
        found = client.get(path("slas", name))
    if as_json:
        output.print_json(found)
        return
    spec = {key: value for key, value in found["spec"].items() if value not in (None, "", [], True)}
    output.say(yaml.safe_dump({found["name"]: spec}, sort_keys=False, allow_unicode=True).rstrip())


@slas.command(name="add")
def add_sla(
    name: Name,
    *,
    flow: Annotated[str, Parameter(help="All runs of this flow.")] = "",
    deployment: Annotated[str, Parameter(help="The runs of this deployment.")] = "",
    max_failures: Annotated[str | None, Parameter(help="So many of a hundred may fail: 20%.")] = None,
    window: Annotated[str | None, Parameter(help="Of the runs that ended in that time (1h), not of the last.")] = None,
    max_duration: Annotated[str | None, Parameter(help="No run takes longer: 30m, average, or p95.")] = None,
    factor: Annotated[float, Parameter(help="So many times the average or percentile.")] = 1.0,
    last: Annotated[int, Parameter(help="Of how many runs.")] = 20,
    by: Annotated[str | None, Parameter(help="Done by these times: a cron expression, '0 8 * * *'.")] = None,
    timezone: Annotated[str, Parameter(help="Of --by.")] = "UTC",
    since: Annotated[str, Parameter(help="How long before a time of --by a run may have completed.")] = "1d",
    within: Annotated[str | None, Parameter(help="Each run is done so long after it was due: 2h.")] = None,
    from_start: Annotated[bool, Parameter(help="Count --within from the start of the run.")] = False,
    every: Annotated[str | None, Parameter(help="A run completes at least so often: 25h.")] = None,
    warn_before: Annotated[str | None, Parameter(help="Tell so long before: 10m.")] = None,
    severity: Annotated[str, Parameter(help="info, warning, error or critical.")] = "error",
    to: Annotated[tuple[str, ...], Parameter(help="Who is told: a channel or tag:NAME; repeatable.")] = (),
    as_json: AsJson = False,
) -> None:
    """Make or change an SLA. Say one of --max-failures, --max-duration, --by, --within, --every."""
    offset = -(span(warn_before) or 0)
    spec: dict[str, Any] = {"flow": flow, "deployment": deployment, "severity": severity, "to": list(to)}
    if max_failures is not None:
        spec["failure_rate"] = {"at_most": _part(max_failures), "last": last, "window_s": span(window)}
    if max_duration is not None:
        spec["duration"] = {**_measure(max_duration), "factor": factor, "last": last, "offset_s": offset}
    if by is not None:
        spec["deadline"] = {"cron": by, "timezone": timezone, "since_s": span(since), "offset_s": offset}
    elif within is not None:
        start = "start" if from_start else "plan"
        spec["deadline"] = {"within_s": span(within), "counted_from": start, "offset_s": offset}
    if every is not None:
        spec["not_run"] = {"for_s": span(every)}
    with connect() as client:
        made = client.put(path("slas", name), spec)
    if as_json:
        output.print_json(made)
    else:
        output.say(f"SLA {name} is set. Whether it is kept: hub slas check {name}")


def _part(text: str) -> float:
    try:
        return float(text.rstrip("%")) / 100
    except ValueError:
        raise UsageError(f"{text!r} is no percentage", hint="Write 20%.") from None


def _measure(text: str) -> dict[str, Any]:
    if text == "average":
        return {"average": True}
    if text[:1] == "p" and text[1:].replace(".", "", 1).isdigit():
        return {"percentile": float(text[1:])}
    return {"limit_s": span(text)}


@slas.command(name="check")
def check_slas(
    name: Annotated[str, Parameter(help="Its name; left out: all.")] = "", *, as_json: AsJson = False
) -> None:
    """Say whether SLAs are kept now, and by what one tells. Nothing is told to anybody."""
    with connect() as client:
        names = [name] if name else [str(item["name"]) for item in client.items("/slas")]
        found = [client.get(f"{path('slas', one)}/check") for one in names]
    output.table(found, _CHECKS, as_json=as_json, empty="Nothing is expected of any flow.")


@slas.command(name="rm")
def remove_sla(name: Name, *, yes: Yes = False) -> None:
    """Remove an SLA."""
    output.confirm(f"Remove SLA {name}?", yes=yes)
    with connect() as client:
        client.delete(path("slas", name))
    output.say(f"SLA {name} is removed.")
