"""Where coroutines of a run live: on the loop of the code that started them, or on one loop of the run's own."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Coroutine
from typing import Any

from hub.sdk.futures import Future


class RunLoop:
    """The loop for coroutines that are submitted from code without one; in a daemon thread, started when needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        """The loop, running."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._run, args=(self._loop,), name="hub-loop", daemon=True)
                self._thread.start()
            return self._loop

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    def close(self) -> None:
        """Cancel what is left on it and end it."""
        with self._lock:
            loop, thread, self._loop = self._loop, self._thread, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(_stop, loop)
            thread.join(5)


def _stop(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    # The loop ends with it, so that nothing can collect it before.
    loop.hub_last = loop.create_task(_stop_after(tasks))  # type: ignore[attr-defined]


async def _stop_after(tasks: set[asyncio.Task[Any]]) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=2)
    asyncio.get_running_loop().stop()


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs in this thread, if one does."""
    return asyncio._get_running_loop()


def running_task() -> Any:
    """The asyncio task that runs in this thread."""
    return asyncio.current_task()


class LoopWork:
    """A submitted coroutine, started on a loop from any thread in a copy of the caller's context."""

    def __init__(self, loop: asyncio.AbstractEventLoop, upstream: tuple[Future[Any], ...]) -> None:
        self.loop = loop
        self.upstream = upstream
        self._context = contextvars.copy_context()
        # Held here: a loop itself keeps only weak references to its tasks.
        self._task: asyncio.Task[Any] | None = None

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Start it."""
        if running_loop() is self.loop:
            self._begin(coroutine)
        else:
            self.loop.call_soon_threadsafe(self._begin, coroutine)

    def _begin(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._task = self.loop.create_task(coroutine, context=self._context)

    def cancel(self) -> None:
        """Cancel it, from any thread."""
        task = self._task
        if task is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(task.cancel)


async def awaiting(future: Future[Any]) -> Any:
    """The result of a future, without blocking the loop."""
    if not future.done():
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        future.add_done_callback(lambda _: _wake(loop, woken))
        await woken
    return future.result()


def _wake(loop: asyncio.AbstractEventLoop, woken: asyncio.Future[None]) -> None:
    def finish() -> None:
        if not woken.done():
            woken.set_result(None)

    if not loop.is_closed():
        loop.call_soon_threadsafe(finish)
