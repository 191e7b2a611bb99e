"""Flow control when a run is asked for: the request becomes a run, part of one that waits, or is dropped.

All of it happens in the transaction that makes the run. Each control holds its state of the key from reading it to the
commit, in the order of `flowcontrol.ORDER`, so any number of processes decide as if one after the other. A run that
waits (debounce, batch) is an ordinary run that is due later: the dispatcher starts it, there are no other timers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from hub.engine import flowcontrol
from hub.engine.flowcontrol import EVENTS, Window
from hub.engine.run import Cancel
from hub.errors import ConflictError, ContentionError, UsageError
from hub.runtime import orchestrator, throttling
from hub.runtime.requests import Control, Request, controls_of, is_batched
from hub.runtime.schemas import check as check_against_schema
from hub.states import TERMINAL
from hub.store import events, flow_states, run_cancels, runs
from hub.types import SECOND, Id, Micros, rfc3339

_KEPT: Micros = 7 * flowcontrol.DAY


def submit(request: Request, *, again: bool = False) -> dict[str, Any]:
    """Make a run of a request, or what its controls make of it. The result of `run.create`.

    `again`: a run is done again as it was, so it is not a request to be counted, merged or dropped as a repetition.
    Raises ParameterError, ExpressionError, UsageError, ContentionError.
    """
    if again or not _gives_batch(request):
        check_against_schema(request.row["parameters"], request.deployment["parameter_schema"])
    controls = controls_of(request)
    if again:
        controls = {name: one for name, one in controls.items() if name in ("singleton", "throttle", "cancel_on")}
    known = _merged_before(request, controls)
    if known is not None:
        return known
    for name, decide in _STAGES.items():
        if name in controls:
            done = decide(request, controls)
            if done is not None:
                return done
    return _make(request, controls)


def _gives_batch(request: Request) -> bool:
    return "batch" in request.deployment["flow_control"] or "batch" in request.own.controls


def _merged_before(request: Request, controls: Mapping[str, Control]) -> dict[str, Any] | None:
    """What a request that is sent again with the same idempotency key has come to: it made no run that has the key."""
    if not request.row["idempotency_key"] or not {"batch", "debounce"} & controls.keys():
        return None
    state = request.hold(_sent(request))
    return _answer(request, state["run_id"], created=False) if state["run_id"] else None


def _sent(request: Request) -> Control:
    return Control("request", {}, request.deployment["id"], request.row["idempotency_key"])


def _idempotency(request: Request, controls: Mapping[str, Control]) -> dict[str, Any] | None:
    control = controls["idempotency"]
    state = request.hold(control)
    if state["run_id"] is None or request.tx.now >= state["opened_at"] + flowcontrol.IDEMPOTENCY_WINDOW:
        return None
    when = f"at {rfc3339(state['opened_at'])}, less than 24 hours before"
    reason = f"idempotency: its key has made run {state['run_id']} {when}"
    request.decide(control, "dropped", reason, state["run_id"])
    return _answer(request, state["run_id"], created=False)


def _rate_limit(request: Request, controls: Mapping[str, Control]) -> dict[str, Any] | None:
    control = controls["rate_limit"]
    state, period, limit = request.hold(control), control.micros("period"), control.settings["limit"]
    passes, window = flowcontrol.let_through(Window(state["opened_at"], state["count"]), limit, period, request.tx.now)
    until = (window.opened_at or 0) + period
    if passes:
        values = {"opened_at": window.opened_at, "count": window.count}
        flow_states.keep(request.tx, state["id"], values, until=until)
        return None
    seconds = control.settings["period"]
    return _drop(request, control, f"{limit} came within {seconds:g} s; the next one is taken at {rfc3339(until)}")


def _batch(request: Request, controls: Mapping[str, Control]) -> dict[str, Any] | None:
    control = controls["batch"]
    _refuse_later(request, "batched")
    item = dict(request.asked)
    size = len(json.dumps(item, separators=(",", ":")))
    if not is_batched(request, control):
        _fill(request, [item])
        return None
    state = request.hold(control)
    pending = _pending(request, state["run_id"])
    items = [*pending["parameters"].get(EVENTS, ()), item] if pending else [item]
    size += state["size"] if pending else 0
    _fill(request, items)
    opened_at = state["opened_at"] if pending else request.tx.now
    full = flowcontrol.is_full(len(items), size, control.settings["max_size"])
    due_at = request.tx.now if full else opened_at + control.micros("timeout")
    message = f"batch: {len(items)} of {control.settings['max_size']} requests"
    reason = f"{message}; {'it is full' if full else f'it starts at {rfc3339(due_at)}'}"
    # A full one takes no more, whatever the clock of who comes next says.
    run_id = None if full else pending["id"] if pending else request.id
    values = {"opened_at": opened_at, "count": len(items), "size": size, "run_id": run_id}
    flow_states.keep(request.tx, state["id"], values, until=due_at)
    return _wait(request, controls, control, pending, due_at, reason)


def _debounce(request: Request, controls: Mapping[str, Control]) -> dict[str, Any] | None:
    control = controls["debounce"]
    _refuse_later(request, "debounced")
    state = request.hold(control)
    pending = _pending(request, state["run_id"])
    now = request.tx.now
    opened_at, count = (state["opened_at"], state["count"] + 1) if pending else (now, 1)
    timeout = control.micros("timeout") if control.settings.get("timeout") else None
    due_at = flowcontrol.quiet_until(opened_at, control.micros("period"), timeout, now)
    due_at = max(due_at, pending["due_at"]) if pending else due_at  # who waited for the lock has an older clock
    reason = f"debounce: {count} requests, the last one counts; it starts at {rfc3339(due_at)} if no other comes"
    reason = reason.replace("1 requests, the last one counts", "the first request")
    run_id = pending["id"] if pending else request.id
    # A singleton lets only the first request of a run ask: the others are that run.
    if not pending and "singleton" in controls and (done := _singleton(request, controls)) is not None:
        return done
    flow_states.keep(request.tx, state["id"], {"opened_at": opened_at, "count": count, "run_id": run_id}, until=due_at)
    return _wait(request, controls, control, pending, due_at, reason)


def _singleton(request: Request, controls: Mapping[str, Control]) -> dict[str, Any] | None:
    control, tx, scope = controls["singleton"], request.tx, request.scope
    state = request.hold(control)
    active = runs.get(tx, scope, state["run_id"]) if state["run_id"] else None
    if active is None or active.state.type in TERMINAL:
        return None
    if control.settings.get("mode", "skip") == "skip":
        return _drop(request, control, f"run {active.id} is active")
    with suppress(ConflictError):  # it is being cancelled already
        message = "singleton: a newer run takes its place"
        if orchestrator.attempt(tx, scope, active.id, Cancel(message)) is None:
            raise ContentionError(f"run {active.id} was changed by somebody else at the same time")
        orchestrator.cancel_below(tx, scope, active.id, "the run that started it was cancelled")
        request.decide(control, "cancelled", message, active.id)
    return None


_STAGES = {
    "idempotency": _idempotency,
    "rate_limit": _rate_limit,
    "batch": _batch,
    "debounce": _debounce,
    "singleton": _singleton,
}
"""What is decided when a run is asked for, in the order of `flowcontrol.ORDER`. The rest is decided when it is due."""


def _fill(request: Request, items: list[dict[str, Any]]) -> None:
    """Give the run the requests of its batch; the last of them is the one that is new."""
    known = request.deployment["parameters"]
    check_against_schema({**known, EVENTS: items[-1:]}, request.deployment["parameter_schema"])
    request.row["parameters"] = {**known, EVENTS: items}


def _refuse_later(request: Request, how: str) -> None:
    if request.row["due_at"] > request.tx.now:
        raise UsageError(
            f"runs of deployment {request.deployment['name']} are {how}: when one starts follows from the requests",
            hint="Leave out the time.",
        )


def _pending(request: Request, run_id: Id | None) -> dict[str, Any] | None:
    """The run that waits for more, if it still does: not when it is due, was paused, or cancelled."""
    row = runs.row(request.tx, request.scope, run_id) if run_id else None
    waits = row is not None and (row["state_type"], row["attempt"]) == ("SCHEDULED", 0)
    return row if row is not None and waits and row["due_at"] > request.tx.now else None


def _wait(
    request: Request, controls: Mapping[str, Control], control: Control, pending: dict[str, Any] | None,
    due_at: Micros, reason: str,
) -> dict[str, Any]:  # fmt: skip
    """Let the request wait: as a run of its own, or as part of the one that waits."""
    request.row |= {"due_at": due_at, "state_message": reason}
    if pending is None:
        return _make(request, controls, (control, reason))
    _throttle(request, controls)
    names = ("parameters", "tags", "lane", "due_at", "state_message", "throttle")
    values = {name: request.row[name] for name in names}
    if not runs.revise(request.tx, request.scope, pending, values):
        raise ContentionError(f"run {pending['id']} was changed by somebody else at the same time", hint="Try again.")
    request.decide(control, "merged", reason, pending["id"])
    _remember(request, controls, pending["id"])
    if request.row["idempotency_key"]:
        state = request.hold(_sent(request))
        flow_states.keep(request.tx, state["id"], {"run_id": pending["id"]}, until=request.tx.now + _KEPT)
    return _answer(request, pending["id"], name=pending["name"], created=False)


def _drop(request: Request, control: Control, reason: str) -> dict[str, Any]:
    """Keep the request as a run that was cancelled before it began, so that it is seen where runs are."""
    message = f"{control.name}: {reason}"
    request.row |= {
        "state_type": "CANCELLED", "state_name": "Cancelled", "state_message": message, "ended_at": request.tx.now,
    }  # fmt: skip
    created = runs.create(request.tx, request.scope, request.row)
    request.decide(control, "dropped", message)
    return _answer(request, request.id, created=created)


def _make(
    request: Request, controls: Mapping[str, Control], delayed: tuple[Control, str] | None = None
) -> dict[str, Any]:
    """Make the run. `delayed`: the control for which it waits, and why."""
    turn = _throttle(request, controls)
    if delayed is None and turn:
        delayed, request.row["state_message"] = (controls["throttle"], turn), turn
    created = runs.create(request.tx, request.scope, request.row)
    if created:
        _remember(request, controls, request.id)
        _listen(request, controls)
        if delayed is not None:
            request.decide(delayed[0], "delayed", delayed[1])
    return _answer(request, request.id, created=created)


def _remember(request: Request, controls: Mapping[str, Control], run_id: Id) -> None:
    """What later requests must know of the run. (Nothing is forgotten whose run has not ended.)"""
    for name, lasts in (("idempotency", flowcontrol.IDEMPOTENCY_WINDOW), ("singleton", 0)):
        if name in controls:
            state = request.hold(controls[name])
            values = {"opened_at": request.tx.now, "run_id": run_id}
            flow_states.keep(request.tx, state["id"], values, until=request.tx.now + lasts)


def _listen(request: Request, controls: Mapping[str, Control]) -> None:
    """Note which events cancel the run: those after the one that led to it."""
    control, tx = controls.get("cancel_on"), request.tx
    if control is None:
        return
    from hub.runtime.commands.controls import condition_of  # noqa: PLC0415 - only where it is used

    cause = events.get(tx, request.scope, request.caused_by) if request.caused_by else None
    after = cause["seq"] if cause is not None and cause["seq"] is not None else events.last(tx)
    rows = [
        {
            "event": one["event"], "condition": condition_of(one), "after_seq": after,
            "expires_at": tx.now + int(one["timeout"] * SECOND) if one.get("timeout") else None,
        }
        for one in control.settings
    ]  # fmt: skip
    run_cancels.add(tx, request.scope, request.id, rows)
    tx.wake("events")


def _throttle(request: Request, controls: Mapping[str, Control]) -> str:
    """Let the run wait for its turn. Why it does not start at once, as far as that can be told."""
    request.row["throttle"] = None
    control = controls.get("throttle")
    if control is None:
        return ""
    state = request.hold(control)
    request.row["throttle"] = state["id"]
    turn, ahead = throttling.expect(request.tx, state, control.settings)
    if turn <= request.tx.now:
        return ""
    limit, period = control.settings["limit"], control.settings["period"]
    when = f"it comes after {ahead} others" if ahead == throttling.MOST_AHEAD else f"its turn is at {rfc3339(turn)}"
    return f"throttle: {limit} start in {period:g} s; {when}"


def _answer(request: Request, run_id: Id, *, name: str | None = None, created: bool) -> dict[str, Any]:
    if name is None:
        row = request.row if run_id == request.id else runs.row(request.tx, request.scope, run_id)
        name = row["name"] if row else ""
    told = request.decisions[-1].document() if request.decisions else None
    return {"id": run_id, "name": name, "created": created, "flow_control": told}
