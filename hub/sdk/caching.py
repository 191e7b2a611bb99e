"""When a call of a task need not run because an equal one has: what "equal" is made of, and for how long it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from hub.errors import UsageError

MAX_EXPIRATION = 3650 * 86_400.0
KeyFunction: TypeAlias = "Callable[[Any, Mapping[str, Any]], str | None]"
"""(context of the task run, its arguments by name) -> the key; None: this call is not cached."""


class CachePolicy:
    """What two calls of a task must have in common for the second to take the first one's result.

    `INPUTS + TASK_SOURCE` joins policies, `INPUTS - "arg"` leaves an argument out. Calls of different
    tasks are never equal.
    """

    __slots__ = ("parts", "without")

    def __init__(self, *parts: str, without: frozenset[str] = frozenset()) -> None:
        self.parts = frozenset(parts)
        self.without = without

    def __add__(self, other: CachePolicy) -> CachePolicy:
        if not isinstance(other, CachePolicy):
            return NotImplemented
        return CachePolicy(*self.parts, *other.parts, without=self.without | other.without)

    def __sub__(self, argument: str) -> CachePolicy:
        if not isinstance(argument, str):
            return NotImplemented
        if "inputs" not in self.parts:
            raise UsageError(f"{self!r} has no inputs, so {argument!r} cannot be left out of them")
        return CachePolicy(*self.parts, without=self.without | {argument})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CachePolicy) and (self.parts, self.without) == (other.parts, other.without)

    def __hash__(self) -> int:
        return hash((self.parts, self.without))

    def __repr__(self) -> str:
        names = " + ".join(part.upper() for part in sorted(self.parts)) or "NO_CACHE"
        return names + "".join(f" - {name!r}" for name in sorted(self.without))


INPUTS = CachePolicy("inputs")
"""The arguments."""
TASK_SOURCE = CachePolicy("task_source")
"""The task's own code, without comments; not what it calls."""
FLOW_PARAMETERS = CachePolicy("flow_parameters")
"""The parameters of the flow run."""
RUN_ID = CachePolicy("run_id")
"""The flow run: equal calls are found only within one."""
NO_CACHE = CachePolicy()
"""Every call runs."""
DEFAULT = INPUTS + TASK_SOURCE + RUN_ID


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """The checked cache options of a task. `expiration` in seconds; None: for ever."""

    policy: CachePolicy
    key_fn: KeyFunction | None = None
    expiration: float | None = None
    refresh: bool = False


def cache_options(given: Mapping[str, Any]) -> CacheOptions | None:
    """Check the cache options of a task; None when it is not cached. Raises UsageError."""
    policy, key_fn = given.get("cache_policy"), given.get("cache_key_fn")
    if policy is not None and not isinstance(policy, CachePolicy):
        raise UsageError(f"cache_policy={policy!r} is no CachePolicy", hint="Write INPUTS + TASK_SOURCE, or the like.")
    if key_fn is not None and not callable(key_fn):
        raise UsageError(f"cache_key_fn={key_fn!r} is no function of (context, arguments)")
    expiration = _seconds(given.get("cache_expiration"))
    refresh = bool(given.get("refresh_cache", False))
    if policy is None and key_fn is None:
        if expiration is not None or refresh:
            raise UsageError(
                "cache_expiration and refresh_cache need to know what is cached",
                hint="Add cache_policy=INPUTS, or a cache_key_fn.",
            )
        return None
    if key_fn is None and policy == NO_CACHE:
        return None
    return CacheOptions(policy or NO_CACHE, key_fn, expiration, refresh)


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    seconds = value.total_seconds() if hasattr(value, "total_seconds") else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= MAX_EXPIRATION:
        raise UsageError(f"cache_expiration={value!r} is no time above 0", hint="Give a timedelta, or seconds.")
    return float(seconds)
