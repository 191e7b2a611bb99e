"""Named limits in flows and tasks: `with concurrency("db")`, `rate_limit("api")`."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from hub.errors import UsageError
from hub.sdk import port

Names: TypeAlias = "str | Iterable[str]"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of limits. `timeout` in seconds, None: as long as it takes, 0: now or not at all."""

    names: tuple[str, ...]
    occupy: int = 1
    timeout: float | None = None
    strict: bool = True
    rate_only: bool = False


class Concurrency:
    """Slots of limits, for the length of one `with` or `async with` block."""

    __slots__ = ("_wanted", "held")

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        # What the runtime has got for it.
        self.held: Any = None

    def __repr__(self) -> str:
        return f"concurrency({', '.join(self._wanted.names)})"

    def __enter__(self) -> None:
        self._once()
        port.runtime().take_slots(self, self._wanted, on_loop=False)

    def __exit__(self, *_: object) -> None:
        port.runtime().give_slots(self, on_loop=False)

    def __aenter__(self) -> Awaitable[None]:
        self._once()
        return port.runtime().take_slots(self, self._wanted, on_loop=True)  # type: ignore[no-any-return]

    def __aexit__(self, *_: object) -> Awaitable[None]:
        return port.runtime().give_slots(self, on_loop=True)  # type: ignore[no-any-return]

    def _once(self) -> None:
        if self.held is not None:
            raise UsageError(f"{self!r} is entered already", hint="Write concurrency(...) anew for each block.")


def concurrency(
    names: Names, *, occupy: int = 1, timeout: float | None = None, strict: bool = True
) -> Concurrency:  # fmt: skip
    """Hold `occupy` slots of each of the named limits while the block runs; wait for them in line, first come first.

        with concurrency("db"): ...
        async with concurrency(["db", "api"], occupy=2, timeout=30): ...

    `timeout` in seconds (None: wait as long as it takes) raises LimitTimeout, a TimeoutError. A limit that nobody has
    made raises UsageError, or limits nothing with `strict=False`. Several limits are given all at once or not at all.
    Of a limit that has a rate too, `occupy` of that is spent. Slots end with the run's attempt, whatever becomes of it.
    """
    return Concurrency(_wanted(names, occupy, timeout, strict=strict, rate_only=False))


def rate_limit(names: Names, *, occupy: int = 1, timeout: float | None = None, strict: bool = True) -> Any:
    """Spend `occupy` of the rate of each of the named limits; wait in line until that is to be had.

        rate_limit("api")            # in plain code
        await rate_limit("api")      # in a coroutine

    Never more than a limit's rate is spent in any time as long as its period. Errors as of `concurrency`.
    """
    return port.runtime().spend_rate(_wanted(names, occupy, timeout, strict=strict, rate_only=True))


def _wanted(names: Names, occupy: int, timeout: float | None, *, strict: bool, rate_only: bool) -> Wanted:
    found = (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))
    if not found or len(found) > 20 or not all(isinstance(name, str) and name for name in found):
        raise UsageError(f"{names!r} does not name limits", hint="Give a name, or a list of up to 20 names.")
    if isinstance(occupy, bool) or not isinstance(occupy, int) or not 1 <= occupy <= 100_000:
        raise UsageError(f"occupy={occupy!r} is not a whole number from 1 to 100000")
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout >= 0):
        raise UsageError(f"timeout={timeout!r} is not a number of seconds from 0", hint="None waits without end.")
    return Wanted(found, occupy, timeout, strict, rate_only)
