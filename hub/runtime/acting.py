"""Actions of automations: planned with the firing, carried out as commands, tried again, ended with their outcome."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any, TypeAlias

from hub.errors import ContentionError, ExpressionError, HubError, UnavailableError, UsageError
from hub.runtime.commands import Command, Outcome, apply, apply_all
from hub.runtime.commands.controls import keys_of
from hub.runtime.contexts import Contexts, Row, Variables
from hub.runtime.expressions import VARIABLES, apply_mapping
from hub.runtime.keys import joined
from hub.runtime.placement import OP, asked
from hub.runtime.triggers import Rule
from hub.store import automation_state as state
from hub.store import automations, events
from hub.store.base import Store, Tx
from hub.store.portions import in_portions
from hub.types import SECOND, Actor, Id, Json, JsonObject, Micros, Scope, dated_id, derived_id

log = logging.getLogger("hub.automations")
NAMES = (*VARIABLES, "events")
"""What expressions of actions see: `events` are all that made the automation fire, the last 100."""
CONTROL_NAMES = ("params", *NAMES)
"""What keys of their flow control see, `params` being what `parameters` gave."""
LONGEST_DELAY = 3600
_BATCH = 200
_TOGETHER = 50
"""Runs that are made one by one when one among them cannot be."""

Made: TypeAlias = tuple[str, str, JsonObject]
"""Operation, target, arguments."""


def planned(now: Micros, rule: Rule, event: Row, number: int, depth: int) -> dict[str, Any]:
    """The row of an action to carry out. Its id is that of the run, where the action starts one."""
    made_once = dated_id(event["at"], rule.id, event["id"], str(number))
    action = dict(rule.actions[number])
    return {
        "id": made_once, "workspace_id": rule.workspace_id, "automation_id": rule.id, "event_id": event["id"],
        "number": number, "seq": event.get("seq") or 0, "at": now, "action": action, "status": "pending",
        "tries": 0, "due_at": now, "depth": depth, "target": made_once if starts_run(action) else None,
        "lane": None, "place": 0,
    }  # fmt: skip


def starts_run(action: Mapping[str, Any]) -> bool:
    """Whether it makes a run, whose id is the action's."""
    return "run_deployment" in action or "run_action" in action


def _makes_run_here(action: Mapping[str, Any]) -> bool:
    """Those are made many in a transaction. One that is placed locks the row of its site, and is carried out alone."""
    return "run_deployment" in action and action.get("place") is None


def in_line(tx: Tx, row: dict[str, Any], event: Row) -> dict[str, Any]:
    """The row, behind what its source started before for the same key: such runs are made one after the other.

    The position in the stream must be locked, which gives events to us in their order.
    """
    key = lane_key(row, event)
    if key is None:
        return row
    lane = lane_of(event["body"]["source_id"], key)
    status = "pending" if state.is_free(tx, lane) else "waiting"
    return {**row, "lane": lane, "place": event["body"]["order_no"], "status": status}


def lane_key(row: Row, event: Row) -> str | None:
    """The key in whose order the runs of an event are made, one after the other; None where there is none."""
    key = ((event["private"] or {}).get("params") or {}).get("order_key")
    return key if key and starts_run(row["action"]) and event["source"].startswith("source:") else None


def lane_of(source_id: Id, key: str = "") -> str:
    """The lane of a key of a source; without one what all lanes of the source begin with."""
    return f"{source_id}/{key}"


def let_next_go(store: Store) -> bool:
    """Let what waits for runs that have ended be carried out; True when there was anything."""
    with store.write(durable=False) as tx:
        automations.lock(tx)
        gone = [state.go_on(tx, action_id, lane) for action_id, lane in state.over(tx, limit=_BATCH)]
    return any(gone)


@dataclass(frozen=True, slots=True)
class Planned:
    """Actions that were planned here a moment ago, with what they follow from: nothing of it need be read again."""

    rows: list[Row] = field(default_factory=list)
    firings: dict[tuple[Id, Id], Row] = field(default_factory=dict)
    """By automation and event, as they are kept."""
    events: dict[Id, Row] = field(default_factory=dict)

    def add(self, row: Row, firing: Row, event: Row) -> None:
        """An action, the firing and the event that it follows from."""
        self.rows.append(row)
        self.firings[row["automation_id"], row["event_id"]] = firing
        self.events[event["id"]] = event


