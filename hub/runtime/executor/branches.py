"""What can be stopped alone: a flow run that is nested in another one, with all that it has called here."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from hub.errors import RunCancelled
from hub.runtime.executor.limits import Interrupted, Place, interruptible
from hub.runtime.executor.loops import LoopWork
from hub.runtime.journal import AttemptLost
from hub.sdk.futures import Future
from hub.types import Id

if TYPE_CHECKING:
    from hub.runtime.executor.root import Root

T = TypeVar("T")


class CancelledNow(RunCancelled):
    """Raised in running code when its run is to be cancelled; takes no arguments, as an interruption has none."""

    def __init__(self, detail: str = "the run was cancelled") -> None:
        super().__init__(detail)


class Trunk(Protocol):
    """What the root of a process's run and each branch of it have in common."""

    stop: threading.Event
    """Set when it must end: nothing new starts, pauses are cut short."""
    stopped_by: BaseException | None

    def check(self) -> None:
        """Raise what it was stopped by, if it was."""

    def halt(self, error: RunCancelled | AttemptLost) -> None:
        """Let nothing new start; running code is not touched."""

    def stop_tasks(self, futures: Iterable[Future[Any]]) -> None:
        """Interrupt submitted tasks that still run."""


class Branch:
    """A nested run while it executes. `below` is what it is nested in."""

    def __init__(self, root: Root, run_id: Id, below: Trunk) -> None:
        self.run_id = run_id
        self.stop = threading.Event()
        self.stopped_by: BaseException | None = None
        self._root = root
        self._below = below
        self._threads: set[Place] = set()
        """Where its code executes, that of its tasks included."""
        self._coroutines: set[_Coroutine] = set()
        """The same of an async flow; what it awaits is cancelled with it."""

    def check(self) -> None:
        """See Trunk.check."""
        self._below.check()
        if self.stopped_by is not None:
            raise self.stopped_by

    def halt(self, error: RunCancelled | AttemptLost) -> None:
        """See Trunk.halt. What is nested in it stops with it."""
        if self.stopped_by is None:
            self.stopped_by = error
        self.stop.set()
        for branch in self._above():
            branch.halt(error)

    def interrupt(self, error: RunCancelled) -> None:
        """Stop it from another thread: its code is interrupted where it is, its caller gets the error and goes on."""
        self.halt(error)
        self._interrupt_threads()
        for coroutine in list(self._coroutines):
            coroutine.interrupt()

    def stop_tasks(self, futures: Iterable[Future[Any]]) -> None:
        """See Trunk.stop_tasks."""
        for future in futures:
            if isinstance(future._work, LoopWork):
                future._work.cancel()
        self._interrupt_threads()

    def guarded(self, call: Callable[[], T]) -> T:
        """Call it in this thread, to be interrupted with the run. Raises CancelledNow then."""
        place = Place()
        self._threads.add(place)
        try:
            if self.stopped_by is not None:  # it was stopped before its place was known
                raise self.stopped_by
            return interruptible(call, place)
        except Interrupted as interrupted:
            if not place.met(interrupted):
                raise
            raise CancelledNow from None
        finally:
            self._threads.discard(place)

    @contextlib.contextmanager
    def awaiting(self) -> Iterator[None]:
        """In the block the running coroutine is cancelled with the run. Raises CancelledNow then."""
        place = _Coroutine()
        self._coroutines.add(place)
        try:
            if self.stopped_by is not None:
                raise self.stopped_by
            with place:
                yield
        finally:
            self._coroutines.discard(place)

    def _interrupt_threads(self) -> None:
        # The outermost place first: what it meets, those above it meet on its way.
        for place in list(self._threads):
            place.interrupt()
        for branch in self._above():
            branch._interrupt_threads()

    def _above(self) -> list[Branch]:
        return [branch for branch in list(self._root.branches.values()) if branch._below is self]


class _Coroutine:
    """The task that executes a coroutine, cancelled as a timeout of asyncio would."""

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._before = task.cancelling()
        self._over = False
        self._told = False

    def interrupt(self) -> None:
        """Cancel it, from any thread."""
        loop = self._task.get_loop()
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if not self._over and not self._told:
            self._told = True
            self._task.cancel()

    def __enter__(self) -> None:
        """What it executes begins."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._over = True
        if self._told and self._task.uncancel() <= self._before and isinstance(error, asyncio.CancelledError):
            raise CancelledNow from None


@contextlib.contextmanager
def branch_off(root: Root, run_id: Id, below: Trunk) -> Iterator[Branch]:
    """A branch for a nested run, known to the root while it executes."""
    branch = Branch(root, run_id, below)
    if below.stopped_by is not None:
        branch.stopped_by = below.stopped_by
        branch.stop.set()
    root.branches[run_id] = branch
    try:
        yield branch
    finally:
        root.branches.pop(run_id, None)
