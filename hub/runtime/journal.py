"""The journal: where the facts of a run's tasks go, and where a new attempt finds them.

`put` queues a fact without waiting; `settle` returns once it is committed. Facts that queue up while another commit
is under way go into one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from hub.runtime.executor.results import Stored
from hub.types import Id

Waiter: TypeAlias = Callable[[BaseException | None], object]


class AttemptLost(BaseException):
    """This attempt is no longer the run's: it must stop, and nothing it says counts. Not for `except Exception`."""


class Fact:
    """Something to be written: a task run as it now is, a state it entered, a log line; any may be None.

    `row` makes the row of the task run `key`; of several facts about one, only the last one's is made and written.
    """

    __slots__ = ("key", "log", "row", "state", "waiter", "written")

    def __init__(
        self,
        key: Id | None = None,
        row: Callable[[], tuple[Any, ...]] | None = None,
        state: tuple[Any, ...] | None = None,
        log: tuple[Any, ...] | None = None,
    ) -> None:
        self.key = key
        self.row = row
        self.state = state
        self.log = log
        self.waiter: Waiter | None = None
        self.written = False


class Known:
    """A step that an earlier attempt knows."""

    __slots__ = ("attempt", "id", "state_name", "state_type", "version")

    def __init__(self, id: Id, state_type: str, state_name: str, version: int, attempt: int) -> None:
        self.id = id
        self.state_type = state_type
        self.state_name = state_name
        self.version = version
        self.attempt = attempt


class Journal(Protocol):
    """What the executor needs. All methods may be called from any thread."""

    def put(self, fact: Fact) -> None:
        """Queue a fact; it is written soon, in order."""

    def settle(self, fact: Fact) -> None:
        """Return once `fact` is committed. Raises UnavailableError, or AttemptLost."""

    def settle_then(self, fact: Fact, waiter: Waiter) -> None:
        """Call `waiter` with None once `fact` is committed, else with what settle would raise; from another thread."""

    def flush(self) -> None:
        """Return once everything queued so far is committed."""

    def known(self, run_id: Id) -> dict[str, Known]:
        """The steps of a run by their journal key. Those that a lost attempt left open are closed."""

    def result(self, task_run_id: Id) -> Stored:
        """The kept result of a completed step."""

    def seal(self) -> None:
        """The run is about to be reported: write what is queued, drop what comes after (a given-up thread's lines)."""

    def close(self) -> None:
        """Write what is queued and stop."""


class NoJournal:
    """Nothing is kept: for HUB_JOURNAL=off and for tasks called outside a flow."""

    def put(self, fact: Fact) -> None:
        """See Journal.put."""

    def settle(self, fact: Fact) -> None:
        """See Journal.settle."""

    def settle_then(self, fact: Fact, waiter: Waiter) -> None:  # noqa: ARG002 - the protocol's signature
        """See Journal.settle_then."""
        waiter(None)

    def flush(self) -> None:
        """See Journal.flush."""

    def known(self, run_id: Id) -> dict[str, Known]:  # noqa: ARG002 - the protocol's signature
        """See Journal.known."""
        return {}

    def result(self, task_run_id: Id) -> Stored:  # noqa: ARG002 - the protocol's signature
        """See Journal.result."""
        return Stored(None, "none")

    def seal(self) -> None:
        """See Journal.seal."""

    def close(self) -> None:
        """See Journal.close."""