def carry_out(store: Store, planned: Planned | None = None) -> bool:
    """Carry out the actions that are due, or those that were planned here; True when there may be more."""
    contexts = Contexts(store)
    if planned is not None and len(planned.rows) <= _BATCH:
        # In the order in which others read them: two that take the same ones do not wait for each other.
        due: list[Row] = sorted((row for row in planned.rows if row["status"] == "pending"), key=_in_order)
        for event in planned.events.values():
            contexts.know(event)
        for place, firing in planned.firings.items():
            contexts.know_firing(place, firing)
    else:
        with store.read() as tx:
            due = list(state.due_actions(tx, limit=_BATCH))
    tried: list[Tried] = []
    contexts.prepare(due)
    try:
        for starts, some in groupby(due, lambda row: _makes_run_here(row["action"])):
            if starts:
                _make_runs(store, list(some), contexts, tried)
                continue
            for row in some:
                tried.append(_try(row, partial(_carry_out, store, row, contexts)))
    finally:
        # Also when the store went away in between: what is not noted is done again, with the same outcome.
        in_portions(store, tried, _note_all)
    return len(due) == _BATCH


def _in_order(row: Row) -> tuple[Micros, int, Id, int]:
    """As `due_actions` has them."""
    return row["due_at"], row["seq"], row["automation_id"], row["number"]


@dataclass(frozen=True, slots=True)
class Tried:
    """How a try to carry out an action went."""

    row: Row
    target: Id | None = None
    control: str = ""
    """What flow control made of it, and why; or where a run was placed."""
    error: str = ""
    is_final: bool = False
    is_busy: bool = False


def _make_runs(store: Store, rows: list[Row], contexts: Contexts, tried: list[Tried]) -> None:
    """Make the runs of actions, many in one transaction: a commit costs more than all that is written for a run."""
    made: list[tuple[Row, Command]] = []

    def prepare(row: Row) -> None:
        made.append((row, _command(row, contexts.of(row))))

    for row in rows:
        unable = _try(row, partial(prepare, row))
        if unable.error:
            tried.append(unable)
    while made:
        some, made = made[:_TOGETHER], made[_TOGETHER:]
        try:
            outcomes = apply_all(store, [(command, partial(_note_made, row)) for row, command in some])
        except Exception as failure:
            if isinstance(failure, UnavailableError) and not isinstance(failure, ContentionError):
                raise
            # Whose it is shows when each is carried out by itself.
            log.debug("%d runs are made one by one: %s", len(some), failure)
            tried += [_try(row, partial(_applied, store, command)) for row, command in some]
        else:
            told = zip(some, outcomes, strict=True)
            tried += [Tried(row, *_told(outcome)) for (row, _), outcome in told if outcome.repeated]


def _try(row: Row, do: Callable[[], tuple[Id | None, str] | None]) -> Tried:
    try:
        return Tried(row, *(do() or ()))
    except ContentionError as failure:
        return Tried(row, error=failure.detail, is_busy=True)
    except UnavailableError:
        raise  # the loop comes again; nothing was done
    except HubError as failure:
        return Tried(row, error=failure.detail, is_final=isinstance(failure, UsageError))
    except Exception as failure:
        # One that breaks the hub itself must not hold up all others.
        log.exception("action %s of automation %s", row["number"], row["automation_id"])
        return Tried(row, error=f"{type(failure).__name__}: {failure}")


def _carry_out(store: Store, row: Row, contexts: Contexts) -> tuple[Id | None, str]:
    command = _command(row, contexts.of(row))
    if command.op.startswith("run."):
        with store.write(durable=False) as tx:  # before its events are seen: they count how deep a chain is
            state.end_action(tx, row["id"], {"target": command.target})
    return _applied(store, command)


def _command(row: Row, variables: Variables) -> Command:
    """The command of an action, the same for every try."""
    op, target, args = command_of(row, variables)
    scope = Scope(row["workspace_id"], Actor("automation", row["automation_id"]))
    return Command(op, scope, target, args, derived_id(row["id"], "command"), "automation")


