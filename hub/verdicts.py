"""What plugins answer where the hub asks: about a run to be made, a request that has come, a message to be sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Patch:
    """A run is made with these parameters over its own, and with these tags besides (hook `hub_run_before`)."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    """JSON; checked against the flow's schema as what was asked for is."""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reject:
    """A run is not made (hook `hub_run_before`). Whoever asked for it reads the reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Skip:
    """An automation passes an event over (hook `hub_trigger_match`), as when its filter says no."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Parsed:
    """One event of a request to a source (hook `hub_webhook_parse`). Its data is the request's."""

    type: str
    """The provider's word for it: the event's type is `<preset>.<type>`."""
    id: str | None = None
    """The provider's, as `event.delivery_id` in expressions."""
    time: int | None = None
    """Microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sends a request to the API or the dashboard (hook `hub_auth_authenticate`)."""

    name: str
    """Stands in the audit trail as `plugin:<plugin>/<name>`."""
    role: str
    """viewer, operator, developer, admin or owner."""


@dataclass(frozen=True, slots=True)
class Message:
    """How an alert reads (hook `hub_alert_render`). `text` is in the format of the channel; it is cut to what fits."""

    title: str
    text: str
