"""`hub automations`: when an event matches, do something."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from hub.cli import controls, output, placement
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, Limit, Yes
from hub.cli.schedules import timing
from hub.errors import UsageError
from hub.runtime.composing import in_words
from hub.runtime.labels import in_words as placed

app = App(name="automations", help="When an event matches, do something.")

COLUMNS = (
    Column("NAME", "name"),
    Column("ENABLED", "enabled", "flag"),
    Column("WHEN", lambda item: in_words(item.get("trigger") or {})),
    Column("MATCH", lambda item: (item.get("trigger") or {}).get("match") or "-"),
    Column("DOES", lambda item: [_does(action) for action in item.get("actions") or []], "list"),
    Column("NEXT", "next_at", "time"),
    Column("UPDATED", "updated_at", "time"),
)
EVALUATIONS = (
    Column("AT", "at", "time"),
    Column("EVENT", "event_id", "id"),
    Column("OUTCOME", "outcome", "state"),
    Column("FOR", lambda item: item.get("key") or "-"),
    Column("WHY", lambda item: item.get("error") or item.get("reason") or "-"),
    Column("ACTIONS", lambda item: [_went(action) for action in item.get("actions") or []], "list"),
)
TRIALS = (
    Column("AT", "at", "time"),
    Column("EVENT", lambda item: item.get("type") or "(none came)"),
    Column("OUTCOME", "outcome", "state"),
    Column("FOR", lambda item: item.get("key") or "-"),
    Column("WHY", lambda item: item.get("error") or item.get("reason") or "-"),
    Column("WOULD", lambda item: [_would(action) for action in item.get("actions") or []], "list"),
)
_DETAILS = (
    "retry", "parameters", "body", "severity", "flow_control", "place", "type", "data", "state", "message", "by",
)  # fmt: skip
Outcome = Literal["fired", "error", "counted", "filtered", "cooled_down", "loop_stopped"]
Name = Annotated[str, Parameter(help="The automation's name or id.")]


@app.command
def ls(*, limit: Limit = 200, as_json: AsJson = False) -> None:
    """List automations."""
    with connect() as client:
        found = list(client.items("/automations", limit=limit))
    empty = "No automations yet. Make one: hub automations create NAME --on github.push --run DEPLOYMENT"
    output.table(found, COLUMNS, as_json=as_json, empty=empty)


@app.command
def show(name: Name, *, as_json: AsJson = False) -> None:
    """Show one automation."""
    with connect() as client:
        found = client.get(path("automations", name))
    columns = (
        Column("Automation", "name"),
        Column("Enabled", "enabled", "flag"),
        Column("Trigger", "trigger"),
        Column("Actions", lambda item: json.dumps(item.get("actions"))),
    )
    output.detail(found, columns, as_json=as_json)


@app.command
def create(
    name: Annotated[str, Parameter(help="Name of the automation.")],
    *,
    on: Annotated[tuple[str, ...], Parameter(help="Event type, for example github.push; repeatable.")] = (),
    match: Annotated[str, Parameter(help="CEL expression over `event`; empty: every event of the types.")] = "",
    run: Annotated[str | None, Parameter(help="The deployment to start.")] = None,
    param: Annotated[
        tuple[str, ...],
        Parameter(name=("--param", "-p"), help="name=value; =... is CEL over `body`, `headers`, `event`, `events`."),
    ] = (),
    do: Annotated[
        tuple[str, ...],
        Parameter(help="Something else to do: cancel_run=ID, alert=TEXT, ...; a whole action as JSON; repeatable."),
    ] = (),
    threshold: Annotated[int, Parameter(help="Fire when so many came.")] = 1,
    within: Annotated[float, Parameter(help="In so many seconds.")] = 0,
    absent: Annotated[bool, Parameter(negative=(), help="Fire when they did not come, instead.")] = False,
    after: Annotated[tuple[str, ...], Parameter(help="Count only after an event of this type; repeatable.")] = (),
    for_each: Annotated[tuple[str, ...], Parameter(help="Count each value of this field or CEL apart.")] = (),
    cool_down: Annotated[float, Parameter(help="Rest for so many seconds after it fired.")] = 0,
    cron: Annotated[str | None, Parameter(help="Fire at these times, instead: minute hour day month weekday.")] = None,
    interval: Annotated[float | None, Parameter(help="Fire every so many seconds, instead.")] = None,
    rrule: Annotated[str | None, Parameter(help="Fire as this recurrence rule says, instead.")] = None,
    timezone: Annotated[str, Parameter(help="Time zone of the cron expression or the rule.")] = "UTC",
    flow_control: controls.FlowControl = None,
    label: placement.Labels = (),
    site: placement.Site = "",
    retry: Annotated[int, Parameter(help="Try a failed action again so many times.")] = 0,
    as_json: AsJson = False,
) -> None:
    """When an event comes that matches, start a deployment or do something else."""
    started = {"flow_control": controls.read(flow_control)} if flow_control is not None else {}
    if (place := placement.read(label, site)) is not None:
        started["place"] = place
    actions = _starts(run, param, started) + [_action(text) for text in do]
    if not actions:
        raise UsageError("nothing to do is given.", hint="Say --run DEPLOYMENT, or --do alert='Orders are late'.")
    again = {"retry": {"times": retry}} if retry else {}
    trigger = {
        "kind": "event", "types": list(on), "match": match, "after": list(after), "for_each": list(for_each),
        "threshold": threshold, "within": within, "cool_down": cool_down,
        "posture": "proactive" if absent else "reactive",
    }  # fmt: skip
    if (cron, interval, rrule) != (None, None, None):
        trigger = _times(trigger, timing(cron, interval, rrule), timezone)
    with connect() as client:
        body = {"trigger": trigger, "actions": [{**action, **again} for action in actions]}
        made = client.put(path("automations", name), body)
    if as_json:
        output.print_json(made)
    else:
        does = ", ".join(_does(action) for action in actions)
        when = "when these do not come:" if absent else "on"
        said = in_words(trigger) if trigger["kind"] == "schedule" else f"{when} {', '.join(on) or 'every event'}"
        output.say(f"Automation {name} {does} {said}.")


@app.command
def evaluations(
    name: Name,
    *,
    outcome: Annotated[Outcome | None, Parameter(help="Only these.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List the events that an automation matched or erred on, and what came of each and why."""
    query = {"outcome": outcome} if outcome else {}
    with connect() as client:
        found = list(client.items(path("automations", name, "evaluations"), query, limit=limit))
    output.table(found, EVALUATIONS, as_json=as_json, empty=f"No event has matched {name} yet.")


