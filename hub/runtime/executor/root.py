"""What a run and the flows nested in it share while they execute in this process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hub.errors import RunCancelled
from hub.runtime.executor.limits import interrupt_thread
from hub.runtime.executor.loops import LoopWork, RunLoop, running_loop
from hub.runtime.executor.pool import Pool
from hub.runtime.heartbeat import Heartbeat
from hub.runtime.journal import AttemptLost, Journal, NoJournal
from hub.sdk.futures import Future
from hub.store.base import Store
from hub.types import Id, Scope

LOG_LINES = 200_000
LOG_CHARS = 50_000_000


class CancelledNow(RunCancelled):
    """Raised in running code when its run is to be cancelled; takes no arguments, as an interruption has none."""

    def __init__(self, detail: str = "the run was cancelled") -> None:
        super().__init__(detail)


class Root:
    """The journal, the threads, the loop, and whether it all must stop."""

    def __init__(
        self, scope: Scope, journal: Journal | None = None, *, threads: int = 16, results: Path | None = None
    ) -> None:
        self.scope = scope
        self.journal: Journal = journal or NoJournal()
        self.results = results or Path("/nonexistent")
        self.threads = threads
        self.tainted = False
        self.stop = threading.Event()
        """Set when the run must end: nothing new starts, pauses are cut short."""
        self.stopped_by: BaseException | None = None
        self.reporting = False
        """Set when the outermost flow is over and being reported: too late for an interruption."""
        self.log_lines = LOG_LINES
        self.log_chars = LOG_CHARS
        self.store: Store | None = None
        self.heartbeat: Heartbeat | None = None
        self.lease_s = 30.0
        """For flows nested in this run."""
        self.ident: int | None = None
        """The thread that executes the outermost flow, when it is not a coroutine."""
        self.task: Any = None
        """The asyncio task that executes it, when it is one."""
        self._pool: Pool | None = None
        self._loop = RunLoop()
        self._lock = threading.Lock()

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

    def taint(self) -> None:
        """Note that a thread was abandoned, which cannot be ended: the process should be."""
        self.tainted = True

    def check(self) -> None:
        """Raise what the run was stopped by, if it was."""
        if self.stopped_by is not None:
            raise self.stopped_by
        if getattr(self.journal, "cancelling", False):
            self.halt(CancelledNow())
            raise CancelledNow

    def halt(self, error: RunCancelled | AttemptLost) -> None:
        """Let nothing new start; running code is not touched."""
        if self.stopped_by is None:
            self.stopped_by = error
        self.stop.set()

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


def _ctrl_c_raises() -> bool:
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler


def attempt_name(task_run_id: Id, attempt: int) -> str:
    """The name of the file that holds a large result of this execution."""
    return f"{task_run_id}-{attempt}"
