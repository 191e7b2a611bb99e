"""Waiting in flows, for a time or for somebody, and values that are the same in every attempt of a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from hub.errors import UsageError
from hub.sdk import port

if TYPE_CHECKING:
    from uuid import UUID

Seconds: TypeAlias = "float | timedelta"
MISSING: Any = object()
_LONGEST = 100 * 366 * 86_400.0
_MICROS = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Nap:
    """How long to sleep: so many `seconds`, or `until` a time in microseconds."""

    seconds: float = 0.0
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """Until when to wait for somebody. `leaves`: without the process where that is possible."""

    leaves: bool
    timeout: float | None = None
    key: str | None = None
    default: Any = MISSING


def now() -> datetime:
    """The time in UTC. In a flow it is kept as a step: a later attempt of the run gets the same again.

    In a task all tries of the call get the same. Outside a run it is the clock's.
    """
    return port.runtime().now()


def uuid() -> UUID:
    """A random UUID. In a flow it is kept as a step: a later attempt of the run gets the same again.

    In a task all tries of the call get the same, which makes it a good idempotency key. Outside a run it is a new one.
    """
    return port.runtime().uuid()


def sleep(seconds: Seconds) -> Any:
    """Sleep for so many seconds (or a timedelta).

        hub.sleep(3600)            # in plain code
        await hub.sleep(3600)      # in a coroutine

    The time to wake up is kept as a step: a later attempt of the run only waits for what is left. On a worker a sleep
    in a flow that is longer than `HUB_SDK_WAIT_IN_PLACE` gives the worker's slot back meanwhile.
    """
    return port.runtime().sleep(Nap(seconds=_seconds("sleep", seconds)))


def sleep_until(when: datetime) -> Any:
    """Sleep until that time; it must have a time zone. Comes back at once when it has passed. Otherwise as `sleep`."""
    if not isinstance(when, datetime) or when.tzinfo is None:
        raise UsageError(
            f"sleep_until({when!r}) does not say a time with a time zone",
            hint="Add one: datetime(2026, 11, 30, 8, tzinfo=ZoneInfo('Europe/Berlin')).",
        )
    epoch = datetime.fromtimestamp(0, when.tzinfo)
    return port.runtime().sleep(Nap(until=(when - epoch) // _MICROS))


def pause(timeout: Seconds | None = None, *, key: str | None = None, default: Any = MISSING) -> Any:
    """Wait until somebody resumes the run (`hub runs resume`, API, dashboard); the process is kept meanwhile.

        hub.pause(timeout=3600)            # in plain code
        await hub.pause(timeout=3600)      # in a coroutine

    It waits once: a later attempt of the run walks through. After `timeout` seconds (or a timedelta) it raises
    PauseTimeout, or gives `default` when there is one. `key` names the place when a flow has several.
    """
    return port.runtime().hold(_held("pause", timeout, key, default, leaves=False))


def suspend(timeout: Seconds | None = None, *, key: str | None = None, default: Any = MISSING) -> Any:
    """Wait until somebody resumes the run, without a process: on a worker its slot is given back meanwhile.

    When it goes on, the flow is called again from the top and skips what it has done. Called as a plain function it
    waits in its process, as `pause` does. Otherwise as `pause`.
    """
    return port.runtime().hold(_held("suspend", timeout, key, default, leaves=True))


def _held(name: str, timeout: Seconds | None, key: str | None, default: Any, *, leaves: bool) -> Held:
    named = None if key is None else key_of(name, "key", key)
    return Held(leaves, patience(name, timeout, default), named, default)


def key_of(name: str, option: str, given: Any) -> str:
    """A name for people. Raises UsageError unless it is a text of 1 to 200 characters."""
    if not isinstance(given, str) or not 0 < len(given) <= 200 or "\0" in given:
        raise UsageError(f"{name}({option}={given!r}) is not a text of 1 to 200 characters")
    return given


def patience(name: str, timeout: Any, default: Any) -> float | None:
    """How many seconds to wait; None: for ever. Raises UsageError, also for a default that would never be given."""
    if timeout is None and default is not MISSING:
        raise UsageError(f"{name}(default=...) is for a timeout, and there is none", hint="Give timeout=SECONDS.")
    return None if timeout is None else _seconds(f"{name}(timeout=...)", timeout)


def _seconds(what: str, given: Any) -> float:
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _LONGEST:
        raise UsageError(f"{what} got {given!r}, which is not a number of seconds from 0 to 100 years")
    return float(seconds)
