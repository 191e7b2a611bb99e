"""The state machine of a run, as data. `docs/states.md` draws it; a test compares drawing and table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class StateType(StrEnum):
    """What a run is, to the rules. The free display name beside it (Late, Retrying, ...) is for people."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CRASHED = "CRASHED"
    CANCELLED = "CANCELLED"


S = StateType

TERMINAL: frozenset[StateType] = frozenset({S.COMPLETED, S.FAILED, S.CRASHED, S.CANCELLED})
"""Final: a terminal state never changes. Starting again by hand makes a new run with `restart_of`."""

WAITING: frozenset[StateType] = frozenset({S.SCHEDULED, S.PENDING, S.PAUSED})
"""Nothing of this run executes: it can be cancelled at once."""

MOVES: MappingProxyType[StateType, frozenset[StateType]] = MappingProxyType(
    {
        S.SCHEDULED: frozenset({S.PENDING, S.RUNNING, S.PAUSED, S.CANCELLED, S.FAILED, S.SCHEDULED}),
        S.PENDING: frozenset({S.PENDING, S.RUNNING, S.SCHEDULED, S.CANCELLED, S.COMPLETED, S.FAILED, S.CRASHED}),
        S.RUNNING: frozenset(
            {S.RUNNING, S.COMPLETED, S.FAILED, S.CRASHED, S.CANCELLING, S.CANCELLED, S.SCHEDULED, S.PAUSED}
        ),
        S.PAUSED: frozenset({S.SCHEDULED, S.CANCELLED, S.FAILED}),
        S.CANCELLING: frozenset({S.CANCELLED}),
        S.COMPLETED: frozenset(),
        S.FAILED: frozenset(),
        S.CRASHED: frozenset(),
        S.CANCELLED: frozenset(),
    }
)
"""Which state may follow which. The rules may use only these; a test walks both."""

NAMES: MappingProxyType[str, StateType] = MappingProxyType(
    {
        "Scheduled": S.SCHEDULED,
        "Late": S.SCHEDULED,
        "AwaitingRetry": S.SCHEDULED,
        "Sleeping": S.SCHEDULED,
        "Recovering": S.SCHEDULED,
        "Pending": S.PENDING,
        "Running": S.RUNNING,
        "Retrying": S.RUNNING,
        "Waiting": S.RUNNING,
        "Paused": S.PAUSED,
        "Suspended": S.PAUSED,
        "Cancelling": S.CANCELLING,
        "Completed": S.COMPLETED,
        "Cached": S.COMPLETED,
        "Skipped": S.COMPLETED,
        "Failed": S.FAILED,
        "TimedOut": S.FAILED,
        "Crashed": S.CRASHED,
        "Cancelled": S.CANCELLED,
    }
)
"""Every display name the hub itself gives, with its type."""


@dataclass(frozen=True, slots=True)
class State:
    """A state as it is shown: its type, its display name, and a sentence when there is something to say."""

    type: StateType
    name: str
    message: str = ""

    @property
    def final(self) -> bool:
        """Whether nothing can follow."""
        return self.type in TERMINAL


DONE = State(S.COMPLETED, "Completed")
"""The usual end. When a task run came to it in its first attempt, and its start was not written before, it has no
history rows for the two, nor for that it waited if that was not written either: its own row says when each was. Most
task runs are such, and rows are what a task costs."""
