"""`hub schedules`: when deployments start by themselves."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import App, Parameter

from hub.cli import output, parameters, placement
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, Limit, Yes
from hub.errors import UsageError
from hub.runtime.labels import in_words

app = App(name="schedules", help="When deployments start by themselves.")

COLUMNS = (
    Column("ID", "id", "id"),
    Column("DEPLOYMENT", "deployment_name"),
    Column("KIND", "kind"),
    Column("SPEC", "spec"),
    Column("TIME ZONE", "timezone"),
    Column("WHERE", lambda item: in_words(item["place"]) if item.get("place") else "-"),
    Column("ACTIVE", "active", "flag"),
    Column("NEXT", "next_at", "time"),
)
Id = Annotated[str, Parameter(help="The schedule's id.")]


@app.command
def ls(*, limit: Limit = 200, as_json: AsJson = False) -> None:
    """List schedules."""
    with connect() as client:
        found = list(client.items("/schedules", limit=limit))
    empty = "No schedules yet. Make one: hub schedules create DEPLOYMENT --cron '0 8 * * *'"
    output.table(found, COLUMNS, as_json=as_json, empty=empty)


@app.command
def create(
    deployment: Annotated[str, Parameter(help="Name or id of the deployment.")],
    *,
    cron: Annotated[str | None, Parameter(help="A cron expression: minute hour day month weekday.")] = None,
    interval: Annotated[float | None, Parameter(help="Seconds between two starts.")] = None,
    rrule: Annotated[str | None, Parameter(help="A recurrence rule: FREQ=WEEKLY;BYDAY=MO;BYHOUR=9;BYMINUTE=0.")] = None,
    timezone: Annotated[str, Parameter(help="Time zone of the cron expression or the rule.")] = "UTC",
    param: parameters.Pairs = (),
    label: placement.Labels = (),
    site: placement.Site = "",
    as_json: AsJson = False,
) -> None:
    """Start a deployment at set times: here, or at a site of this plane."""
    body = {
        "deployment": deployment, "timezone": timezone, "parameters": parameters.parse(param),
        "place": placement.read(label, site), **timing(cron, interval, rrule),
    }  # fmt: skip
    with connect() as client:
        made = client.post("/schedules", body)
    if as_json:
        output.print_json(made)
    else:
        output.say(f"Schedule {made['id']} starts {deployment} next at {made.get('next_at')}.")


@app.command
def pause(schedule: Id) -> None:
    """Let a schedule rest."""
    _set(schedule, active=False)


@app.command
def resume(schedule: Id) -> None:
    """Let a schedule go on; times that passed meanwhile are not made up for."""
    _set(schedule, active=True)


@app.command
def rm(schedule: Id, *, yes: Yes = False) -> None:
    """Remove a schedule."""
    output.confirm(f"Remove schedule {schedule}?", yes=yes)
    with connect() as client:
        client.delete(path("schedules", schedule))
    output.say(f"Schedule {schedule} is removed.")


def timing(cron: str | None, interval: float | None, rrule: str | None) -> dict[str, Any]:
    """Kind and spec of a schedule. Raises UsageError unless exactly one is given."""
    given = {"cron": cron, "interval": None if interval is None else f"{interval:.15g}", "rrule": rrule}
    said = [{"kind": kind, "spec": spec} for kind, spec in given.items() if spec is not None]
    if len(said) != 1:
        hint = "For example --cron '*/5 * * * *'."
        raise UsageError("A schedule needs one of --cron, --interval and --rrule.", hint=hint)
    return said[0]


def _set(schedule: str, *, active: bool) -> None:
    with connect() as client:
        client.post(path("schedules", schedule, "resume" if active else "pause"), {})
    output.say(f"Schedule {schedule} {'goes on' if active else 'rests'}.")
