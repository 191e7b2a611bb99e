"""What the rules know of a run, what can happen to it, and what they answer. Frozen values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from hub.engine.retry import NEVER, RetryPolicy
from hub.engine.values import quick
from hub.errorclasses import ErrorClass
from hub.states import State, StateType
from hub.types import Id, Micros

Home: TypeAlias = Literal["worker", "inline"]


@quick
@dataclass(frozen=True, slots=True)
class Run:
    """A flow run or a task run, as far as the rules care.

    `attempt` counts executions from 1 (0: none yet); `epoch` counts doorbells of that attempt. A report from a
    worker carries both, and an older pair is refused. `home` inline: it lives in the caller's process and is
    never dispatched.
    """

    id: Id
    workspace_id: Id
    state: State
    version: int = 0
    attempt: int = 0
    epoch: int = 0
    home: Home = "worker"
    kind: Literal["flow", "task"] = "flow"
    retries_used: int = 0
    crashes: int = 0
    crash_retries: int = 2
    retry: RetryPolicy = NEVER
    due_at: Micros = 0
    started_at: Micros | None = None


# --- signals: what happened, said by whoever saw it ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dispatch:
    """The dispatcher found a free slot: an attempt is opened and its doorbell will be rung."""

    worker_id: Id


@dataclass(frozen=True, slots=True)
class Redispatch:
    """The doorbell was rung and nobody came: ring again, elsewhere if need be. Stale epochs die."""

    worker_id: Id


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker child answered the doorbell of this attempt and epoch."""

    attempt: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Begin:
    """It starts in the process that asks (a plain call of a flow, or a task inside its flow)."""


@quick
@dataclass(frozen=True, slots=True)
class Complete:
    """User code returned. `name` is Completed, Cached or Skipped.

    `declared`: somebody else says that it is done; what executes it is taken away from whoever does.
    """

    attempt: int
    epoch: int = 0
    name: str = "Completed"
    message: str = ""
    declared: bool = False


@dataclass(frozen=True, slots=True)
class Fail:
    """User code raised, or was over its timeout (`timed_out`). `retryable` False: a retry is not wanted.

    `error_class`: what kind of failure it was; `retry_after`: seconds that the other side asked to wait.
    """

    attempt: int
    epoch: int = 0
    message: str = ""
    timed_out: bool = False
    retryable: bool = True
    spread: float = 0.5
    error_class: ErrorClass = ErrorClass.USER_ERROR
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Lose:
    """The lease of this attempt ran out, or its process is known to be dead."""

    attempt: int
    epoch: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """A worker that stops hands the attempt back unharmed; it costs no crash retry."""

    attempt: int
    epoch: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Suspend:
    """The attempt ends by its own wish and the run goes on in a later one. It costs no retry and no crash retry.

    `why` sleep: its code sleeps until `due_at`; retry: a retry of a task is due then; wait: it waits for somebody, and
    a `due_at` says that what it waited for has come meanwhile.
    """

    attempt: int
    epoch: int = 0
    why: Literal["sleep", "retry", "wait"] = "sleep"
    due_at: Micros | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Its code waits for somebody and keeps its process, its lease and its slot meanwhile."""

    attempt: int
    epoch: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class GoOn:
    """What a waiting process waited for has come, or its time is over."""

    attempt: int
    epoch: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Somebody wants it to stop."""

    message: str = ""


@dataclass(frozen=True, slots=True)
class Stopped:
    """What ran a cancelling attempt has ended."""

    attempt: int
    epoch: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    """It can never run (its parameters or its code are wrong); known before user code started.

    `attempt` and `epoch` when it is a worker that found out. Without them somebody else declares that it has failed:
    what executes is taken away from whoever does.
    """

    message: str = ""
    attempt: int | None = None
    epoch: int = 0
    error_class: ErrorClass = ErrorClass.USER_ERROR


@dataclass(frozen=True, slots=True)
class MarkLate:
    """It should have started by now and has not."""

    message: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """Hold a run that has not started, until somebody resumes it."""

    message: str = ""


@dataclass(frozen=True, slots=True)
class Resume:
    """Let a paused run go on."""

    message: str = ""


@dataclass(frozen=True, slots=True)
class Wake:
    """What a run left its process for will not come: a flow nested in it was cancelled while it slept."""

    message: str = ""


Signal: TypeAlias = (
    Dispatch
    | Redispatch
    | Claim
    | Begin
    | Complete
    | Fail
    | Lose
    | Release
    | Suspend
    | Wait
    | GoOn
    | Cancel
    | Stopped
    | Reject
    | MarkLate
    | Pause
    | Resume
    | Wake
)

# --- answers ---------------------------------------------------------------------------------------------------

AttemptMove: TypeAlias = Literal["open", "reopen", "claim", "end", "lose", "release"]


@quick
@dataclass(frozen=True, slots=True)
class Transition:
    """One state change, as data. The store commits it only if the run is still what `before` says.

    `event` is the past verb of the one event that goes with it (`hub.run.<verb>`); `attempt_move` says what
    becomes of the attempt row; `changes` are further columns of the run. `error_class` says what kind of failure this
    was; a transition to an end without one takes back that of an earlier attempt.
    """

    before: Run
    state: State
    event: str
    attempt: int
    epoch: int
    attempt_move: AttemptMove | None = None
    worker_id: Id | None = None
    due_at: Micros | None = None
    started: bool = False
    ended: bool = False
    error_class: ErrorClass | None = None
    changes: Mapping[str, int] = field(default_factory=dict)

    @property
    def run_id(self) -> Id:
        """The run this belongs to."""
        return self.before.id


@dataclass(frozen=True, slots=True)
class Refusal:
    """The rules say no, and why. `code` is stable: already_final, stale, wrong_state, not_here."""

    code: Literal["already_final", "stale", "wrong_state", "not_here"]
    reason: str
    state: StateType
