"""Inputs, events and messages as the code of a flow waits for them. Each goes through `waiting.wait_for`."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from hub.errors import ParameterError, UsageError, WaitTimeout
from hub.runtime import asked, links
from hub.runtime.commands import Command, apply
from hub.runtime.drawing import pen
from hub.runtime.drawing.placeholders import Placeholder
from hub.runtime.executor.replayed import known, note, once, replays, step_of, step_to_come
from hub.runtime.executor.root import Root
from hub.runtime.executor.steps import Blocking, Life, drive
from hub.runtime.executor.waiting import Answered, Asked, body_of, lived, point_of, shown, wait_for
from hub.sdk.answers import Event, WantedEvent, WantedInput, WantedMessage
from hub.sdk.context import RunContext, current
from hub.sdk.waiting import MISSING
from hub.store.base import Store
from hub.types import SECOND, Id, Micros, Scope, derived_id, new_id, now_us

_INPUT = "wait_for_input"


# --- what the SDK's door offers -------------------------------------------------------------------------------------


def wait_for_input(wanted: WantedInput) -> Any:
    """Wait for an input here; in a coroutine, a coroutine that does."""
    return lived(_drawn(_INPUT) if _drawing() else _input(wanted))


def input_link(key: str, valid: float) -> str:
    """The address where the next input of that key can be given."""
    if _drawing():
        return f"{links.PATH}{key}"
    context = body_of("input_link")
    root = _root(context, "input_link")
    assert root.store is not None
    step = step_of(context, "input_link", key)
    until: Micros = drive(
        once(context, step, "input_link", lambda: now_us() + int(valid * SECOND), lambda at: f"until {shown(at)}")
    )
    point_id = point_of(context, step_to_come(context, _INPUT, key))
    return f"{root.web}{links.PATH}{links.sign(root.store.keyring, links.Link(point_id, until))}"


def wait_for_event(wanted: WantedEvent) -> Any:
    """Wait for an event here; in a coroutine, a coroutine that does."""
    return lived(_drawn("wait_for_event") if _drawing() else _event(wanted))


def receive(wanted: WantedMessage) -> Any:
    """Receive a message here; in a coroutine, a coroutine that does."""
    return lived(_drawn("receive") if _drawing() else _receive(wanted))


def _drawing() -> bool:
    return pen.drawing.get() is not None


def _drawn(name: str) -> Life:
    yield from ()
    return Placeholder(name, frozenset())


# --- lives ----------------------------------------------------------------------------------------------------------


def _input(wanted: WantedInput) -> Life:
    """Asked again, with what was wrong, as long as the type itself refuses what the schema let through."""
    context = body_of(_INPUT)
    root = _root(context, _INPUT)
    shape = asked.Shape(wanted.model, wanted.initial)
    asks: dict[str, Any] = {"schema": shape.schema, "description": wanted.description, "initial": shape.initial}
    while True:
        this = point_of(context, step_to_come(context, _INPUT, wanted.key))
        answered: Answered = yield from wait_for(context, Asked(
            "input", _INPUT, wanted.key, wanted.timeout, _leaves(root, wanted.timeout),
            f"input {wanted.key!r}", asks,
        ))  # fmt: skip
        if answered.state == "expired":
            return _late(wanted.default, f"nobody gave input {wanted.key!r} within {wanted.timeout:g} s", _INPUT)
        try:
            return shape.read(answered.value)
        except ParameterError as wrong:
            context.session.log(None, logging.WARNING, "hub", f"input {wanted.key!r} is asked again: {wrong.detail}")
            asks = {**asks, "problem": wrong.detail, "again_of": this}


def _event(wanted: WantedEvent) -> Life:
    from hub.runtime import awaited  # noqa: PLC0415 - CEL is loaded where events are waited for, in no other process

    context = body_of("wait_for_event")
    root = _root(context, "wait_for_event")
    asks = {"type": wanted.type, "match": awaited.filter_of(wanted.match)}
    waits_for = f"an event {wanted.type}"
    answered: Answered = yield from wait_for(context, Asked(
        "event", "wait_for_event", wanted.type, wanted.timeout, _leaves(root, wanted.timeout), waits_for, asks,
        awaited.Look,
    ))  # fmt: skip
    if answered.state == "expired":
        return _late(wanted.default, f"no event {wanted.type} came within {wanted.timeout:g} s", "wait_for_event")
    found = dict(answered.value)
    return Event(**{**found, "at": datetime.fromtimestamp(found["at"] / SECOND, UTC)})


def _receive(wanted: WantedMessage) -> Life:
    context = body_of("receive")
    root = _root(context, "receive")
    answered: Answered = yield from wait_for(context, Asked(
        "message", "receive", wanted.name, wanted.timeout, _leaves(root, wanted.timeout), f"message {wanted.name!r}",
    ))  # fmt: skip
    if answered.state == "expired":
        return _late(wanted.default, f"no message {wanted.name!r} came within {wanted.timeout:g} s", "receive")
    return answered.value


def _leaves(root: Root, timeout: float | None) -> bool:
    return timeout is None or timeout > root.wait_in_place


def _late(default: Any, detail: str, name: str) -> Any:
    if default is MISSING:
        raise WaitTimeout(detail, hint=f"Give {name}() a default= to go on all the same.")
    return default


def _root(context: RunContext, name: str) -> Root:
    root: Root = context.session.root
    if root.store is None:
        raise UsageError(f"hub.{name}() needs the hub's store", hint="Unset HUB_JOURNAL.")
    return root


# --- sending --------------------------------------------------------------------------------------------------------


def send(store: Store | None, scope: Scope, run_id: Id, value: Any, name: str) -> Any:
    """Send a message here; in a coroutine, a coroutine that does. In a run it is a step, done once."""
    if _drawing():
        return lived(_nothing())
    if store is None:
        raise UsageError("hub.send() needs the hub's store", hint="Unset HUB_JOURNAL.")
    given = asked.jsonable(value, "the message")
    asked.bounded(given, "the message")
    return lived(_send(store, scope, run_id, given, name))


def _nothing() -> Life:
    yield from ()


def _send(store: Store, scope: Scope, run_id: Id, value: Any, name: str) -> Life:
    context = current.get()
    if context is None or not replays(context):
        yield Blocking(lambda: _sent(store, scope, run_id, value, name, new_id()))
        return
    step = step_of(context, "send", name)
    if (yield from known(context, step, "send")):
        return
    # The same command in every attempt, and in every try of a task: what was killed between the two has sent once.
    command_id = derived_id(context.run_id, "send", step)
    yield Blocking(lambda: _sent(store, scope, run_id, value, name, command_id))
    yield from note(context, step, "send", None, f"{name} to {run_id}")


def _sent(store: Store, scope: Scope, run_id: Id, value: Any, name: str, command_id: Id) -> None:
    apply(store, Command("run.send", scope, run_id, {"name": name, "value": value}, id=command_id, via="system"))
