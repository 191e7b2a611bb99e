"""When an event matches, run a deployment: reads stamped events in order, fires each automation once an event.

Safe at any point of a crash and with any number of processes: the run is made by a command whose id comes from the
automation and the event, so doing it again answers with the first outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from hub.errors import HubError, UnavailableError
from hub.runtime.commands import Command, apply
from hub.runtime.expressions import apply_mapping, cel_input, compile_expression
from hub.runtime.payloads import event_payload
from hub.store import automations, events
from hub.store.base import Store
from hub.types import SECOND, Actor, Scope, derived_id, now_us, rfc3339

_BATCH = 200


def step(store: Store) -> bool:
    """Look at the next stamped events; True when there were any."""
    with store.read() as tx:
        start = automations.cursor(tx)
        batch = events.after(tx, seq=start, limit=_BATCH)
        rules = automations.enabled(tx) if batch else []
    for event in batch:
        for rule in rules:
            if rule["workspace_id"] == event["workspace_id"] and wants(rule, event):
                consider(store, rule, event)
    if batch:
        with store.write() as tx:
            automations.advance(tx, batch[-1]["seq"])
    return bool(batch)


def wants(rule: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether the rule listens to this type of event and did not cause it itself."""
    types = rule["trigger"].get("types") or ["*"]
    caused_by_itself = event["body"].get("origin_id") == rule["id"]
    return not caused_by_itself and any(fnmatchcase(event["type"], pattern) for pattern in types)


def consider(store: Store, rule: Mapping[str, Any], event: Mapping[str, Any]) -> None:
    """Evaluate one rule on one event and do what it says; an error is kept and becomes an event of its own."""
    scope = Scope(rule["workspace_id"], Actor("automation", rule["id"]))
    run_id, error = None, ""
    try:
        variables = variables_of(store, event)
        match = rule["trigger"].get("match") or "true"
        if not compile_expression(match).matches(variables):
            return
        for number, action in enumerate(rule["actions"]):
            run_id = act(store, scope, rule, event, action, number, variables)
    except UnavailableError:
        raise  # the loop comes again; nothing was decided
    except HubError as failure:
        error = failure.detail
    _note(store, scope, rule, event, run_id, error)


def act(
    store: Store,
    scope: Scope,
    rule: Mapping[str, Any],
    event: Mapping[str, Any],
    action: Mapping[str, Any],
    number: int,
    variables: Mapping[str, Any],
) -> str:
    """Carry out one action for one event, once. Returns the id of the run it made."""
    parameters = apply_mapping(action.get("parameters") or {}, variables)
    made_once = derived_id(rule["id"], event["id"], str(number))
    args = {"run_id": made_once, "parameters": parameters, "origin": "automation", "origin_id": rule["id"]}
    command = Command(
        "run.create", scope, action["run_deployment"], args, derived_id(made_once, "command"), "automation"
    )
    return str(apply(store, command).result["id"])


def variables_of(store: Store, event: Mapping[str, Any]) -> dict[str, Any]:
    """What expressions see of an event. For one that came by webhook, body and headers are the request's."""
    payload = event_payload(store, event)
    described = {
        "id": event["id"],
        "type": event["type"],
        "source": event["source"],
        "subject": event["subject"],
        "run_id": event["run_id"],
        "time": rfc3339(event["at"]),
        "at": event["at"] // SECOND,
        **{name: value for name, value in event["body"].items() if name not in {"id", "type", "source"}},
    }
    base = {"body": event["body"], "headers": {}, "query": {}, "method": "", "path": "", "now": now_us() // SECOND}
    known = {**base, **payload, "event": described, "source": event["source"].removeprefix("source:")}
    return {name: cel_input(value) for name, value in known.items()}


def _note(
    store: Store, scope: Scope, rule: Mapping[str, Any], event: Mapping[str, Any], run_id: str | None, error: str
) -> None:
    row = {
        "automation_id": rule["id"], "event_id": event["id"], "outcome": "error" if error else "fired",
        "run_id": run_id, "error": error or None,
    }  # fmt: skip
    with store.write() as tx:
        if automations.note(tx, scope.workspace_id, row) and error:
            events.append(
                tx, scope, "hub.automation.failed", subject=rule["id"], name=rule["name"], cause=event["id"],
                error=error,
            )  # fmt: skip
