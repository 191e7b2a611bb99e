"""Calling what cannot be ended, for a limited time: services without a wire, and kinds of channel of plugins.

A call that is over its time goes on, and may still deliver. It is remembered by the message's id: while it goes on, the
message is not sent again, and once it has ended, its outcome counts for the next attempt. A process that dies forgets.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from hub.channels import ChannelKind, Outgoing, Sent
from hub.errors import PermanentError, TransientError
from hub.isolation import Breaker

from hub_notifications.reach import Reach

_REMEMBERED = 256
_Outcome: TypeAlias = "list[Sent | Exception]"
_lock = threading.Lock()
_late: OrderedDict[str, _Outcome] = OrderedDict()
_breakers: dict[str, Breaker] = {}
"""Of the senders of plugins, by scheme."""


def send(kind: ChannelKind, message: Outgoing, reach: Reach) -> Sent:
    """Send by a plugin's kind of channel. Raises TransientError, PermanentError, DeclinedError.

    A sender that hangs or fails by itself again and again is left alone for a while, as hooks are.
    """
    breaker = _breakers.setdefault(kind.scheme, Breaker())
    now = time.monotonic()
    if breaker.state(now) == "open":
        said = f"the sender of {kind.scheme}:// is not called for a while: {breaker.last_error}"
        raise TransientError(said, retry_after=breaker.open_until - now)

    def call() -> Sent:
        given = kind.send(message)
        return given if isinstance(given, Sent) else Sent()

    return limited(call, message.ident, reach.timeout_s, breaker)


def limited(call: Callable[[], Sent], ident: str, seconds: float, breaker: Breaker | None = None) -> Sent:
    """Call, and wait so long. `ident` is the message's, the same in every attempt; empty: nothing is remembered."""
    breaker = breaker or Breaker()
    outcome = _earlier(ident)
    began = time.monotonic()
    if outcome is None:
        outcome = []
        _start(call, outcome).join(seconds)
    if not outcome:
        _remember(ident, outcome)
        breaker.failed(time.monotonic(), f"it did not end within {seconds:g} s", timeout=True)
        raise TransientError("no answer in time; the message may arrive all the same, so it is not sent again yet")
    _forget(ident)
    result = outcome[0]
    if isinstance(result, Sent | TransientError | PermanentError):
        breaker.passed()  # what a service says is no fault of its sender
    if isinstance(result, Sent):
        return replace(result, elapsed=result.elapsed or time.monotonic() - began)
    if isinstance(result, TransientError | PermanentError):
        raise result
    # Whatever else it raised: its text may hold the address.
    breaker.failed(time.monotonic(), f"it failed: {type(result).__name__}", timeout=False)
    raise TransientError(f"the sender failed: {type(result).__name__}")


def _start(call: Callable[[], Sent], outcome: _Outcome) -> threading.Thread:
    def work() -> None:
        try:
            outcome.append(call())
        except BaseException as error:  # noqa: BLE001 - SystemExit in a plugin must not end the hub
            outcome.append(error if isinstance(error, Exception) else RuntimeError(type(error).__name__))

    thread = threading.Thread(target=work, name="hub-alert-beside", daemon=True)
    thread.start()
    return thread


def _earlier(ident: str) -> _Outcome | None:
    """What an attempt that was left behind has come to; None: there is none, or it failed and may be tried again."""
    with _lock:
        outcome = _late.get(ident) if ident else None
        if outcome and not isinstance(outcome[0], Sent):
            del _late[ident]
            return None
        return outcome


def _remember(ident: str, outcome: _Outcome) -> None:
    with _lock:
        if ident:
            _late[ident] = outcome
        while len(_late) > _REMEMBERED:
            _late.popitem(last=False)


def _afresh() -> None:
    """In a forked child: what went on in the parent's threads does not, and a lock that one held would stay shut."""
    global _lock
    _lock = threading.Lock()
    _late.clear()
    _breakers.clear()


os.register_at_fork(after_in_child=_afresh)


def _forget(ident: str) -> None:
    with _lock:
        _late.pop(ident, None)
