"""A bounded pool of threads that cannot deadlock: whoever waits for queued work may do it itself."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable, Iterable
from typing import Any

from hub.runtime.executor.limits import in_helper, interrupt_thread
from hub.sdk.futures import Future


class Work:
    """A submitted call. Exactly one thread claims it: one of the pool, or one that waits for its result."""

    __slots__ = ("_call", "_claims", "_context", "future", "upstream")

    def __init__(self, call: Callable[[], object], future: Future[Any], upstream: Iterable[Future[Any]]) -> None:
        self._call = call
        self._context = contextvars.copy_context()
        # One element, popped by the one who wins; list.pop is atomic.
        self._claims = [True]
        self.future = future
        self.upstream = tuple(upstream)

    @property
    def waiting(self) -> bool:
        """Whether nobody has claimed it."""
        return bool(self._claims)

    def claim(self) -> bool:
        """Take it; True for one caller only."""
        try:
            self._claims.pop()
        except IndexError:
            return False
        return True

    def run(self) -> None:
        """Do it. It settles its future and never raises, unless the thread itself is interrupted."""
        self._context.run(self._call)


def assist(work: Work) -> None:
    """Do what `work` needs and then `work`, as far as no other thread is at it."""
    stack = [work]
    while stack:
        top = stack[-1]
        pending = [future for future in top.upstream if not future.done()]
        free = [future._work for future in pending if isinstance(future._work, Work) and future._work.waiting]
        if free:
            stack.append(free[0])
            continue
        for future in pending:
            future.join()
        stack.pop()
        if top.claim():
            top.run()


def may_assist() -> bool:
    """Whether this thread belongs to a run's pool, so that waiting in it could starve the pool."""
    return getattr(_here, "pooled", False) or in_helper()


_here = threading.local()
_AHEAD = 1_000
"""Work that may be queued before its submitter is held back."""
_HOLD_S = 1.0


class Pool:
    """Up to `size` daemon threads, started when there is work for them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        # Free threads less queued work. A thread that takes work ends both at once, so that taking changes nothing
        # and there is no moment in which a thread counts as free that has work.
        self._spare = 0
        self._busy: dict[int, Work] = {}
        self._taken = 0
        self._vain = -1
        self._relief = threading.Event()

    def hold(self) -> None:
        """Keep a caller who submits faster than threads execute from filling the memory.

        Not one that the pool may need, and not for long: what executes may wait for what the caller does next.
        """
        if self._queue.qsize() < _AHEAD or self._vain == self._taken or may_assist():
            return
        before = self._taken
        self._relief.clear()
        if not self._relief.wait(_HOLD_S) and self._taken == before:
            self._vain = before

    def add(self, work: Work) -> None:
        """Queue work whose upstream has ended."""
        self._queue.put(work)
        with self._lock:
            self._spare -= 1
            if self._spare < 0 and len(self._threads) < self._size:
                thread = threading.Thread(target=self._run, name=f"hub-task-{len(self._threads)}", daemon=True)
                thread.start()
                self._threads.append(thread)
                self._spare += 1

    def interrupt(self, kind: type[BaseException], futures: Iterable[Future[Any]] | None = None) -> bool:
        """Raise `kind` in every thread that works, for one of `futures` if they are given; whether there was one."""
        wanted = None if futures is None else set(map(id, futures))
        busy = [ident for ident, work in list(self._busy.items()) if wanted is None or id(work.future) in wanted]
        for ident in busy:
            interrupt_thread(ident, kind)
        return bool(busy)

    def close(self) -> None:
        """Let the threads end once they are idle."""
        with self._lock:
            for _ in self._threads:
                self._queue.put(None)

    def _run(self) -> None:
        _here.pooled = True
        ident = threading.get_ident()
        while True:
            work = self._queue.get()
            if work is None:
                return
            self._taken += 1  # threads may overwrite each other's: it has to change, not to count
            if self._queue.qsize() == _AHEAD // 2:
                self._relief.set()
            if work.claim():
                self._busy[ident] = work
                try:
                    work.run()
                finally:
                    self._busy.pop(ident, None)
            with self._lock:
                self._spare += 1
