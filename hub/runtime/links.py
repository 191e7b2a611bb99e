"""Links that answer an input without a login: a point's id and a time, signed by the hub's keys. None of it is stored.

Who has the link may answer that one input, once: the point it names is answered once. The signature is an HMAC, so a
link cannot be guessed or made to name another point, and a key that is taken out of the keyring ends its links.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import uuid
from dataclasses import dataclass

from hub.crypto import Keyring
from hub.settings import Settings
from hub.types import SECOND, Id, Micros

PATH = "/ui/answers/"
_PURPOSE = "input-link"
_BYTES = 24
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Link:
    """What a link says: which point, and until when it holds."""

    point_id: Id
    until: Micros


def sign(keyring: Keyring, link: Link) -> str:
    """The token of a link."""
    data = uuid.UUID(link.point_id).bytes + (link.until // SECOND).to_bytes(_BYTES - 16, "big")
    return signed(keyring, data, purpose=_PURPOSE)


def read(keyring: Keyring, token: str) -> Link | None:
    """What a token says; None when this hub did not sign it. Whether its time is over is for the caller."""
    data = signed_bytes(keyring, token, purpose=_PURPOSE, length=_BYTES)
    if data is None:
        return None
    return Link(str(uuid.UUID(bytes=data[:16])), int.from_bytes(data[16:], "big") * SECOND)


def signed(keyring: Keyring, data: bytes, *, purpose: str) -> str:
    """Bytes and their signature, fit for an address where their number divides by three."""
    text = base64.urlsafe_b64encode(data).decode()
    return f"{text}.{keyring.digest(text, purpose=purpose)}"


def signed_bytes(keyring: Keyring, token: str, *, purpose: str, length: int) -> bytes | None:
    """The bytes of a token; None when this hub did not sign so many for that purpose."""
    text, _, signature = token[:_LONGEST].partition(".")
    known = keyring.digests(text, purpose=purpose)
    if not any(hmac.compare_digest(one.encode(), signature.encode()) for one in known):
        return None
    try:
        data = base64.urlsafe_b64decode(text)
    except (ValueError, binascii.Error):
        return None
    return data if len(data) == length else None


def address(settings: Settings) -> str:
    """How people reach this hub's pages: the public URL, else the address of its own web process."""
    host = "127.0.0.1" if settings.web_host in ("0.0.0.0", "::", "") else settings.web_host  # noqa: S104 - named, not bound
    shown = f"[{host}]" if ":" in host else host
    return settings.public_url.rstrip("/") or f"http://{shown}:{settings.web_port}"
