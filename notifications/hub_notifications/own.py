"""Senders of the hub's own: Slack-compatible webhooks, and signed ones (Standard Webhooks) as JSON.

`slack+https://host/path` and `hub+https://host/path?secret=whsec_...`; with `http` too, for private networks.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from hub.channels import Outgoing, Sent
from hub.errors import PermanentError, UsageError
from hub.types import new_id, now_us, rfc3339
from hub.webhooks import standard

from hub_notifications.answers import failure_of, message_id
from hub_notifications.reach import Reach

SECRET = "secret"  # noqa: S105 - the name of an argument
_OLD_SECRET = "old_secret"  # noqa: S105 - as above


def check(address: str) -> None:
    """Whether an address of one of these schemes can be used. Raises UsageError, which repeats nothing of it."""
    scheme = address.partition("://")[0].lower()
    if not urlsplit(address).hostname:
        raise UsageError(f"the {scheme}:// address names no host", hint=f"Write {scheme}://host/path.")
    if not scheme.startswith("hub+"):
        return
    _, keys = _signing(address)
    if not keys:
        raise UsageError(
            f"the {scheme}:// address has no secret to sign with",
            hint=f"Write {scheme}://host/path?secret=whsec_...; `hub channels secret` makes one.",
        )
    try:
        standard.headers(keys, "msg", 0, b"")
    except ValueError:
        raise UsageError(
            "the secret is none of Standard Webhooks", hint="It is whsec_ (or whsk_) and base64; `hub channels secret`."
        ) from None


def url_of(address: str) -> str:
    """Where an address of one of these schemes leads, without its secrets."""
    return _signing(address)[0] if address.lower().startswith("hub+") else address.partition("+")[2]


def send_slack(message: Outgoing, reach: Reach) -> Sent:
    """Slack's incoming-webhook format. Raises TransientError, PermanentError."""
    text = message.text if message.format == "slack" else mrkdwn(message.text)
    head = f"*{mrkdwn(message.title)}*\n" if message.title else ""
    body = {"text": f"{head}{text}", "username": message.sender}
    return post(url_of(message.address), body, reach, {})


def send_signed(message: Outgoing, reach: Reach) -> Sent:
    """The alert as JSON, signed; the id is the same in every attempt. Raises TransientError, PermanentError."""
    url, keys = _signing(message.address)
    now = now_us()
    data = {
        "title": message.title, "text": message.text, "format": message.format, "severity": message.severity,
        "status": message.status, "key": message.key, "link": message.link or None, "sender": message.sender,
    }  # fmt: skip
    body = {"type": f"hub.alert.{message.status}", "timestamp": rfc3339(now), "data": data}
    ident = message.ident or new_id()
    return post(url, body, reach, lambda raw: standard.headers(keys, ident, now // 1_000_000, raw))


def mrkdwn(text: str) -> str:
    """Plain text as Slack's markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def post(
    url: str, body: Mapping[str, Any], reach: Reach, more: Mapping[str, str] | Callable[[bytes], Mapping[str, str]]
) -> Sent:
    """Send JSON under the rule. `more` are headers, or what makes them of the body. Raises as the senders do."""
    raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    began = time.monotonic()
    headers = {"Content-Type": "application/json", **(more(raw) if callable(more) else more)}
    try:
        answer = reach.web.call("POST", url, headers=headers, body=raw)
    except ValueError:
        raise PermanentError("the address is not one that can be used") from None
    if not 200 <= answer.status < 300:
        raise failure_of(answer)
    return Sent(message_id(answer), answer.status, time.monotonic() - began)


def _signing(address: str) -> tuple[str, tuple[str, ...]]:
    """The URL without the secrets, and the secrets, the newest first."""
    parts = urlsplit(address.partition("+")[2])
    asked = parse_qsl(parts.query.replace("+", "%2B"), keep_blank_values=True)
    keys = [value for wanted in (SECRET, _OLD_SECRET) for name, value in asked if name == wanted and value]
    rest = urlencode([(name, value) for name, value in asked if name not in (SECRET, _OLD_SECRET)])
    return urlunsplit((parts.scheme, parts.netloc, parts.path, rest, "")), tuple(keys)
