"""Time limits for blocking code.

In the main thread a timer's signal raises in the middle of the call. Elsewhere the call gets a thread of its own,
which is abandoned when time is up: its caller goes on at once, an exception waits for it at its next line, and the
process is tainted (a worker ends it after the run).
"""

from __future__ import annotations

import contextvars
import ctypes
import math
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
_AGAIN = 5.0
"""Seconds until code that swallowed its interruption is interrupted again."""
_REPEATED_S = 1.0
"""Until an alarm that did not reach the main thread comes again."""


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
_armed = [False]
_handing = threading.Lock()
"""Held by who sends the alarm's signal from another thread, and by who takes its handler away."""


def _by_alarm(call: Callable[[], T], seconds: float) -> T:
    return _within(_Scope(time.monotonic() + seconds), call)


def _within(scope: _Scope, call: Callable[[], T]) -> T:
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
        with _handing:
            before = _before.pop() or signal.SIG_DFL
            if signal.getsignal(signal.SIGALRM) is _on_alarm:
                signal.signal(signal.SIGALRM, before)


def _arm() -> None:
    now = time.monotonic()
    waits = [scope.at - now if scope.at > now else _AGAIN for scope in _stack if not scope.over]
    first = min(waits, default=math.inf)
    if _armed[0] or first < math.inf:  # a timer of somebody else is left alone where no limit needs one
        _armed[0] = first < math.inf
        # Again and again: the alarm of a stopped process may go to another thread, and then ends no call of this one.
        signal.setitimer(signal.ITIMER_REAL, max(first, 0.0001) if _armed[0] else 0, _REPEATED_S)


def _on_alarm(signum: int, frame: object) -> None:
    now = time.monotonic()
    passed = [scope for scope in _stack if not scope.over and scope.at <= now]
    if not passed and not _armed[0] and _before and callable(_before[0]):
        _before[0](signum, frame)  # a timer of somebody else
        return
    _arm()
    if passed:
        raise Interrupted(passed[0])


# --- ended by somebody else ----------------------------------------------------------------------------------------


class Place:
    """A call in this thread that another thread may end."""

    __slots__ = ("_ident", "_lock", "_over", "_scope", "_told")

    def __init__(self) -> None:
        self._ident = threading.get_ident()
        here = threading.current_thread() is threading.main_thread()
        self._scope = _Scope(math.inf) if here else None
        self._lock = threading.Lock()
        self._over = False
        self._told = False

    def interrupt(self) -> None:
        """Raise Interrupted in the call if it has not ended. In the main thread a blocking call ends, too."""
        with self._lock, _handing:
            if self._over:
                return
            self._told = True
            scope = self._scope
            if scope is None:
                interrupt_thread(self._ident, Interrupted)
            elif scope in _stack and signal.getsignal(signal.SIGALRM) is _on_alarm:
                scope.at = time.monotonic()
                signal.pthread_kill(self._ident, signal.SIGALRM)
            else:  # user code has put a handler of its own there
                interrupt_thread(self._ident, Interrupted)

    def met(self, interrupted: Interrupted) -> bool:
        """Whether that was ours."""
        return self._told and interrupted.scope in (None, self._scope)


def interruptible(call: Callable[[], T], place: Place) -> T:
    """Call it; `place.interrupt()` ends it with Interrupted, in the main thread also where it blocks."""
    scope = place._scope
    try:
        if scope is None:
            return call()
        try:
            return _within(scope, call)
        except Expired:
            if not scope.at < math.inf:
                raise  # one that user code let out
            raise Interrupted(scope) from None
    finally:
        with place._lock:
            place._over = True
            if place._told:  # what has not arrived must not meet the caller
                _take_back(place._ident)


def _take_back(ident: int) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), None)


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
