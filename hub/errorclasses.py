"""The closed list of what a failure was, and the class of an exception. Libraries are known by their shape only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from hub.errors import (
    HubError,
    LimitTimeout,
    RateLimitedError,
    RunCancelled,
    RunCrashed,
    RunTimedOut,
    UnavailableError,
)

if TYPE_CHECKING:
    import logging


class ErrorClass(StrEnum):
    """What a failure was, whatever raised it: what a policy, a filter or a person asks first."""

    USER_ERROR = "user_error"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    LOST_WORKER = "lost_worker"
    RATE_LIMITED = "rate_limited"
    INFRASTRUCTURE = "infrastructure"


C = ErrorClass

_FILES: tuple[type[OSError], ...] = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
"""OSErrors that say something about an argument, not about the machine."""
_NAMES = frozenset(item.value for item in ErrorClass)
_RATE = 429
_HTTP_TIMEOUTS = (408, 504)
_HTTP_AWAY = (500, 502, 503)
_DEPTH = 10


def class_of(error: BaseException) -> ErrorClass:
    """The class of an exception; user_error when nothing says otherwise. Never raises.

    What was raised `from` another exception and has no class of its own has that of its cause, so a task that failed
    because of another is classed like that one.
    """
    for _ in range(_DEPTH):
        found = _own_class(error)
        if found is not None:
            return found
        if error.__cause__ is None:
            break
        error = error.__cause__
    return C.USER_ERROR


def _own_class(error: BaseException) -> ErrorClass | None:
    said = _of(error, "error_class")
    if isinstance(said, str) and said in _NAMES:
        return ErrorClass(said)
    status = http_status(error)
    if status == _RATE or (retry_after(error, now=0.0) is not None and status not in _HTTP_AWAY):
        return C.RATE_LIMITED
    if isinstance(error, RunTimedOut | LimitTimeout | TimeoutError) or status in _HTTP_TIMEOUTS:
        return C.TIMEOUT
    if isinstance(error, RunCancelled | KeyboardInterrupt) or type(error).__name__ == "CancelledError":
        return C.CANCELLED
    if isinstance(error, RunCrashed):
        return C.LOST_WORKER
    if isinstance(error, UnavailableError | MemoryError) or status in _HTTP_AWAY:
        return C.INFRASTRUCTURE
    if isinstance(error, OSError) and not isinstance(error, _FILES):
        # An OSError without a number is somebody's own (a library's base class): only connections count.
        return C.INFRASTRUCTURE if error.errno is not None or isinstance(error, ConnectionError) else None
    return None


def http_status(error: BaseException) -> int | None:
    """The HTTP status that an exception of an HTTP library carries, as `.response.status_code` or `.status`."""
    if isinstance(error, HubError):  # its status is that of the hub's own answers
        return _RATE if isinstance(error, RateLimitedError) else None
    response = _of(error, "response")
    for holder, name in ((response, "status_code"), (response, "status"), (error, "status_code"), (error, "status")):
        value = _of(holder, name)
        if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
            return value
    return None


def retry_after(error: BaseException, *, now: float) -> float | None:
    """Seconds that the other side asks to wait, from `.retry_after` or the header Retry-After; None: it does not say.

    `now` is in seconds since 1970, for headers that name a date. Never below 0.
    """
    said = error.fields.get("retry_after") if isinstance(error, HubError) else _of(error, "retry_after")
    for value in (said, _header(_of(_of(error, "response"), "headers")), _header(_of(error, "headers"))):
        found = _seconds(value, now)
        if found is not None:
            return found
    return None


def _header(headers: Any) -> Any:
    if headers is None or (not isinstance(headers, Mapping) and not hasattr(headers, "get")):
        return None
    try:
        return headers.get("Retry-After") or headers.get("retry-after")
    except Exception:  # noqa: BLE001 - somebody else's object: it says nothing, then
        _log().debug("headers of a %s cannot be read", type(headers).__name__)
        return None


def _seconds(value: Any, now: float) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return _until(value, now)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _until(value: Any, now: float) -> float | None:
    if not isinstance(value, str) or len(value) > 100:
        return None
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - rarely asked for, and slow to import

    try:
        date: datetime = parsedate_to_datetime(value)
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return None


def _log() -> logging.Logger:
    import logging  # noqa: PLC0415 - authors' modules load this one, and it is slow to import

    return logging.getLogger("hub.errorclasses")


def _of(holder: Any, name: str) -> Any:
    try:
        return getattr(holder, name, None)
    except Exception:  # noqa: BLE001 - a property of somebody else's exception may raise what it likes
        _log().debug("%s of a %s cannot be read", name, type(holder).__name__)
        return None
