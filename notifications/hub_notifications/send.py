"""Bringing one message to one address: the only user of Apprise. Knows nothing of retries.

Raises TransientError (a later try may work; with the peer's Retry-After) or PermanentError (none will). No text that
leaves here holds any part of the address.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
from hub.errors import PermanentError, TransientError

from hub_notifications.address import SLACK_COMPATIBLE, redact
from hub_notifications.messages import Message

TIMEOUT = 20.0
_TIMES = httpx2.Timeout(TIMEOUT, connect=5)
_TALKATIVE = ("apprise", "urllib3", "requests")
"""Only Apprise uses these here; it keeps its own lines for its results."""
_AGAIN = frozenset({408, 425, 429})
_CODE = re.compile(r"error=(\d{3})")
_PERMANENT_SMTP = re.compile(r"\b(535|550|551|553|554)\b")


def send(address: str, message: Message, *, sender: str = "Hubspoke") -> None:
    """Send `message` to `address` under the name `sender`; returns when the peer has taken it."""
    try:
        if address.partition("://")[0].lower() in SLACK_COMPATIBLE:
            _send_slack(address, message, sender)
        else:
            _send_apprise(address, message, sender)
    except TransientError as error:
        raise TransientError(redact(str(error), address)[:300], retry_after=error.retry_after) from None
    except PermanentError as error:
        raise PermanentError(redact(str(error), address)[:300]) from None


def _send_slack(address: str, message: Message, sender: str) -> None:
    """Slack's incoming-webhook format, to Slack-compatible servers of one's own."""
    url = address.partition("+")[2]
    body = {"text": f"*{_mrkdwn(message.title)}*\n{_mrkdwn(message.text)}", "username": sender}
    try:
        # Streamed and never read: a receiver that drips, or answers without end, costs nothing.
        with quiet(), httpx2.stream("POST", url, json=body, timeout=_TIMES, follow_redirects=False) as answer:
            status, wait = answer.status_code, answer.headers.get("retry-after")
    except httpx2.HTTPError as error:
        raise TransientError(f"no answer: {type(error).__name__}") from None
    except (httpx2.InvalidURL, ValueError):
        raise PermanentError("the address is not a URL") from None
    if not 200 <= status < 300:
        raise failure(status, wait)


def failure(status: int, retry_after: str | None = None) -> TransientError | PermanentError:
    """What an HTTP status says about trying again. A redirect is permanent: the message would be lost on the way."""
    if status in _AGAIN or status >= 500:
        return TransientError(f"the receiver answered {status}", retry_after=seconds_until(retry_after))
    return PermanentError(f"the receiver answered {status}")


def seconds_until(retry_after: str | None, *, now: datetime | None = None) -> float | None:
    """The wait that a Retry-After asks for, given in seconds or as a date; None when it says nothing usable."""
    if not retry_after:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:12])
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())


def _mrkdwn(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _send_apprise(address: str, message: Message, sender: str) -> None:
    _after_fork()
    with quiet():
        from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType  # noqa: PLC0415 - 0.3 s and 25 MB, only when sending

        asset = AppriseAsset(app_id=sender, app_desc=sender, http_redirects=False, service_timeout=TIMEOUT)
        target = Apprise(asset=asset)
        if not target.add(address):
            raise PermanentError("the address is no longer one that can be used")
        # Said to be text, or a service that shows HTML would show what a failed run wrote as HTML.
        text, kind = NotifyFormat.TEXT, NotifyType.FAILURE
        result = target.notify(body=message.text, title=message.title, notify_type=kind, body_format=text)
        if result:
            return
        said = " ".join(str(getattr(entry, "message", entry)) for one in result for entry in one.logs())
    raise _apprise_failure(said)


def _apprise_failure(said: str) -> TransientError | PermanentError:
    """Apprise keeps the status in its log text only."""
    code = _CODE.search(said)
    if code:
        return failure(int(code[1]))
    if _PERMANENT_SMTP.search(said):
        return PermanentError(said)
    return TransientError(said or "the service did not take the message")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' log lines, which hold whole addresses, out of ours, and their imports' warnings too."""
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


_pid = os.getpid()


def _after_fork() -> None:
    """Apprise's thread pools survive a fork as dead objects, and sending would hang until its timeout."""
    global _pid
    if _pid == os.getpid():
        return
    module: Any = __import__("apprise.apprise", fromlist=["apprise"])
    module._shared_executor = None
    module._coordinator_executor = None
    _pid = os.getpid()  # last: another thread of the pool must not go on before they are gone
