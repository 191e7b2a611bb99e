"""What an answer of a service means: taken, to be tried again, or refused; and what it calls the message. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hub.errors import DeclinedError, PermanentError, TransientError
from hub.outbound.again import retry_after as seconds_until
from hub.outbound.call import Answer

_AGAIN = frozenset({408, 425, 429})
_THIS_ONE = frozenset({400, 413, 414, 415, 422})
"""The message is at fault, not the channel."""
_IDS = (
    ("ts",), ("id",), ("message_id",), ("messageId",), ("result", "message_id"), ("dedup_key",), ("requestId",),
    ("request",), ("sid",), ("event_id",), ("uuid",),
)  # fmt: skip
"""Where services say what they call the message: Slack, Discord and ntfy, ..., Telegram, PagerDuty, Opsgenie,
Pushover, Twilio, Matrix."""
_ID_HEADERS = ("x-message-id", "x-request-id")
_REASONS = ("error", "message", "description", "detail", "error_description", "title")
_RETRY_AFTER = (("retry_after",), ("parameters", "retry_after"))
"""Discord, Telegram."""
_PASSING = frozenset({"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable"})
_MAX_REASON = 160


def failure(status: int, retry_after: str | float | None = None, reason: str = "") -> TransientError | PermanentError:
    """What an HTTP status says about trying again. A redirect is permanent: the message would be lost on the way."""
    said = f"the receiver answered {status}" + (f": {reason}" if reason else "")
    if status in _AGAIN or status >= 500:
        wait = retry_after if isinstance(retry_after, float) else seconds_until(retry_after)
        return TransientError(said, retry_after=wait, status=status)
    if status in _THIS_ONE:
        return DeclinedError(said, status=status)
    return PermanentError(said, status=status)


def failure_of(answer: Answer) -> TransientError | PermanentError:
    """The same of a whole answer: some services say in the body when they will listen again, and why not now."""
    told = _json(answer.body)
    return failure(answer.status, _wait(answer.headers, told), _reason(told))


def not_taken(answer: Answer) -> TransientError | PermanentError:
    """A status of success whose body says that it is none: Slack's bots write `"ok": false` and a word.

    Without a word it was not the service that answered, but something on the way.
    """
    reason = _reason(_json(answer.body))
    said = f"the receiver answered {answer.status}, but did not take the message"
    if reason and reason not in _PASSING:
        return PermanentError(f"{said}: {reason}", status=answer.status)
    return TransientError(f"{said}: {reason or 'it does not answer as this service does'}", status=answer.status)


def mail_failure(code: int) -> TransientError | PermanentError:
    """What a reply of SMTP says: 4xx may pass, 552 and 554 are about the message, other 5xx are for good."""
    said = f"the mail server answered {code}"
    if code < 500:
        return TransientError(said, status=code)
    if code in (552, 554):
        return DeclinedError(said, status=code)
    return PermanentError(said, status=code)


def message_id(answer: Answer) -> str:
    """What the service calls the message; empty where it does not say."""
    told = _json(answer.body)
    for path in _IDS:
        found = _at(told, path)
        if isinstance(found, str | int) and not isinstance(found, bool) and str(found):
            return str(found)[:200]
    return next((answer.headers[name][:200] for name in _ID_HEADERS if name in answer.headers), "")


def _wait(headers: Mapping[str, str], told: Any) -> float | None:
    asked = seconds_until(headers.get("retry-after"))
    if asked is not None:
        return asked
    for path in _RETRY_AFTER:
        found = _at(told, path)
        if isinstance(found, int | float) and not isinstance(found, bool) and found >= 0:
            return float(found)
    return None


def _reason(told: Any) -> str:
    """The service's own short word for it, such as `channel_not_found`."""
    if not isinstance(told, dict):
        return ""
    found = next((told[name] for name in _REASONS if isinstance(told.get(name), str)), "")
    return " ".join("".join(char if char.isprintable() else " " for char in found).split())[:_MAX_REASON]


def _at(told: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        told = told.get(name) if isinstance(told, dict) else None
    return told


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