def _applied(store: Store, command: Command) -> tuple[Id | None, str]:
    return _told(apply(store, command))


def _told(outcome: Outcome) -> tuple[Id | None, str]:
    """The id of what a command made or changed, and what flow control said, or where a run was placed."""
    found, controlled = outcome.result.get("id"), outcome.result.get("flow_control") or {}
    said = str(controlled.get("reason", ""))
    if outcome.result.get("site"):
        said = f"placed at {outcome.result['name']}"
    return None if found is None else str(found), said


def command_of(row: Row, variables: Variables) -> Made:
    """The command that an action comes to. Raises ExpressionError."""
    kind = next(name for name in KINDS if name in row["action"])
    return KINDS[kind](row, variables)


def _run_deployment(row: Row, variables: Variables) -> Made:
    action = row["action"]
    parameters = apply_mapping(action.get("parameters") or {}, variables, names=NAMES)
    if action.get("place") is not None:
        return OP, action["run_deployment"], asked(action["run_deployment"], action["place"], row["id"], parameters)
    args = {
        "run_id": row["id"], "parameters": parameters, "origin": "automation", "origin_id": row["automation_id"],
        "caused_by": row["event_id"],
    }  # fmt: skip
    if action.get("flow_control"):
        args["flow_control"] = _controlled(row, action["flow_control"], {**variables, "params": parameters})
    return "run.create", action["run_deployment"], args


def _run_action(row: Row, variables: Variables) -> Made:
    action = row["action"]
    parameters = apply_mapping(action.get("parameters") or {}, variables, names=NAMES)
    made_by = {"origin": "automation", "origin_id": row["automation_id"]}
    return "action.run", action["run_action"], {"run_id": row["id"], "parameters": parameters, **made_by}


def owner_of(automation_id: Id, number: int) -> Id:
    """Whose the states of the flow control of an action are."""
    return derived_id(automation_id, "action", str(number))


