"""Telling the hub that something happened: events of one's own, for automations and for flows that wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub.errors import UsageError
from hub.sdk import port

ID_LABELS = ("hub.resource.id", "prefect.resource.id")
"""The label of a resource that says which one it is; the second is what flows that come from Prefect write."""


@dataclass(frozen=True, slots=True)
class Emitted:
    """An event to write. `resource` and each of `related` are labels."""

    type: str
    subject: str
    resource: dict[str, str]
    related: tuple[dict[str, str], ...]
    payload: Any
    id: str | None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A webhook to send."""

    endpoint: str
    type: str
    data: Any
    id: str | None


def send_webhook(endpoint: str, type: str, data: Any = None, *, id: str | None = None) -> Any:
    """Send a webhook to an endpoint (`hub endpoints create`); gives its id, which the receiver gets as `webhook-id`.

        hub.send_webhook("partner", "order.paid", {"order": 17})
        await hub.send_webhook("partner", "order.paid", {"order": 17})    # in a coroutine

    It is signed, sent after this returns, and again until the receiver takes it: `hub endpoints deliveries`. `data` is
    any JSON up to 256 KiB. In a flow and in a task it is sent once, however many attempts come here; with `id` (a UUID)
    once for that id. Raises NotFoundError where there is no such endpoint, UsageError for what is none of this.
    """
    return port.runtime().emit(Outgoing(endpoint, type, data, id))


def emit_event(
    event: str,
    resource: str | Mapping[str, str] = "",
    payload: Any = None,
    *,
    related: Sequence[Mapping[str, str]] = (),
    id: str | None = None,
) -> Any:
    """Write an event of your own; gives its id. Automations and `wait_for_event` see it like any other.

        hub.emit_event("order.paid", resource="order-17", payload={"amount": 20})
        await hub.emit_event("order.paid", {"hub.resource.id": "order-17", "shop": "berlin"})    # in a coroutine

    `event` is its type, which does not begin with `hub.`. `resource` is what it is about: an id, or labels with
    `hub.resource.id` among them. `payload` is any JSON up to 64 KiB; expressions see it as `body`. With `id` (a UUID)
    an event that was written already is not written again. In a flow and in a task it is written once, however many
    attempts come here. Raises UsageError for what is none of this.
    """
    labels = {} if isinstance(resource, str) else _labels(resource, "resource")
    subject = (
        resource if isinstance(resource, str) else next((labels[name] for name in ID_LABELS if name in labels), "")
    )
    if isinstance(related, str | Mapping):
        raise UsageError("emit_event(related=...) is a list of labels")
    others = tuple(_labels(one, "related") for one in related)
    return port.runtime().emit(Emitted(event, subject, labels, others, payload, id))


def _labels(given: Any, name: str) -> dict[str, str]:
    if not isinstance(given, Mapping) or not all(isinstance(text, str) for pair in given.items() for text in pair):
        raise UsageError(f"emit_event({name}=...) is a text or labels: names and values that are texts")
    return dict(given)
