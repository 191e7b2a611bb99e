"""Events that code writes itself and webhooks that it sends: once for each place in a run, however often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.errors import UsageError
from hub.runtime import asked
from hub.runtime.commands import Command, apply
from hub.runtime.drawing import pen
from hub.runtime.executor.replayed import known, note, replays, step_of
from hub.runtime.executor.steps import Blocking, Life
from hub.runtime.executor.waiting import lived
from hub.sdk.context import current
from hub.sdk.emitting import Emitted, Outgoing
from hub.store.base import Store
from hub.types import Id, Scope, derived_id, new_id


@dataclass(frozen=True, slots=True)
class _Told:
    """A command, the name of its step, and what distinguishes it there."""

    op: str
    target: str
    args: Mapping[str, Any]
    step: str
    key: str


def emit(store: Store | None, scope: Scope, event: Emitted | Outgoing) -> object:
    """Do it here; in a coroutine, a coroutine that does. Gives its id."""
    if pen.drawing.get() is not None:
        return lived(_drawn())
    if store is None:
        name = "send_webhook" if isinstance(event, Outgoing) else "emit_event"
        raise UsageError(f"hub.{name}() needs the hub's store", hint="Unset HUB_JOURNAL.")
    return lived(_tell(store, scope, _sent(event) if isinstance(event, Outgoing) else _emitted(event)))


def _emitted(event: Emitted) -> _Told:
    context = current.get()
    args = {
        "type": event.type, "subject": event.subject, "resource": event.resource, "related": list(event.related),
        "payload": asked.jsonable(event.payload, "the payload"), "id": event.id,
        "run_id": None if context is None else context.run_id,
    }  # fmt: skip
    return _Told("event.emit", "", args, "emit", event.type)


def _sent(webhook: Outgoing) -> _Told:
    context = current.get()
    data = asked.jsonable(webhook.data, "the data")
    origin = "" if context is None else f"run:{context.run_id}"
    args = {"type": webhook.type, "data": data, "id": webhook.id, "origin": origin}
    return _Told("endpoint.send", webhook.endpoint, args, "webhook", f"{webhook.endpoint} {webhook.type}")


def _drawn() -> Life:
    yield from ()
    return new_id()


def _tell(store: Store, scope: Scope, told: _Told) -> Life:
    context = current.get()
    if context is None or not replays(context):
        written = yield Blocking(lambda: _written(store, scope, told, new_id()))
        return written
    step = step_of(context, told.step, told.key)
    before = yield from known(context, step, told.step)
    if before:
        return before[0]
    # The same command in every attempt, and in every try of a task: what was killed between the two has written once.
    command_id = derived_id(context.run_id, told.step, step)
    written = yield Blocking(lambda: _written(store, scope, told, command_id))
    yield from note(context, step, told.step, written, told.key)
    return written


def _written(store: Store, scope: Scope, told: _Told, command_id: Id) -> Id:
    command = Command(told.op, scope, told.target, dict(told.args), id=command_id, via="system")
    return str(apply(store, command).result["id"])
