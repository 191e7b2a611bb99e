"""Links in messages about alerts: whoever has one may acknowledge or silence what this one message tells, for a time.

A link names the message and the channel that it was brought to, signed by the hub's keys; none of it is stored. It ends
when its time is over, when it was used, when no alert of the message fires any more, and with the channel.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from hub.crypto import Keyring
from hub.runtime.links import signed, signed_bytes
from hub.types import SECOND, Id, Micros

PATH = "/ui/alert-links/"
LIFETIME: Micros = 3 * 86_400 * SECOND
"""Less than outcomes of commands are kept: whether one was used must be known as long as it holds."""
_PURPOSE = "alert-link"
_BYTES = 42


@dataclass(frozen=True, slots=True)
class AlertLink:
    """What a link says: which message, on which channel, and until when it holds."""

    notification_id: Id
    channel_id: Id
    until: Micros


def sign(keyring: Keyring, link: AlertLink) -> str:
    """The token of a link."""
    ids = uuid.UUID(link.notification_id).bytes + uuid.UUID(link.channel_id).bytes
    return signed(keyring, ids + (link.until // SECOND).to_bytes(_BYTES - len(ids), "big"), purpose=_PURPOSE)


def read(keyring: Keyring, token: str) -> AlertLink | None:
    """What a token says; None when this hub did not sign it. Whether its time is over is for the caller."""
    data = signed_bytes(keyring, token, purpose=_PURPOSE, length=_BYTES)
    if data is None:
        return None
    first, second = (str(uuid.UUID(bytes=part)) for part in (data[:16], data[16:32]))
    return AlertLink(first, second, int.from_bytes(data[32:], "big") * SECOND)
