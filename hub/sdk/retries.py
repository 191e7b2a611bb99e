"""Retry options as authors write them, checked where they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypedDict, Unpack

from hub.errorclasses import ErrorClass
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


Delay: TypeAlias = "float | Iterable[float] | Backoff | Callable[[int], float]"
Errors: TypeAlias = "type[BaseException] | str | Iterable[type[BaseException] | str]"
Retriable: TypeAlias = Errors
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


class RetryGiven(TypedDict, total=False):
    """What authors write about retries, beside a flow, a task or in a `retry_policy`."""

    retries: int
    retry_delay_seconds: Delay
    retry_jitter_factor: float
    retry_delay_cap: float
    retry_budget_seconds: float
    retry_on: Retriable
    give_up_on: Retriable
    retry_condition: Condition


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Retry options under a name, for flows and tasks to share; made by `retry_policy`."""

    name: str
    given: Mapping[str, Any] = field(repr=False)


def retry_policy(name: str, **options: Unpack[RetryGiven]) -> RetryPolicy:
    """Name retry options to share: `polite = retry_policy("polite", retries=5)`, then `@task(retry_policy=polite)`.

    Options written beside `retry_policy=` go before those of the policy. Raises UsageError for a wrong or unknown one.
    """
    if not isinstance(name, str) or not 0 < len(name) <= 100 or not name.isprintable():
        raise UsageError(f"retry_policy({name!r}) is not a name", hint="A name is one line of 1 to 100 characters.")
    for option in options:
        if option not in RetryGiven.__annotations__:
            known = ", ".join(sorted(RetryGiven.__annotations__))
            raise UsageError(f"retry_policy({name!r}) has no option {option!r}", hint=f"Known: {known}.")
    retry_options(options)
    return RetryPolicy(name, dict(options))


@dataclass(frozen=True, slots=True)
class RetryOptions:
    """When a failed call is tried again. `delays` in seconds, the last repeating; with `factor` above 1 they grow."""

    retries: int = 0
    delays: tuple[float, ...] = (0.0,)
    factor: float = 1.0
    cap: float = 3600.0
    jitter: float = 0.0
    budget: float | None = None
    retry_on: tuple[type[BaseException] | ErrorClass, ...] = ()
    give_up_on: tuple[type[BaseException] | ErrorClass, ...] = ()
    condition: Condition | None = None
    stated: frozenset[str] = frozenset()
    """Which of `retries` and `retry_delay_seconds` the author wrote; for the others the settings have defaults."""


NEVER = RetryOptions(stated=frozenset({"retries"}))
"""No retries, whatever the settings say."""


def retry_options(given: Mapping[str, Any]) -> RetryOptions:
    """Check what an author wrote (the names of `RetryGiven`) and bring it to one shape. Raises UsageError."""
    retries, jitter = given.get("retries", 0), given.get("retry_jitter_factor", 0.0)
    delay, condition = given.get("retry_delay_seconds", 0.0), given.get("retry_condition")
    if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= MAX_RETRIES:
        raise UsageError(f"retries={retries!r} is not a whole number from 0 to {MAX_RETRIES}")
    if not 0 <= jitter <= 1:
        raise UsageError(f"retry_jitter_factor={jitter!r} is not between 0 and 1", hint="0.2 spreads by 20 %.")
    if condition is not None and not callable(condition):
        raise UsageError(f"retry_condition={condition!r} cannot be called", hint="Give a function of the exception.")
    cap, budget = _limit(given, "retry_delay_cap"), _limit(given, "retry_budget_seconds")
    growth = delay if isinstance(delay, Backoff) else None
    return RetryOptions(
        retries=retries,
        delays=(growth.first,) if growth else _delays(delay, retries),
        factor=growth.factor if growth else 1.0,
        cap=cap if cap is not None else growth.cap if growth else 30 * DAY,
        jitter=float(jitter),
        budget=budget,
        retry_on=_errors("retry_on", given.get("retry_on") or ()),
        give_up_on=_errors("give_up_on", given.get("give_up_on") or ()),
        condition=condition,
        stated=frozenset({"retries", "retry_delay_seconds"} & given.keys()),
    )


def with_policy(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """An author's options with those of their `retry_policy` behind them. Raises UsageError when it is none."""
    policy = given.get("retry_policy")
    if policy is None:
        return given
    if not isinstance(policy, RetryPolicy):
        hint = "Make one: polite = hub.retry_policy('polite', retries=3, retry_delay_seconds=10)."
        raise UsageError(f"retry_policy={policy!r} is not a retry policy", hint=hint)
    return {**policy.given, **given}


def _limit(given: Mapping[str, Any], option: str) -> float | None:
    value = given.get(option)
    if value is not None and not _seconds(value):
        raise UsageError(f"{option}={value!r} is not a number of seconds from 0 to {30 * DAY:.0f}")
    return None if value is None else float(value)


def _delays(delay: Any, retries: int) -> tuple[float, ...]:
    values = _each(delay, retries)
    if not values or len(values) > MAX_DELAYS or not all(_seconds(value) for value in values):
        said = f", which gave {values!r:.200}" if callable(delay) else ""
        raise UsageError(
            f"retry_delay_seconds={delay!r}{said} is not a delay",
            hint=f"Give seconds, a list of up to {MAX_DELAYS} of them, exponential_backoff(...), or a function that"
            " gives seconds for the number of the retry (1 is the first).",
        )
    return tuple(float(value) for value in values)


def _each(delay: Any, retries: int) -> list[Any]:
    if callable(delay):
        try:
            # Asked here, not at the failure: the delays of a worker's run are stored with it.
            return [delay(number) for number in range(1, max(1, min(retries, MAX_DELAYS)) + 1)]
        except Exception as error:
            text = f"retry_delay_seconds={delay!r} raised {type(error).__name__}"
            raise UsageError(text, hint="It is called with 1, 2, 3 ... and gives seconds.") from error
    return [delay] if isinstance(delay, int | float) else list(delay) if isinstance(delay, Iterable) else [None]


def _seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 30 * DAY


def _errors(option: str, given: Retriable) -> tuple[type[BaseException] | ErrorClass, ...]:
    """Exception types, and error classes by name."""
    each = (given,) if isinstance(given, str | type) or not isinstance(given, Iterable) else tuple(given)
    return tuple(_error(option, one) for one in each)


def _error(option: str, one: object) -> type[BaseException] | ErrorClass:
    if isinstance(one, str) and one in ErrorClass._value2member_map_:
        return ErrorClass(one)
    if isinstance(one, type) and issubclass(one, BaseException):
        return one
    raise UsageError(
        f"{option}={one!r} is neither an exception type nor an error class",
        hint=f"Example: {option}=(TimeoutError, 'rate_limited'). Error classes: {', '.join(ErrorClass)}.",
    )
