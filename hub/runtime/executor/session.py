"""One attempt of one flow run while it executes: its steps, its futures, its log."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hub.runtime.executor import results
from hub.runtime.executor.digests import Ordinals
from hub.runtime.executor.results import Stored, Unreadable
from hub.runtime.executor.root import Root
from hub.runtime.executor.texts import clean
from hub.runtime.journal import Fact, Known
from hub.sdk.context import FlowInfo
from hub.sdk.futures import Future
from hub.states import StateType
from hub.types import Id, now_us

if TYPE_CHECKING:
    from hub.runtime.executor.taskrecord import TaskRecord

LINE_CHARS = 16_384
_MANY = 5_000


class Session:
    """`earlier` are the steps of this run's former attempts, `restarted` those of the run that it repeats."""

    def __init__(
        self,
        root: Root,
        info: FlowInfo,
        *,
        printing: bool = False,
        earlier: dict[str, Known] | None = None,
        restarted: dict[str, Known] | None = None,
    ) -> None:
        self.root = root
        self.journal = root.journal
        self.info = info
        self.printing = printing
        self.earlier = earlier or {}
        self.restarted = restarted or {}
        self.ordinals = Ordinals()
        self.names = Ordinals()
        self._futures: list[Future[Any]] = []
        self._many = _MANY
        self._lock = threading.Lock()
        self.open: dict[Id, TaskRecord] = {}
        """Task runs that have begun and not ended."""
        self.ended = False
        self._actor = str(root.scope.actor)

    def log(self, task_run_id: Id | None, level: int, logger: str, message: str) -> None:
        """Write a line to the run's log; after very many lines, one that says so and no more."""
        root = self.root
        root.log_lines -= 1
        root.log_chars -= len(message)
        if root.log_lines < 0 or root.log_chars < 0:
            if root.log_lines < -1_000_000_000:
                return
            root.log_lines = -2_000_000_000
            message = "this run has written too much: later lines are left out"
        row = (
            root.scope.workspace_id, self.info.run_id, task_run_id, self.info.attempt, now_us(), level,
            clean(logger, 200), clean(message, LINE_CHARS),
        )  # fmt: skip
        self.journal.put(Fact(log=row))

    def state_row(self, task_run_id: Id, type_: str, name: str, message: str, attempt: int, at: int) -> tuple[Any, ...]:
        """The history row of a state of a task run."""
        return (
            self.root.scope.workspace_id, self.info.run_id, task_run_id, type_, name, message, attempt, at, self._actor,
        )  # fmt: skip

    def recall(self, key: str, hint: Any) -> Recalled | None:
        """The result of a step that ended well before, if it can be read. Reads the database."""
        for steps, again in ((self.earlier, False), (self.restarted, True)):
            known = steps.get(key)
            if known is None or known.state_type != StateType.COMPLETED:
                continue
            try:
                stored = self.journal.result(known.id)
                value = results.decode(results.get(stored, self.root.results), hint)
            except Unreadable as reason:
                self.log(known.id, 20, "hub", f"the result of an earlier attempt is not at hand ({reason}): runs again")
                return None
            return Recalled(value, known, stored, again)
        return None

    def unfinished(self) -> list[Future[Any]]:
        """Futures of this flow that have not ended."""
        with self._lock:
            self._futures = [future for future in self._futures if not future.done()]
            return list(self._futures)

    def add(self, futures: Iterable[Future[Any]]) -> None:
        """Note submitted tasks, so that the flow waits for them. Those that have ended are let go now and then."""
        with self._lock:
            self._futures.extend(futures)
            if len(self._futures) > self._many:
                self._futures = [future for future in self._futures if not future.done()]
                self._many = max(_MANY, 2 * len(self._futures))


class Recalled:
    """A step that need not run. `again`: it ran in the run that this one repeats, so this run gets a row of its own."""

    __slots__ = ("again", "known", "stored", "value")

    def __init__(self, value: Any, known: Known, stored: Stored, again: bool) -> None:
        self.value = value
        self.known = known
        self.stored = stored
        self.again = again
