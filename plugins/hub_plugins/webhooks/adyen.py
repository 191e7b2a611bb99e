"""Adyen: payments sign each item by some of its fields, the platform signs the whole body; one key in hex for both."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from hashlib import sha256

from hub.types import Json
from hub.webhooks.body import BodyError
from hub.webhooks.reference import Rejected, scalar_text, walk
from hub.webhooks.secrets import Key, decode_plain
from hub.webhooks.verify import Verdict

from hub_plugins.webhooks.asked import Asked

MAX_ITEMS = 100
_SIGNED = (
    "pspReference",
    "originalReference",
    "merchantAccountCode",
    "merchantReference",
    "amount.value",
    "amount.currency",
    "eventCode",
    "success",
)


def verify_adyen(asked: Asked) -> Verdict:
    """A request with the header HmacSignature is the platform's, one without is of payments."""
    form, keys = asked.settings["form"], asked.usable(decode_plain("hex"))
    platform = bool(asked.request.all("HmacSignature"))
    if form not in ("either", "platform" if platform else "payments"):
        raise Rejected(f"this source takes webhooks of the {form} alone")
    if platform:
        found = _vouching(keys, asked.request.body, asked.header("HmacSignature"))
        return Verdict(True, "", found, signed=asked.request.body)
    signed, ident = [], ""
    for item in _items(asked):
        text = adyen_signed(item)
        ident = _vouching(keys, text, scalar_text(walk(item, "additionalData.hmacSignature")) or "")
        signed.append(b"%d:%s" % (len(text), text))
    return Verdict(True, "", ident, signed=b"".join(signed))


def adyen_signed(item: Json) -> bytes:
    """The fields of an item that are signed, joined by colons that nothing escapes. Raises Rejected."""
    values = []
    for path in _SIGNED:
        value = walk(item, path)
        text = ("false", "true")[value] if isinstance(value, bool) else "" if value is None else scalar_text(value)
        if text is None:
            raise Rejected(f"the item's {path} is no text")
        values.append(text)
    return ":".join(values).encode("utf-8", "replace")


def _items(asked: Asked) -> list[Json]:
    try:
        items = walk(asked.request.json, "notificationItems")
    except BodyError as error:
        raise Rejected(f"the body cannot be read: {error.detail}") from None
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_ITEMS:
        raise Rejected(f"the body holds no 1 to {MAX_ITEMS} items, and there is no header HmacSignature")
    return [walk(item, "NotificationRequestItem") for item in items]


def _vouching(keys: Sequence[Key], signed: bytes, signature: str) -> str:
    """Which key vouches; every one is tried. Raises Rejected."""
    found = ""
    for key in keys:
        expected = base64.b64encode(hmac.digest(key.value, signed, sha256))
        if hmac.compare_digest(expected, signature.encode("utf-8", "replace")) and not found:
            found = key.id
    if not found:
        raise Rejected("the signature does not match")
    return found
