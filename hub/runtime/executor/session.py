"""One attempt of one flow run while it executes: its steps, its futures, its log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hub.errors import NotFoundError
from hub.runtime.executor import results
from hub.runtime.executor.branches import Trunk
from hub.runtime.executor.ordinals import Counters, Ordinals
from hub.runtime.executor.results import Stored, Unreadable
from hub.runtime.executor.root import Root
from hub.runtime.executor.texts import MESSAGE_CHARS, clean
from hub.runtime.executor.triggers import SKIPPED
from hub.runtime.homes import LogLine
from hub.runtime.journal import UNDONE, Fact, Known
from hub.sdk.context import FlowInfo, RunContext
from hub.sdk.futures import Future
from hub.sdk.futurestream import FutureStream
from hub.sdk.runners import TaskRunner
from hub.states import State, StateType
from hub.types import Id, now_us

if TYPE_CHECKING:
    from hub.runtime.executor.root import Leaving
    from hub.runtime.executor.taskrecord import TaskRecord

LINE_CHARS = 16_384


class Session:
    """`earlier` are the steps of this run's former attempts, `restarted` those of the run that it repeats."""

    def __init__(
        self,
        root: Root,
        info: FlowInfo,
        *,
        printing: bool = False,
        result_store: str | None = None,
        result_serializer: str | None = None,
        attempt_id: Id | None = None,
        branch: Trunk | None = None,
        epoch: int = 0,
        outer: Session | None = None,
        outer_step: Id | None = None,
        within_task: bool = False,
    ) -> None:
        self.root = root
        self.branch: Trunk = branch or root
        """What this run is stopped with."""
        self.journal = root.journal
        self.info = info
        self.printing = printing
        self.earlier: dict[str, Known] = {}
        self.restarted: dict[str, Known] = {}
        self.recalled = False
        """Whether these two have been read."""
        self.result_store = result_store
        self.result_serializer = result_serializer
        """What the flow's author says of its tasks; a task may say otherwise."""
        self.attempt_id = attempt_id
        self.place = ""
        """Where its transactions are: empty for the outermost flow of a process."""
        self.owner: Id | None = None
        """Whose transactions its calls are part of, when that is not the run of this process."""
        self.epoch = epoch
        self.outer = outer
        """That of the run which this one is nested in; `outer_step` is the task run that it is there."""
        self.outer_step = outer_step
        self.within_task = within_task
        """Whether a task has called this flow, so that it must end where it began."""
        self.resting: list[Leaving] = []
        """Of submitted tasks that have ended here until their retry is due."""
        self.body: RunContext | None = None
        """The code of the flow itself; that of its hooks has another."""
        self.values: dict[str, Any] = {}
        """Values that replay, as made in this attempt."""
        self.ordinals = Ordinals()
        self.names = Counters()
        self._unfinished: set[Future[Any]] = set()
        self.untaken: list[FutureStream[Any]] = []
        """Of lazy maps: those that nobody has begun to take from."""
        self.open: dict[Id, TaskRecord] = {}
        """Task runs that have begun and not ended."""
        self.assets: dict[Id, tuple[str, ...]] = {}
        """What task runs of this flow hand on: assets that they make, else those they were made from."""
        self.handed: set[str] = set()
        """Steps whose generators have handed out items; the flow's own is ""."""
        self.ended = False
        self.runner: TaskRunner | None = None
        """Where submitted tasks execute; None: on threads of the run."""
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
        at, logger, message = now_us(), clean(logger, 200), clean(message, LINE_CHARS)
        row = (root.scope.workspace_id, self.info.run_id, task_run_id, self.info.attempt, at, level, logger, message)
        self.journal.put(Fact(log=row))
        if root.listener is not None:
            task = None if task_run_id is None else self.open.get(task_run_id)
            root.listener(LogLine(at, level, logger, self.info.run_name if task is None else task.name, message))

    def state_row(self, task_run_id: Id, state: State, attempt: int, at: int) -> tuple[Any, ...]:
        """The history row of a state of a task run."""
        message = clean(state.message, MESSAGE_CHARS) if state.message else ""
        return (
            self.root.scope.workspace_id, self.info.run_id, task_run_id, state.type.value, state.name, message,
            attempt, at, self._actor,
        )  # fmt: skip

    def recall(self, key: str, hint: Any, serializer: str | None = None) -> Recalled | None:
        """The result of a step that ended well before, if it can be read. Reads the database."""
        for steps, again in ((self.earlier, False), (self.restarted, True)):
            known = steps.get(key)
            if known is not None and known.state_name == UNDONE:
                return None
            if known is None or known.state_type != StateType.COMPLETED or known.state_name == SKIPPED:
                continue
            try:
                stored = self.journal.result(known.id)
                value = results.decode(self.root.places.get(stored), hint, serializer or self.result_serializer)
            except (Unreadable, NotFoundError) as reason:  # gone: retention may remove the run that this one repeats
                self.log(known.id, 20, "hub", f"the result of an earlier attempt is not at hand ({reason}): runs again")
                return None
            return Recalled(value, known, stored, again)
        return None

    def unfinished(self) -> list[Future[Any]]:
        """Futures of this flow that have not ended."""
        return [future for future in list(self._unfinished) if not future.done()]

    def add(self, futures: Iterable[Future[Any]]) -> None:
        """Note submitted tasks, so that the flow waits for them. Those that have ended are let go, values and all."""
        # Adding, discarding and copying are single C calls: no lock is needed between threads.
        for future in futures:
            self._unfinished.add(future)
            future.add_done_callback(self._unfinished.discard)


class Recalled:
    """A step that need not run. `again`: it ran in the run that this one repeats, so this run gets a row of its own."""

    __slots__ = ("again", "known", "stored", "value")

    def __init__(self, value: Any, known: Known, stored: Stored, again: bool) -> None:
        self.value = value
        self.known = known
        self.stored = stored
        self.again = again
