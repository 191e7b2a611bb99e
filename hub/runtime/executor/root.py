"""What a run and the flows nested in it share while they execute in this process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from hub.errors import RunCancelled
from hub.runtime import links
from hub.runtime.bell import Bell
from hub.runtime.executor.branches import Branch, CancelledNow
from hub.runtime.executor.limits import interrupt_thread
from hub.runtime.executor.loops import LoopWork, RunLoop, running_loop
from hub.runtime.executor.places import Places
from hub.runtime.executor.pool import Pool
from hub.runtime.executor.retrying import NO_RETRIES, default_of_flows, default_of_tasks
from hub.runtime.heartbeat import Heartbeat
from hub.runtime.homes import Listener
from hub.runtime.journal import AttemptLost, Journal, NoJournal
from hub.sdk.context import RunContext, current
from hub.sdk.futures import Departure, Future
from hub.settings import Settings
from hub.store.base import Store
from hub.types import Id, Micros, Scope

if TYPE_CHECKING:
    from hub.runtime.executor.ledger import Ledger
    from hub.runtime.executor.processes import Processes
    from hub.runtime.executor.remote import Gatherer
    from hub.runtime.executor.tasklife import Call
    from hub.runtime.executor.undoing import Live

LOG_LINES = 200_000
LOG_CHARS = 50_000_000


class Leaving(Departure):
    """Unwinds a flow whose run leaves this process and goes on later. Not for `except Exception`; `finally` runs.

    `why` and `due_at` as in `engine.run.Suspend`; `point_id`: the wait point that it leaves for.
    """

    def __init__(
        self, why: Literal["sleep", "retry", "wait"], due_at: Micros | None, message: str,
        point_id: Id | None = None, root: Root | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.root = root
        self.why = why
        self.due_at = due_at
        self.message = message
        self.point_id = point_id

    def met(self) -> Leaving:
        """See Departure.met. Met by the body of the flow, which then calls nothing new."""
        context = current.get()
        if self.root is None or context is None or context.task_run_id is not None:
            return self
        return self.root.leave(self)


class Recording(Protocol):
    """Says what becomes of steps that a replay does not find among the completed ones. See `hub.testing.replay`."""

    def other(self, call: Call) -> Generator[Any, Any, Any]:
        """The rest of the life of a call."""

    def unknown(self, name: str, task_name: str) -> None:
        """Raise for a step that was not recorded."""


class Root:
    """The journal, the threads, the loop, and whether it all must stop."""

    can_leave = False
    """Whether the run may leave this process and go on in another: it is a flow that a worker executes."""
    wait_in_place = 60.0
    """Seconds up to which it does not leave."""
    web = ""
    """Where people reach the hub's pages."""
    leaving: Leaving | None = None
    """Set once it leaves: its flow calls nothing new, what it has called before ends."""

    def __init__(
        self, scope: Scope, journal: Journal | None = None, *, threads: int = 16, places: Places | None = None
    ) -> None:
        self.scope = scope
        self.journal: Journal = journal or NoJournal()
        self.places = places or Places(Path("/nonexistent"))
        self.threads = threads
        self.run_id: Id = ""
        """The outermost run's."""
        self.tainted = False
        self.stop = threading.Event()
        """Set when the run must end: nothing new starts, pauses are cut short."""
        self.stopped_by: BaseException | None = None
        self.branches: dict[Id, Branch] = {}
        """Runs nested in it that execute now, by their ids."""
        self.reporting = False
        """Set when the outermost flow is over and being reported: too late for an interruption."""
        self.log_lines = LOG_LINES
        self.log_chars = LOG_CHARS
        self.listener: Listener | None = None
        """Hears the lines of the log as they are written."""
        self.store: Store | None = None
        self.heartbeat: Heartbeat | None = None
        self.processes: Processes | None = None
        self.opening = threading.Lock()
        self.gatherer: Gatherer | None = None
        """Waits for what workers do for this run."""
        self.here = True
        """Whether this is the process that called the flow: nobody else goes on with the run."""
        self.recording: Recording | None = None
        """Set while recorded steps are replayed: nothing else runs, and no hook is called."""
        self.ledger: Ledger | None = None
        """Of transactions, where nothing is kept in a store."""
        self.live: dict[Id, Live] = {}
        """What is held of the steps of transactions that are under way."""
        self.said: set[str] = set()
        """What the log says once only."""
        self.bell: Bell | None = None
        """Heard by those who wait for limits."""
        self.artifacts: set[Id] = set()
        """Those that this process made for the run."""
        self.tags: tuple[float, frozenset[str]] | None = None
        """The names of limits of tags, and when (monotonic) they were looked up."""
        self.task_retries = NO_RETRIES
        self.flow_retries = NO_RETRIES
        """For tasks and nested flows that say nothing about them."""
        self.resting: list[Leaving] = []
        """Submitted tasks that have ended here until their retry is due."""
        self.in_place = 0
        """How many of its codes wait for somebody in this process."""
        self.lease_s = 30.0
        """For flows nested in this run."""
        self.ident: int | None = None
        """The thread that executes the outermost flow, when it is not a coroutine."""
        self.task: Any = None
        """The asyncio task that executes it, when it is one."""
        self._pool: Pool | None = None
        self._loop = RunLoop()
        self._lock = threading.Lock()

    def follow(self, settings: Settings) -> None:
        """Do as the settings of this process say."""
        self.lease_s, self.wait_in_place = settings.lease, settings.sdk_wait_in_place
        self.web = links.address(settings)
        self.task_retries, self.flow_retries = default_of_tasks(settings), default_of_flows(settings)

    @property
    def pool(self) -> Pool:
        """The threads for submitted tasks, started when there are any."""
        with self._lock:
            if self._pool is None:
                self._pool = Pool(self.threads)
            return self._pool

    def loop(self) -> Any:
        """The loop for submitted coroutines: the flow's own, else one beside it."""
        here = running_loop()
        if here is not None:
            return here
        if self.task is not None:
            return self.task.get_loop()
        return self._loop.get()

    def loop_beside(self) -> Any:
        """A loop that runs in another thread, whoever asks."""
        return self._loop.get()

    def taint(self) -> None:
        """Note that a thread was abandoned, which cannot be ended: the process should be."""
        self.tainted = True

    def check(self) -> None:
        """Raise what the run was stopped by, if it was."""
        if self.stopped_by is not None:
            raise self.stopped_by
        if self.journal.cancelling:
            self.halt(CancelledNow())
            raise CancelledNow

    def check_body(self, context: RunContext) -> None:
        """Raise the departure in code of a flow that calls something while it is being left, as in its `finally`.

        Done there it would count as done, and not be done when the flow really ends.
        """
        if self.leaving is not None and context.task_run_id is None:
            raise self.leaving

    def leave(self, leaving: Leaving) -> Leaving:
        """Note that the run leaves; gives what is to be raised. What is due first decides when it goes on."""
        for other in self.resting:
            if leaving.due_at is None or (other.due_at or 0) < leaving.due_at:
                leaving = Leaving(other.why, other.due_at, other.message, leaving.point_id)
        self.leaving = leaving
        return leaving

    def halt(self, error: RunCancelled | AttemptLost) -> None:
        """Let nothing new start; running code is not touched."""
        if self.stopped_by is None:
            self.stopped_by = error
        self.stop.set()
        for branch in list(self.branches.values()):
            branch.halt(error)

    def cancel(self, run_id: Id) -> None:
        """Stop the run of that id, from another thread: a nested one alone, else the outermost with all of them."""
        branch = self.branches.get(run_id)
        if branch is not None:
            branch.interrupt(CancelledNow())
        elif run_id == self.run_id:
            self.interrupt(CancelledNow())

    def interrupt(self, error: RunCancelled | AttemptLost) -> None:
        """Stop the run from another thread: its code meets the error at its next line (a coroutine: is cancelled)."""
        self.halt(error)
        kind = CancelledNow if isinstance(error, RunCancelled) else AttemptLost
        if self._pool is not None and self._pool.interrupt(kind):
            self.taint()
        with self._lock:
            if self.reporting:
                return
            if self.task is not None:
                self.task.get_loop().call_soon_threadsafe(self.task.cancel)
            elif self.ident is not None and self.ident == threading.main_thread().ident and _ctrl_c_raises():
                # As Ctrl-C would: the one way to end a blocking call of a thread that has no handler of ours.
                signal.pthread_kill(self.ident, signal.SIGINT)
            else:
                interrupt_thread(self.ident, kind)

    def begin_report(self) -> None:
        """From here on the run is not interrupted any more."""
        with self._lock:
            self.reporting = True

    def stop_tasks(self, futures: Iterable[Future[Any]]) -> None:
        """Interrupt submitted tasks that still run; the process is tainted by those on threads."""
        known = list(futures)
        for future in known:
            if isinstance(future._work, LoopWork):
                future._work.cancel()
        if self._pool is not None and self._pool.interrupt(CancelledNow, known):
            self.taint()

    def close(self) -> None:
        """End threads and loop."""
        if self._pool is not None:
            self._pool.close()
        self._loop.close()
        if self.bell is not None:
            self.bell.close()
        if self.processes is not None:
            self.processes.close()
        if self.gatherer is not None:
            self.gatherer.close()
        self.places.close()


def _ctrl_c_raises() -> bool:
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler


def attempt_name(task_run_id: Id, attempt: int) -> str:
    """The name of the file that holds a large result of this execution."""
    return f"{task_run_id}-{attempt}"
