"""Time limits for blocking code.

In the main thread a timer's signal raises in the middle of the call. Elsewhere the call gets a thread of its own,
which is abandoned when time is up: its caller goes on at once, an exception waits for it at its next line, and the
process is tainted (a worker ends it after the run).
"""

from __future__ import annotations

import contextvars
import ctypes
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
_AGAIN = 5.0
"""Seconds until code that swallowed its interruption is interrupted again."""


class Expired(Exception):
    """The call was over its own limit and was interrupted."""


class Interrupted(BaseException):
    """Raised inside a call whose time is up; not for `except Exception`."""

    def __init__(self, scope: object = None) -> None:
        super().__init__("over its timeout")
        self.scope = scope


def limited(call: Callable[[], T], seconds: float, *, taint: Callable[[], object]) -> T:
    """Call it for at most `seconds`. Raises Expired when they are over; `taint` is called if a thread was abandoned."""
    if threading.current_thread() is threading.main_thread():
        return _by_alarm(call, seconds)
    return _by_thread(call, seconds, taint)


def interrupt_thread(ident: int | None, kind: type[BaseException]) -> None:
    """Raise `kind` in another thread as soon as it executes Python code again."""
    if ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(kind))


# --- in the main thread --------------------------------------------------------------------------------------------


class _Scope:
    __slots__ = ("at", "over")

    def __init__(self, at: float) -> None:
        self.at = at
        self.over = False


_stack: list[_Scope] = []
_before: list[Any] = []


def _by_alarm(call: Callable[[], T], seconds: float) -> T:
    scope = _Scope(time.monotonic() + seconds)
    try:
        try:
            _enter(scope)
            return call()
        finally:
            # First of all: from here on the handler leaves this scope alone.
            scope.over = True
            _leave()
    except Interrupted as interrupted:
        scope.over = True
        _leave()
        if interrupted.scope is not scope:
            raise
    raise Expired


def _enter(scope: _Scope) -> None:
    if not _stack:
        _before[:] = [signal.signal(signal.SIGALRM, _on_alarm)]
    _stack.append(scope)
    _arm()


def _leave() -> None:
    while _stack and _stack[-1].over:
        _stack.pop()
    _arm()
    if not _stack and _before:
        signal.signal(signal.SIGALRM, _before.pop() or signal.SIG_DFL)


def _arm() -> None:
    now = time.monotonic()
    waits = [scope.at - now if scope.at > now else _AGAIN for scope in _stack if not scope.over]
    signal.setitimer(signal.ITIMER_REAL, max(min(waits), 0.0001) if waits else 0)


def _on_alarm(_signum: int, _frame: object) -> None:
    now = time.monotonic()
    passed = [scope for scope in _stack if not scope.over and scope.at <= now]
    _arm()
    if passed:
        raise Interrupted(passed[0])


# --- in other threads ----------------------------------------------------------------------------------------------

_here = threading.local()


class _Helper:
    """A thread for one call."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._context = contextvars.copy_context()
        self._value: Any = None
        self._error: BaseException | None = None
        self.done = threading.Event()
        self.child: _Helper | None = None
        self.thread = threading.Thread(target=self._run, name="hub-limited", daemon=True)

    def _run(self) -> None:
        _here.helper = self
        try:
            self._value = self._context.run(self._call)
        except BaseException as error:  # noqa: BLE001 - handed to the waiting caller
            self._error = error
        finally:
            self.done.set()

    def outcome(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._value

    def abandon(self) -> None:
        if self.child is not None:
            self.child.abandon()
        if not self.done.is_set():
            interrupt_thread(self.thread.ident, Interrupted)


def _by_thread(call: Callable[[], T], seconds: float, taint: Callable[[], object]) -> T:
    helper = _Helper(call)
    parent: _Helper | None = getattr(_here, "helper", None)
    helper.thread.start()
    if parent is not None:
        parent.child = helper
    try:
        ended = helper.done.wait(seconds)
    finally:
        if parent is not None:
            parent.child = None
    if not ended:
        helper.abandon()
        taint()
        raise Expired
    return helper.outcome()  # type: ignore[no-any-return]


def in_helper() -> bool:
    """Whether this thread executes a limited call."""
    return getattr(_here, "helper", None) is not None
