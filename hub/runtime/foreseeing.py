"""What a replay would start: the events that a kept request would become now, and what automations make of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.errors import HubError
from hub.runtime import relay, simulating
from hub.runtime.commands import Command
from hub.runtime.commands.receipts import read_again
from hub.runtime.presets import installed
from hub.runtime.rehearsing import rehearse
from hub.runtime.simulating import Trial
from hub.store import automations, sources
from hub.store.base import Store
from hub.types import Actor, Id, Micros, Scope, new_id
from hub.webhooks.body import BodyError
from hub.webhooks.events import ProviderEvent

MOST_EVENTS = 20
MOST_RUNS = 50
"""Runs that would be asked for, of which it is found out what flow control would make of them."""
_SILENT = ("no_match", "own")


@dataclass(frozen=True, slots=True)
class Foreseen:
    """`events` are the types of at most 20 events; `trials` the automations that mean one of them, each with what it
    would do. `problem`: why there would be none.

    An action that starts a run has with it what flow control would make of that now (`flow_control`: control,
    decision, reason), or the `error` for which there would be none.
    """

    events: list[str] = field(default_factory=list)
    more: int = 0
    trials: list[tuple[Id, str, Trial]] = field(default_factory=list)
    problem: str = ""


def foresee(store: Store, scope: Scope, receipt: Mapping[str, Any]) -> Foreseen:
    """Feed every automation that is switched on with what this receipt would become. Changes nothing.

    Automations that count begin at nothing here.
    """
    with store.read() as tx:
        source = sources.by_id(tx, scope, receipt["source_id"])
        rules = [row for row in automations.enabled(tx) if row["workspace_id"] == scope.workspace_id]
        now = tx.now
    preset = installed().find(source["preset"]) if source else None
    if source is None or preset is None:
        return Foreseen(problem="its source, or the preset of it, is not there any more")
    again = {**receipt, **read_again(source, receipt), "replay_of": receipt["id"]}
    try:
        found = relay.provider_events_of(preset, source, again)
    except BodyError as error:
        return Foreseen(problem=error.detail)
    batch = [_event(scope, now, source, again, event) for event in found[:MOST_EVENTS]]
    tried = [
        (row["id"], row["name"], trial)
        for row in rules
        for trial in simulating.simulate(store, row, batch, now)
        if trial.outcome not in _SILENT and trial.event_id is not None
    ]
    _rehearse(store, scope, tried)
    return Foreseen([event["type"] for event in batch], max(0, len(found) - MOST_EVENTS), tried)


def _rehearse(store: Store, scope: Scope, tried: list[tuple[Id, str, Trial]]) -> None:
    """Put to each run that would be asked for what flow control would make of it, one after the other."""
    asked = [(id_, action) for id_, _, trial in tried for action in trial.actions if action.get("op") == "run.create"]
    commands = [_command(scope, id_, action) for id_, action in asked[:MOST_RUNS]]
    for (_, action), made in zip(asked, rehearse(store, commands), strict=False):
        if isinstance(made, HubError):
            action["error"] = made.detail
        elif made.get("flow_control"):
            action["flow_control"] = made["flow_control"]


def _command(scope: Scope, automation_id: Id, action: Mapping[str, Any]) -> Command:
    args = {**action["args"], "origin": "automation", "origin_id": automation_id}
    by = Scope(scope.workspace_id, Actor("automation", automation_id))
    return Command("run.create", by, action["target"], args, new_id(), "automation")


def _event(
    scope: Scope, now: Micros, source: Mapping[str, Any], receipt: Mapping[str, Any], event: ProviderEvent
) -> dict[str, Any]:
    """The row that an event would have."""
    type_, subject, origin = relay.described(source, event)
    return {
        "id": new_id(), "workspace_id": scope.workspace_id, "type": type_, "subject": subject, "source": origin,
        "at": now, "run_id": None, "actor": str(scope.actor), "seq": None,
        "body": relay.fields_of(source, receipt, event), "private": None,
    }  # fmt: skip