def _controlled(row: Row, controls: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Flow control of an action, with what its expressions give for this event. Raises ExpressionError."""

    def value(name: str, text: str) -> Json:
        return apply_mapping(f"={text}", variables, where=f"flow_control.{name}", names=CONTROL_NAMES)

    keys = {name: joined([value(name, text)]) for name, text in keys_of(controls).items() if text}
    made: dict[str, Any] = {"owner": owner_of(row["automation_id"], row["number"]), "controls": controls, "keys": keys}
    condition = controls.get("batch", {}).get("if")
    if condition:
        made["batched"] = value("batch.if", condition)
        if not isinstance(made["batched"], bool):
            raise ExpressionError(f"flow_control.batch.if: {condition!r} must give true or false")
    return made


def _alert(row: Row, variables: Variables) -> Made:
    action = row["action"]
    texts = apply_mapping({"title": action["alert"], "body": action.get("body") or ""}, variables, names=NAMES)
    assert isinstance(texts, dict)
    args = {name: str(value) for name, value in texts.items()}
    args |= {"severity": action.get("severity") or "error", "about": f"automation/{row['automation_id']}"}
    return "alert.raise", "", {**args, "occurrence": row["id"], "run_id": variables["event"].get("run_id")}


def _send_webhook(row: Row, variables: Variables) -> Made:
    action = row["action"]
    data = action.get("data")
    asked = {"type": action.get("type") or "=event.type", "data": "=body" if data is None else data}
    made = apply_mapping(asked, variables, names=NAMES)
    assert isinstance(made, dict)
    if not isinstance(made["type"], str):
        raise ExpressionError(f"type gave {made['type']!r}, it must give a text")
    # Made once, as the action is: its own id is the webhook's.
    return (
        "endpoint.send",
        action["send_webhook"],
        {**made, "id": row["id"], "origin": f"automation:{row['automation_id']}"},
    )


def _set_state(row: Row, variables: Variables) -> Made:
    action = row["action"]
    op, target, _ = _on("run.set_state", "set_state")(row, variables)
    message = apply_mapping(action.get("message") or "", variables, where="message", names=NAMES)
    return op, target, {"state": action["state"], "message": str(message)[:500]}


def _acknowledge(row: Row, variables: Variables) -> Made:
    op, target, _ = _on("alert.acknowledge", "acknowledge_alert")(row, variables)
    by = apply_mapping(row["action"].get("by") or "", variables, where="by", names=NAMES)
    return op, target, {"by": str(by)[:200]}


def _on(op: str, kind: str) -> Callable[[Row, Variables], Made]:
    def make(row: Row, variables: Variables) -> Made:
        target = apply_mapping(row["action"][kind], variables, where=kind, names=NAMES)
        if not isinstance(target, str) or not target:
            raise ExpressionError(f"{kind} gave {target!r}, it must give an id or a name")
        return op, target, {}

    return make


TARGETED = {
    "cancel_run": "run.cancel",
    "pause_run": "run.pause",
    "resume_run": "run.resume",
    "pause_deployment": "deployment.pause",
    "resume_deployment": "deployment.resume",
    "pause_schedule": "schedule.pause",
    "resume_schedule": "schedule.resume",
}
"""Actions that only name what they are about, and their operations."""
KINDS: dict[str, Callable[[Row, Variables], Made]] = {
    "run_deployment": _run_deployment,
    "run_action": _run_action,
    "alert": _alert,
    "send_webhook": _send_webhook,
    "set_state": _set_state,
    "acknowledge_alert": _acknowledge,
    **{kind: _on(op, kind) for kind, op in TARGETED.items()},
}


def _note_all(tx: Tx, some: Iterable[Tried]) -> None:
    for tried in some:
        _note(tx, tried)


def _note_made(row: Row, tx: Tx, outcome: Outcome) -> None:
    """Note a run in the transaction that made it, which saves one."""
    tried = Tried(row, *_told(outcome))
    state.made_run(tx, row["id"], row["tries"] + 1, tried.target)
    _tell(tx, tried)


def _note(tx: Tx, tried: Tried) -> None:
    row = tried.row
    if not tried.error:
        values = {"status": "done", "tries": row["tries"] + 1, "target": tried.target, "error": None}
        if state.end_action(tx, row["id"], values) and starts_run(row["action"]):
            _tell(tx, tried)
        return
    if tried.is_busy:
        state.end_action(tx, row["id"], {"due_at": tx.now + SECOND})
        return
    retry = row["action"].get("retry") or {}
    tries = row["tries"] + 1
    if not tried.is_final and tries <= retry.get("times", 0):
        delay = min(retry.get("delay", 10) * 2 ** (tries - 1), LONGEST_DELAY)
        values = {"tries": tries, "error": tried.error, "due_at": tx.now + int(delay * SECOND)}
        state.end_action(tx, row["id"], values)
    elif state.end_action(tx, row["id"], {"status": "failed", "tries": tries, "error": tried.error}):
        _give_up(tx, row, tried.error)


def _tell(tx: Tx, tried: Tried) -> None:
    """Keep with the firing which run came of it, and what flow control said, or where it was placed."""
    place = (tried.row["automation_id"], tried.row["event_id"])
    known = automations.firing(tx, *place) if tried.control else None
    reason = {"reason": f"{known['reason'] or 'it fired'}; {tried.control}"} if known else {}
    automations.amend(tx, *place, {"run_id": tried.target, **reason})


def _give_up(tx: Tx, row: Row, error: str) -> None:
    scope = Scope(row["workspace_id"])
    automations.amend(tx, row["automation_id"], row["event_id"], {"outcome": "error", "error": error})
    rule = automations.find(tx, scope, row["automation_id"])
    event = {"id": row["event_id"], "workspace_id": row["workspace_id"]}
    failed(tx, row["automation_id"], rule["name"] if rule else "", event, error, row["depth"])


def failed(tx: Tx, automation_id: Id, name: str, event: Row, error: str, depth: int) -> None:
    """What could not be tried or carried out is an event of its own."""
    scope = Scope(event["workspace_id"], Actor("automation", automation_id))
    events.append(
        tx, scope, "hub.automation.failed", subject=automation_id, name=name, cause=event["id"], depth=depth,
        error=error,
    )  # fmt: skip
