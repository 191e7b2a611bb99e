"""`hub limits`: how much of something may be used at once, and how often."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, Limit, Yes
from hub.errors import UsageError

app = App(name="limits", help="Named limits: slots and rates that flows and tasks share.")
Name = Annotated[str, Parameter(help="The limit's name; tag:NAME limits the tasks with that tag.")]
Slots = Annotated[int | None, Parameter(help="So many at once; 0 closes it.")]
Rate = Annotated[str | None, Parameter(help="So many in a time: 10/60s, 5/s, 100/min, 1000/h.")]

_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_RATE = re.compile(r"^(\d+)\s*/\s*(\d*\.?\d*)\s*(ms|s|min|m|h|d)?$")


def _used(item: Mapping[str, Any]) -> str | None:
    return None if item["slots"] is None else f"{item['held']} of {item['slots']}"


def _rate(item: Mapping[str, Any]) -> str | None:
    return None if item["rate"] is None else f"{item['spent']} of {item['rate']} in {item['period_s']:g} s"


COLUMNS = (
    Column("NAME", "name"),
    Column("SLOTS", _used),
    Column("RATE", _rate),
    Column("WAITING", "waiting"),
)
_SLOT = (
    Column("RUN", lambda item: item["run_name"] or item["run_id"]),
    Column("TASK", "task_name"),
    Column("SLOTS", "occupy"),
    Column("SINCE", "at", "time"),
)


@app.command
def ls(*, limit: Limit = 200, as_json: AsJson = False) -> None:
    """List limits."""
    with connect() as client:
        found = list(client.items("/limits", limit=limit))
    output.table(found, COLUMNS, as_json=as_json, empty="No limits yet. Make one: hub limits create NAME --slots 2")


@app.command
def show(name: Name, *, as_json: AsJson = False) -> None:
    """Show a limit, who holds it and who waits for it."""
    with connect() as client:
        found = client.get(path("limits", name))
    if as_json:
        output.print_json(found)
        return
    output.detail(found, (Column("Limit", "name"), Column("Slots", _used), Column("Rate", _rate)), as_json=False)
    if found["holders"]:
        output.say("\nHeld by")
        output.table(found["holders"], _SLOT, as_json=False, empty="")
    if found["waiters"]:
        output.say("\nWaiting")
        output.table(found["waiters"], (Column("PLACE", "position"), *_SLOT), as_json=False, empty="")


@app.command
def create(name: Name, *, slots: Slots = None, rate: Rate = None, as_json: AsJson = False) -> None:
    """Make a limit."""
    body = {"name": name, **_body(slots, rate)}
    with connect() as client:
        _say(client.post("/limits", body), as_json)


@app.command(name="set")
def set_(name: Name, *, slots: Slots = None, rate: Rate = None, as_json: AsJson = False) -> None:
    """Make a limit or change it; who holds it keeps it."""
    body = _body(slots, rate)
    with connect() as client:
        _say(client.put(path("limits", name), body), as_json)


@app.command
def rm(name: Name, *, yes: Yes = False) -> None:
    """Remove a limit."""
    output.confirm(f"Remove limit {name}?", yes=yes)
    with connect() as client:
        client.delete(path("limits", name))
    output.say(f"Limit {name} is removed.")


def _body(slots: int | None, rate: str | None) -> dict[str, Any]:
    if slots is None and rate is None:
        raise UsageError("a limit needs --slots, --rate, or both", hint="For example --slots 2, or --rate 10/60s.")
    return {"slots": slots, **(parse_rate(rate) if rate is not None else {})}


def parse_rate(text: str) -> dict[str, Any]:
    """`rate` and `period_s` of 10/60s, 5/s, 100/min. Raises UsageError."""
    found = _RATE.match(text.strip())
    if found is None:
        raise UsageError(f"--rate {text!r} is not a rate", hint="Write a number and a time: 10/60s, 5/s, 100/min.")
    return {"rate": int(found[1]), "period_s": float(found[2] or 1) * _UNITS[found[3] or "s"]}


def _say(made: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        output.print_json(made)
        return
    parts = [] if made["slots"] is None else [f"{made['slots']} at once"]
    parts += [] if made["rate"] is None else [f"{made['rate']} in {made['period_s']:g} s"]
    output.say(f"Limit {made['name']}: {', '.join(parts)}.")
