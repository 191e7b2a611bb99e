"""The journal: where the facts of a run's tasks go, and where a new attempt finds them.

`put` queues a fact without waiting; `settle` returns once it is committed. Facts that queue up while another commit
is under way go into one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from hub.runtime.executor.results import Stored
from hub.states import StateType
from hub.types import Id, Micros

if TYPE_CHECKING:
    from hub.runtime.journal_sql import Fence
    from hub.store.base import Tx

Write: TypeAlias = "Callable[[Tx], object]"
Waiter: TypeAlias = Callable[[BaseException | None], object]


class AttemptLost(BaseException):
    """This attempt is no longer the run's: it must stop, and nothing it says counts. Not for `except Exception`."""


class Fact:
    """Something to be written: a task run as it now is, a state it entered, a log line; any may be None.

    `row` makes the row of the task run `key`, and `state` the one of its history; of several facts about one task run,
    only the last one's `row` is made and written. `also` writes what else became true, in the same transaction; it
    must not refuse. `before`: the start, and what came before it, when the row says all that their histories would.
    """

    __slots__ = ("also", "before", "key", "log", "row", "state", "waiter", "written")

    def __init__(
        self,
        key: Id | None = None,
        row: Callable[[], tuple[Any, ...]] | None = None,
        state: Callable[[], tuple[Any, ...]] | None = None,
        log: tuple[Any, ...] | None = None,
        also: Callable[[Tx], object] | None = None,
    ) -> None:
        self.key = key
        self.row = row
        self.state = state
        self.log = log
        self.also = also
        self.before: tuple[Fact, ...] = ()
        self.waiter: Waiter | None = None
        self.written = False


def both(first: Write | None, second: Write | None) -> Write | None:
    """One `also` of a fact for two things that became true."""
    if first is None or second is None:
        return first or second

    def write(tx: Tx) -> None:
        first(tx)
        second(tx)

    return write


UNDONE = "RolledBack"
"""Stands for the state of a step that had completed and was undone: it is done again."""


class Known:
    """A step that an earlier attempt knows."""

    __slots__ = (
        "attempt", "created_at", "due_at", "error_type", "id", "retries_used", "state_name", "state_type", "version",
    )  # fmt: skip

    def __init__(
        self, id: Id, state_type: str, state_name: str, version: int, attempt: int, retries_used: int = 0,
        created_at: Micros = 0, due_at: Micros | None = None, error_type: str | None = None,
    ) -> None:  # fmt: skip
        self.id = id
        self.state_type = state_type
        self.state_name = state_name
        self.version = version
        self.attempt = attempt
        self.retries_used = retries_used
        self.created_at = created_at
        self.due_at = due_at
        self.error_type = error_type

    @property
    def retries_go_on(self) -> bool:
        """Whether its try was broken off or its next one is due: the retries it has used are used."""
        return self.state_type not in (StateType.COMPLETED, StateType.FAILED)

    @property
    def awaits_retry(self) -> bool:
        """Whether its next try is due at `due_at`."""
        return self.state_type == StateType.SCHEDULED and self.state_name == "AwaitingRetry"


class Journal(Protocol):
    """What the executor needs. All methods may be called from any thread."""

    cancelling: bool
    """Whether the last commit met a run that is to be cancelled."""

    def put(self, fact: Fact) -> None:
        """Queue a fact; it is written soon, in order."""

    def settle(self, fact: Fact) -> None:
        """Return once `fact` is committed. Raises UnavailableError, or AttemptLost."""

    def settle_then(self, fact: Fact, waiter: Waiter) -> None:
        """Call `waiter` with None once `fact` is committed, else with what settle would raise; from another thread."""

    def flush(self) -> None:
        """Return once everything queued so far is committed."""

    def known(self, run_id: Id, *, until: Id | None = None) -> dict[str, Known]:
        """The steps of a run by their journal key. Those that a lost attempt left open are closed.

        `until`: only what was done before that task run began, without the tasks it was called in; START: nothing.
        """

    def result(self, task_run_id: Id) -> Stored:
        """The kept result of a completed step."""

    def fence(self) -> Fence | None:
        """What the run must still be for a write of this attempt to count; None where nothing is kept."""

    def seal(self) -> None:
        """The run is about to be reported: write what is queued, drop what comes after (a given-up thread's lines)."""

    def close(self) -> None:
        """Write what is queued and stop."""


class NoJournal:
    """Nothing is kept: for HUB_JOURNAL=off and for tasks called outside a flow."""

    cancelling = False

    def put(self, fact: Fact) -> None:
        """See Journal.put."""

    def settle(self, fact: Fact) -> None:
        """See Journal.settle."""

    def settle_then(self, fact: Fact, waiter: Waiter) -> None:  # noqa: ARG002 - the protocol's signature
        """See Journal.settle_then."""
        waiter(None)

    def flush(self) -> None:
        """See Journal.flush."""

    def known(self, run_id: Id, *, until: Id | None = None) -> dict[str, Known]:  # noqa: ARG002 - the protocol's
        """See Journal.known."""
        return {}

    def result(self, task_run_id: Id) -> Stored:  # noqa: ARG002 - the protocol's signature
        """See Journal.result."""
        return Stored(None, "none")

    def fence(self) -> Fence | None:
        """See Journal.fence."""
        return None

    def seal(self) -> None:
        """See Journal.seal."""

    def close(self) -> None:
        """See Journal.close."""
