"""Waiting in flows for what others give: an input of a person, an event, a message; and sending messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hub.errors import UsageError
from hub.sdk import port
from hub.sdk.waiting import MISSING, Seconds, key_of, patience

if TYPE_CHECKING:
    from datetime import datetime

WEEK = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class WantedInput:
    """What is asked of a person: a value of the type `model`. `timeout` in seconds."""

    model: Any
    key: str = "input"
    timeout: float | None = None
    default: Any = MISSING
    description: str = ""
    initial: Any = None


@dataclass(frozen=True, slots=True)
class WantedEvent:
    """Which event is waited for. `match` is a CEL filter, or what fields of the event are."""

    type: str
    match: str | Mapping[str, Any] = ""
    timeout: float | None = None
    default: Any = MISSING


@dataclass(frozen=True, slots=True)
class WantedMessage:
    """Which message is waited for."""

    name: str = "message"
    timeout: float | None = None
    default: Any = MISSING


@dataclass(frozen=True, slots=True)
class Event:
    """An event that a flow has waited for.

    `fields` are those of the event itself. `body` and `headers` are those of the request, when it came by a webhook;
    else `body` is `fields`.
    """

    id: str
    type: str
    source: str
    subject: str
    run_id: str | None
    at: datetime
    fields: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


def wait_for_input(
    model: Any,
    *,
    key: str = "input",
    timeout: Seconds | None = None,
    default: Any = MISSING,
    description: str = "",
    initial: Any = None,
) -> Any:
    """Wait until somebody gives a value of the type `model`: a pydantic model, or any type that pydantic knows.

        approval = hub.wait_for_input(Approval, key="approval", timeout=86_400)            # in plain code
        approval = await hub.wait_for_input(Approval, key="approval", timeout=86_400)      # in a coroutine

    It is answered by a form on the run's page or behind `hub.input_link(key)`, by `hub runs answer`, or over the API.
    Nothing is accepted that does not fit. On a worker the slot is given back meanwhile, unless `timeout` is short.

    `key`: its name for those who answer; `description`: what they are told; `initial`: values that the form begins
    with. After `timeout` seconds (or a timedelta) it raises WaitTimeout, or gives `default` when there is one.
    """
    if not isinstance(description, str) or len(description) > 10_000:
        raise UsageError("wait_for_input(description=...) is not a text of up to 10000 characters")
    seconds = patience("wait_for_input", timeout, default)
    return port.runtime().wait_for_input(
        WantedInput(model, key_of("wait_for_input", "key", key), seconds, default, description, initial)
    )


def input_link(key: str = "input", *, valid: Seconds = WEEK) -> str:
    """A web address where the next `wait_for_input(..., key=key)` of this run can be answered once, without a login.

    Give it to a task that sends it, before the flow waits. It holds for `valid` seconds (or a timedelta), and until it
    is answered. Whoever has it may answer. It is not awaited.
    """
    return port.runtime().input_link(key_of("input_link", "key", key), patience("input_link", valid, 0) or WEEK)


def wait_for_event(
    type: str,
    *,
    match: str | Mapping[str, Any] = "",
    timeout: Seconds | None = None,
    default: Any = MISSING,
) -> Any:
    """Wait until an event happens; gives it as an `Event`.

        push = hub.wait_for_event("github.push", match="body.ref == 'refs/heads/main'", timeout=3600)

    Events count that are stamped after the flow came here first, whether a process is there or not. `type` may
    have `*`; `match` is a CEL filter as in automations, or fields and what they are: `{"subject": "orders"}`.
    After `timeout` seconds it raises WaitTimeout, or gives `default` when there is one. Awaited in a coroutine.
    """
    if not isinstance(match, str | Mapping):
        raise UsageError("wait_for_event(match=...) is neither a CEL text nor a mapping of fields")
    seconds = patience("wait_for_event", timeout, default)
    wanted = WantedEvent(key_of("wait_for_event", "type", type), match, seconds, default)
    return port.runtime().wait_for_event(wanted)


def receive(name: str = "message", *, timeout: Seconds | None = None, default: Any = MISSING) -> Any:
    """The next message of that name that was sent to this run, waited for when there is none yet.

    Each is received once, in the order in which they were sent; a later attempt of the run gets the same again.
    After `timeout` seconds it raises WaitTimeout, or gives `default` when there is one. Awaited in a coroutine.
    """
    seconds = patience("receive", timeout, default)
    return port.runtime().receive(WantedMessage(key_of("receive", "name", name), seconds, default))


def send(run_id: str, value: Any = None, *, name: str = "message") -> Any:
    """Send a message (JSON, up to 64 KiB) to a run that has not ended; it gets it by `hub.receive(name)`.

    In a flow and in a task it is sent once, however many attempts come here. Awaited in a coroutine.
    """
    return port.runtime().send(str(run_id), value, key_of("send", "name", name))
