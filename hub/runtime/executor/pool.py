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


class Pool:
    """Up to `size` daemon threads, started when there is work for them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._busy: dict[int, Work] = {}

    def add(self, work: Work) -> None:
        """Queue work whose upstream has ended."""
        self._queue.put(work)
        with self._lock:
            if self._idle < self._queue.qsize() and len(self._threads) < self._size:
                thread = threading.Thread(target=self._run, name=f"hub-task-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()

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
            with self._lock:
                self._idle += 1
            work = self._queue.get()
            with self._lock:
                self._idle -= 1
            if work is None:
                return
            if work.claim():
                self._busy[ident] = work
                try:
                    work.run()
                finally:
                    self._busy.pop(ident, None)
