"""What code tells itself (events, webhooks, alerts): once for each place in a run, however often it is tried."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.errors import UsageError
from hub.runtime import asked
from hub.runtime.commands import Command, apply
from hub.runtime.drawing import pen
from hub.runtime.executor.replayed import known, note, replays, step_of
from hub.runtime.executor.steps import Blocking, Life
from hub.runtime.executor.texts import NAME_CHARS, clean
from hub.runtime.executor.waiting import lived
from hub.sdk.alerting import MAX_KEY, Asked
from hub.sdk.context import RunContext, current
from hub.sdk.emitting import Emitted, Outgoing
from hub.store.base import Store
from hub.types import Id, Scope, derived_id, new_id

_log = logging.getLogger("hub.alerts")


@dataclass(frozen=True, slots=True)
class _Told:
    """A command, the name of its step, and what distinguishes it there."""

    op: str
    target: str
    args: Mapping[str, Any]
    step: str
    key: str | None


def emit(store: Store | None, scope: Scope, event: Emitted | Outgoing | Asked) -> object:
    """Do it here; in a coroutine, a coroutine that does. Gives its id."""
    if pen.drawing.get() is not None:
        return lived(_drawn())
    if isinstance(event, Asked):
        return lived(_dropped(event) if store is None else _tell(store, scope, _asked(event)))
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


def _asked(alert: Asked) -> _Told:
    context = current.get()
    about = f"alert:{alert.key or _own_key(alert, context)}"
    args: dict[str, Any] = {"about": about, "resolve": alert.resolve}
    if not alert.resolve:
        args |= {
            "title": clean(alert.title), "body": clean(alert.body, 100_000), "severity": alert.severity,
            "labels": {name: clean(text, 500) for name, text in alert.labels.items()}, "to": list(alert.to),
        }  # fmt: skip
    if context is not None:
        args |= {"run_id": context.run_id, "task": clean(context.task_name or "", NAME_CHARS)}
    # Without a key it is its place that counts: a title may say something else in the next attempt.
    return _Told("alert.ask", "", args, "alert_over" if alert.resolve else "alert", alert.key or None)


def _own_key(alert: Asked, context: RunContext | None) -> str:
    of = "" if context is None else f"{context.flow_name}/{context.deployment_name or ''}: "
    key = clean(of + alert.title, 100_000)
    return key if len(key) <= MAX_KEY else f"{key[: MAX_KEY - 33]}#{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def _dropped(alert: Asked) -> Life:
    yield from ()
    _log.warning("an alert is dropped, since this process keeps nothing (HUB_JOURNAL=off): %s", alert.title)
    return new_id()


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
    yield from note(context, step, told.step, written, told.key or told.args.get("title", told.step))
    return written


def _written(store: Store, scope: Scope, told: _Told, command_id: Id) -> Id:
    command = Command(told.op, scope, told.target, dict(told.args), id=command_id, via="system")
    return str(apply(store, command).result["id"])
