"""What kind of failure an exception is, and how long the other side asks to wait."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest
from hub.errorclasses import ErrorClass, class_of, http_status, retry_after
from hub.errors import (
    LimitTimeout,
    RateLimitedError,
    RunCancelled,
    RunCrashed,
    RunFailed,
    RunTimedOut,
    UnavailableError,
    UsageError,
)

C = ErrorClass


class Odd(Exception):
    """An exception of some library, with whatever it carries."""

    def __init__(self, **what: Any) -> None:
        super().__init__("odd")
        self.__dict__.update(what)


class Trap(Exception):
    @property
    def response(self) -> None:
        raise RuntimeError("not read yet")


def _answer(code: int, **headers: str) -> Odd:
    return Odd(response=SimpleNamespace(status_code=code, headers=headers))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("x"), C.USER_ERROR),
        (UsageError("x"), C.USER_ERROR),
        (RunFailed("x"), C.USER_ERROR),
        (FileNotFoundError(2, "no such file"), C.USER_ERROR),
        (OSError("a library's base class"), C.USER_ERROR),
        (Odd(status="open"), C.USER_ERROR),
        (Odd(status=True), C.USER_ERROR),
        (Trap(), C.USER_ERROR),
        (_answer(404), C.USER_ERROR),
        (TimeoutError(), C.TIMEOUT),
        (RunTimedOut("x"), C.TIMEOUT),
        (LimitTimeout("x"), C.TIMEOUT),
        (_answer(504), C.TIMEOUT),
        (RunCancelled("x"), C.CANCELLED),
        (asyncio.CancelledError(), C.CANCELLED),
        (RunCrashed("x"), C.LOST_WORKER),
        (_answer(429), C.RATE_LIMITED),
        (Odd(status=429), C.RATE_LIMITED),
        (Odd(retry_after=3), C.RATE_LIMITED),
        (RateLimitedError("x"), C.RATE_LIMITED),
        (ConnectionResetError(), C.INFRASTRUCTURE),
        (OSError(28, "no space left on device"), C.INFRASTRUCTURE),
        (MemoryError(), C.INFRASTRUCTURE),
        (UnavailableError("x"), C.INFRASTRUCTURE),
        (_answer(503), C.INFRASTRUCTURE),
        (_answer(503, **{"Retry-After": "5"}), C.INFRASTRUCTURE),
    ],
)
def test_every_exception_has_a_class(error: BaseException, expected: ErrorClass) -> None:
    assert class_of(error) is expected


def test_a_failure_without_a_class_of_its_own_has_that_of_its_cause() -> None:
    error = RunFailed("a task")
    error.__cause__ = RuntimeError("wrapped")
    error.__cause__.__cause__ = ConnectionRefusedError(111, "refused")
    assert class_of(error) is C.INFRASTRUCTURE


def test_causes_that_go_in_a_circle_end() -> None:
    error = ValueError("x")
    error.__cause__ = other = ValueError("y")
    other.__cause__ = error
    assert class_of(error) is C.USER_ERROR


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (b"7", 7.0),
        ("-7", 0.0),
        (formatdate(1_000_090, usegmt=True), 90.0),
        (formatdate(999_000, usegmt=True), 0.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        (True, None),
        ("9" * 5000, None),
    ],
)
def test_how_long_to_wait_is_read_from_seconds_and_dates(value: Any, seconds: float | None) -> None:
    assert retry_after(Odd(retry_after=value), now=1_000_000) == seconds
    assert retry_after(Odd(response=SimpleNamespace(headers={"Retry-After": value})), now=1_000_000) == seconds
    assert retry_after(RateLimitedError("x", retry_after=value), now=1_000_000) == seconds


def test_no_status_is_made_of_what_is_none() -> None:
    assert [http_status(Odd(status=value)) for value in (99, 600, "429", None, 201)] == [None, None, None, None, 201]