@app.command(name="test")
def simulate(
    name: Name,
    *,
    last: Annotated[int, Parameter(help="Feed it with the last so many events of its types, at most 1,000.")] = 100,
    event: Annotated[str, Parameter(help="Feed it with this event alone (its id).")] = "",
    as_json: AsJson = False,
) -> None:
    """Feed an automation with stored events and say what it would have done; changes nothing."""
    with connect() as client:
        found = client.get(path("automations", name, "test"), {"event": event} if event else {"last": last})
    output.table(found, TRIALS, as_json=as_json, empty="No event of the types that it listens to is stored.")
    if not as_json and found:
        fired = sum(trial["outcome"] == "fired" for trial in found)
        output.say(f"It would have fired {fired} times on {len(found)} events. Nothing was changed.")


@app.command
def pause(name: Name) -> None:
    """Let an automation rest."""
    with connect() as client:
        client.post(path("automations", name, "pause"), {})
    output.say(f"Automation {name} rests.")


@app.command
def resume(name: Name) -> None:
    """Let an automation go on; events that passed meanwhile start nothing."""
    with connect() as client:
        client.post(path("automations", name, "resume"), {})
    output.say(f"Automation {name} goes on.")


@app.command
def rm(name: Name, *, yes: Yes = False) -> None:
    """Remove an automation."""
    output.confirm(f"Remove automation {name}?", yes=yes)
    with connect() as client:
        client.delete(path("automations", name))
    output.say(f"Automation {name} is removed.")


def _starts(run: str | None, param: tuple[str, ...], more: dict[str, Any]) -> list[dict[str, Any]]:
    """The action that starts a deployment, if one is given. Raises UsageError."""
    if run:
        return [{"run_deployment": run, "parameters": mapping(param), **more}]
    if more:
        option = "--flow-control holds" if "flow_control" in more else "--label and --site hold"
        raise UsageError(f"{option} for the runs that are started", hint="Say --run DEPLOYMENT.")
    return []


def _times(events: Mapping[str, Any], times: Mapping[str, Any], timezone: str) -> dict[str, Any]:
    """A trigger of set times. Raises UsageError when anything is said of events, too."""
    blank = {"kind": "event", "posture": "reactive", "threshold": 1}
    said = [name for name, value in events.items() if value and value != blank.get(name)]
    if said:
        raise UsageError(f"It fires at set times, but {', '.join(said)} is about events.", hint="Make two automations.")
    spec = float(times["spec"]) if times["kind"] == "interval" else times["spec"]
    return {"kind": "schedule", times["kind"]: spec, "timezone": timezone}


def _action(text: str) -> dict[str, Any]:
    if text.startswith("{"):
        return _whole_action(text)
    kind, equals, value = text.partition("=")
    if not equals or not kind or not value:
        raise UsageError(f"--do {text!r} is not kind=value.", hint="For example --do cancel_run==event.run_id.")
    return {kind: value}


def _whole_action(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        example = """--do '{"set_state": "=event.run_id", "state": "FAILED"}'"""
        raise UsageError(f"--do {text[:200]!r} is no JSON: {error}", hint=f"For example {example}.") from None
    assert isinstance(found, dict)
    return found


def _does(action: Mapping[str, Any]) -> str:
    """An action in a few words."""
    kind = next((name for name in action if name not in _DETAILS), "?")
    verb = "calls" if kind == "run_action" else "starts" if kind == "run_deployment" else kind.replace("_", " ")
    state = f" to {action['state']}" if kind == "set_state" else ""
    where = f" {placed(action['place'])}" if action.get("place") else ""
    return f"{verb}{' of' if state else ''} {action.get(kind)}{state}{where}"


def _would(action: Mapping[str, Any]) -> str:
    if "op" not in action:
        return str(action["error"]) if "error" in action else _does(action)
    args = f" {json.dumps(action['args'])}" if action["args"] else ""
    return f"{action['op']} {action['target']}{args}"


def _went(action: Mapping[str, Any]) -> str:
    tries = f" after {action['tries']} tries" if action["tries"] > 1 else ""
    return f"{_does(action['action'])}: {action['status']}{tries}"


def mapping(pairs: tuple[str, ...]) -> dict[str, Any]:
    """A parameter mapping from name=value pairs; `name==expression` is CEL, all else JSON or text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"-p {pair!r} is not name=value.", hint="Write CEL as -p 'repo==body.repository'.")
        try:
            found[name] = text if text.startswith("=") else json.loads(text)
        except ValueError:
            found[name] = text
    return found
