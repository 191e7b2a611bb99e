"""Retry options as authors write them, checked where they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from hub.errors import UsageError

MAX_RETRIES = 1000
MAX_DELAYS = 50
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that grow: the first in seconds, then each `factor` times the one before, at most `cap` seconds."""

    first: float = 1.0
    factor: float = 2.0
    cap: float = 3600.0


Delay: TypeAlias = "float | Iterable[float] | Backoff"
Retriable: TypeAlias = "type[BaseException] | tuple[type[BaseException], ...]"
Condition: TypeAlias = Callable[[BaseException], bool]


def exponential_backoff(first: float = 1.0, *, factor: float = 2.0, cap: float = 3600.0) -> Backoff:
    """Give delays of `first`, `first * factor`, `first * factor ** 2` ... seconds, at most `cap`.

    Use it as `retry_delay_seconds=exponential_backoff(2)`. Raises UsageError for values that make no sense.
    """
    if not 0 <= first <= DAY or not 1 <= factor <= 100 or not 0 <= cap <= DAY:
        raise UsageError(
            f"exponential_backoff({first!r}, factor={factor!r}, cap={cap!r}) makes no sense",
            hint="`first` and `cap` are seconds from 0 to 86400, `factor` is 1 to 100.",
        )
    return Backoff(float(first), float(factor), float(cap))


@dataclass(frozen=True, slots=True)
class RetryOptions:
    """When a failed call is tried again. `delays` in seconds, the last repeating; with `factor` above 1 they grow."""

    retries: int = 0
    delays: tuple[float, ...] = (0.0,)
    factor: float = 1.0
    cap: float = 3600.0
    jitter: float = 0.0
    retry_on: tuple[type[BaseException], ...] = ()
    condition: Condition | None = None


def retry_options(
    *,
    retries: int = 0,
    delay: Delay = 0.0,
    jitter: float = 0.0,
    cap: float | None = None,
    retry_on: Retriable = (),
    condition: Condition | None = None,
) -> RetryOptions:
    """Check what an author wrote and bring it to one shape. Raises UsageError naming the option."""
    if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= MAX_RETRIES:
        raise UsageError(f"retries={retries!r} is not a whole number from 0 to {MAX_RETRIES}")
    if not 0 <= jitter <= 1:
        raise UsageError(f"retry_jitter_factor={jitter!r} is not between 0 and 1", hint="0.2 spreads by 20 %.")
    if cap is not None and not 0 <= cap <= 30 * DAY:
        raise UsageError(f"retry_delay_cap={cap!r} is not a number of seconds from 0 to {30 * DAY:.0f}")
    if condition is not None and not callable(condition):
        raise UsageError(f"retry_condition={condition!r} cannot be called", hint="Give a function of the exception.")
    growth = delay if isinstance(delay, Backoff) else None
    return RetryOptions(
        retries=retries,
        delays=(growth.first,) if growth else _delays(delay),
        factor=growth.factor if growth else 1.0,
        cap=float(cap) if cap is not None else growth.cap if growth else 30 * DAY,
        jitter=float(jitter),
        retry_on=_types(retry_on),
        condition=condition,
    )


def _delays(delay: Delay) -> tuple[float, ...]:
    values = [delay] if isinstance(delay, int | float) else list(delay) if isinstance(delay, Iterable) else [None]
    if not values or len(values) > MAX_DELAYS or not all(_seconds(value) for value in values):
        raise UsageError(
            f"retry_delay_seconds={delay!r} is not a delay",
            hint=f"Give seconds, a list of up to {MAX_DELAYS} of them, or exponential_backoff(...).",
        )
    return tuple(float(value) for value in values)  # type: ignore[arg-type]


def _seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 30 * DAY


def _types(retry_on: Retriable) -> tuple[type[BaseException], ...]:
    types = retry_on if isinstance(retry_on, tuple) else tuple(retry_on) if isinstance(retry_on, list) else (retry_on,)
    for kind in types:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise UsageError(f"retry_on={kind!r} is not an exception type", hint="Example: retry_on=(TimeoutError,).")
    return types
