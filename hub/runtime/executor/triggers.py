"""Whether a task runs, given how what it waited for has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from hub.runtime.executor.values import Needs
from hub.sdk.futures import Future

SKIPPED = "Skipped"
"""Name of the state of a task that its trigger, or that of one it needs, kept from running."""


@dataclass(frozen=True, slots=True)
class Runs:
    """It runs. `forgiving`: exceptions take the place of results that failed."""

    forgiving: bool = False


@dataclass(frozen=True, slots=True)
class Skips:
    """It does not run, and that is no failure. `why` in words."""

    why: str


@dataclass(frozen=True, slots=True)
class Fails:
    """It cannot run: this one, which it needs, has failed."""

    upstream: Future[Any]
    error: BaseException


Verdict: TypeAlias = "Runs | Skips | Fails"


def verdict(trigger: str, needs: Needs) -> Verdict:
    """What `trigger` says, once all futures of `needs` have ended."""
    known = needs.futures
    failed = [(future, error) for future in known if (error := future.exception()) is not None]
    if trigger == "all_done":
        return Runs(forgiving=True)
    if trigger == "one_failed":
        return Runs(forgiving=True) if failed else Skips(f"trigger one_failed: {_none_failed(known)}")
    for future, error in failed:
        if not needs.forgiven(future):
            return Fails(future, error)
    if trigger == "all_success":
        for future in known:
            if future.state.name == SKIPPED and not needs.forgiven(future):
                return Skips(f"trigger all_success: {future.name}, which it needs, was skipped")
    return Runs()


def _none_failed(futures: list[Future[Any]]) -> str:
    if not futures:
        return "it waits for no other task"
    named = ", ".join(future.name for future in futures[:5])
    more = f" and {len(futures) - 5} more" if len(futures) > 5 else ""
    return f"none of those it waits for has failed ({named}{more})"
