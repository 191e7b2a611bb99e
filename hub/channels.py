"""What is sent to a channel, what comes back, and how a plugin brings a kind of channel of its own.

A channel is an address with a scheme. The hub's own schemes and Apprise's need no plugin; a plugin gives a
`ChannelKind` (hook `hub_channel_kinds`) for any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

SCHEME = re.compile(r"^[a-z][a-z0-9+.-]{1,30}$")
Format: TypeAlias = Literal["text", "markdown", "html", "slack"]
Status: TypeAlias = Literal["firing", "acknowledged", "resolved"]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a message: bytes of the hub's own, never an address or a path."""

    name: str
    content: bytes = field(repr=False)
    media_type: str = "text/plain"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message for one address, already cut to what its service takes."""

    address: str = field(repr=False)
    """Secret: it must not be in any text that leaves the sender."""
    title: str
    text: str
    format: Format = "text"
    """What `text` is written in; "slack" is Slack's mrkdwn."""
    status: Status = "firing"
    severity: str = "error"
    """info, warning, error or critical."""
    key: str = ""
    """What the alert is about: the same while it lasts, for services that keep one incident a key."""
    ident: str = ""
    """Of this message: the same in every attempt, for services that leave out what they have got already."""
    attempt: int = 1
    """How often it is tried by now: from the second on a service may have taken it already."""
    link: str = ""
    acknowledge: str = ""
    """What the operation `alert.acknowledge` takes for all that it tells; empty: there is nothing to acknowledge."""
    sender: str = "Hubspoke"
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Sent:
    """The service has taken the message."""

    message_id: str = ""
    """What the service calls it, where it says so."""
    status: int | None = None
    """Of HTTP or SMTP, where it is known."""
    elapsed: float = 0.0
    """Seconds."""


@dataclass(frozen=True, slots=True)
class ChannelKind:
    """A scheme that a plugin brings.

    `send(message)` returns when the service has taken it and may give a `Sent`; it raises TransientError (with the
    service's Retry-After), PermanentError or DeclinedError, and has 20 s. `check(address)` raises UsageError.
    """

    scheme: str
    summary: str
    send: Callable[[Outgoing], Sent | None]
    check: Callable[[str], None] | None = None
    example: str = ""
    format: Format = "text"
    max_title: int = 200
    max_text: int = 3_500
    attachments: bool = False
