"""Bringing one message to one address, by the sender of its scheme. Knows nothing of retries.

Raises TransientError (a later try may work; with the peer's Retry-After), PermanentError (none will) or DeclinedError
(this message, not the channel). No text that leaves here holds any part of the address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

from hub.channels import ChannelKind, Outgoing, Sent
from hub.errors import DeclinedError, PermanentError, TransientError

from hub_notifications import beside, own
from hub_notifications.address import redact, scheme_of
from hub_notifications.reach import TIMEOUT, Reach, make_reach

__all__ = ["TIMEOUT", "send"]
_LONGEST = 300
_Sender: TypeAlias = Callable[[Outgoing, Reach], Sent]


def send(message: Outgoing, reach: Reach | None = None, kinds: Mapping[str, ChannelKind] | None = None) -> Sent:
    """Send a message; returns when the service has taken it. `kinds` are those of plugins, by scheme."""
    try:
        return _sender(scheme_of(message.address), kinds or {})(message, reach or make_reach("public"))
    except TransientError as error:
        text = redact(str(error), message.address)[:_LONGEST]
        raise TransientError(text, retry_after=error.retry_after, status=error.status) from None
    except PermanentError as error:
        kind = DeclinedError if isinstance(error, DeclinedError) else PermanentError
        raise kind(redact(str(error), message.address)[:_LONGEST], status=error.status) from None


def _sender(scheme: str, kinds: Mapping[str, ChannelKind]) -> _Sender:
    if scheme in kinds:
        return partial(beside.send, kinds[scheme])
    if scheme.startswith("slack+"):
        return own.send_slack
    if scheme.startswith("hub+"):
        return own.send_signed
    from hub_notifications import bridge  # noqa: PLC0415 - Apprise is loaded only where it sends

    return bridge.send
