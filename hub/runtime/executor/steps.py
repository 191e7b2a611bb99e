"""What a run needs from outside: waiting, calling user code, committing. One life, two drivers.

The life of a run or task (`tasklife`, `flowlife`) is a generator that yields effects. `drive` carries them out in the
calling thread, `drive_on_loop` on the caller's event loop; so every rule of a life is written once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeAlias, TypeVar

from hub.runtime import contributed
from hub.runtime.executor import capture, passing
from hub.runtime.executor.branches import Branch
from hub.runtime.executor.limits import Expired, limited
from hub.runtime.executor.loops import awaiting
from hub.runtime.journal import Fact, Journal
from hub.sdk.context import RunContext, current
from hub.sdk.functions import Wrapped
from hub.sdk.futures import Future
from hub.sdk.futurestream import FutureStream

T = TypeVar("T")
_NOTHING: AbstractContextManager[None] = nullcontext()


class Effect(Protocol):
    """Something a life waits for."""

    def here(self) -> Any:
        """Do it in this thread."""

    async def on_loop(self) -> Any:
        """Do it on the running loop."""


Life: TypeAlias = Generator[Effect, Any, Any]


def drive(life: Life) -> Any:
    """Live a life in this thread; its result, or what it raises."""
    try:
        effect = life.send(None)
        while True:
            try:
                answer = effect.here()
            except BaseException as error:  # noqa: BLE001 - the life decides what it means
                effect = life.throw(error)
            else:
                effect = life.send(answer)
    except StopIteration as end:
        return end.value


async def drive_on_loop(life: Life) -> Any:
    """Live a life on the running loop; its result, or what it raises."""
    try:
        effect = life.send(None)
        while True:
            try:
                answer = await effect.on_loop()
            except BaseException as error:  # noqa: BLE001 - the life decides what it means
                effect = life.throw(error)
            else:
                effect = life.send(answer)
    except StopIteration as end:
        return end.value


class Invoke:
    """Call user code in its context, within its time limit. Raises Expired when that is over."""

    __slots__ = ("args", "body", "branch", "context", "kwargs", "printing", "taint", "timeout", "wrapped")

    def __init__(
        self,
        wrapped: Wrapped,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: RunContext,
        timeout: float | None,
        printing: bool,
        taint: Callable[[], object],
        branch: Branch | None = None,
        body: bool = False,
    ) -> None:
        self.wrapped = wrapped
        self.args = args
        self.kwargs = kwargs
        self.context = context
        self.timeout = timeout
        self.printing = printing
        self.taint = taint
        self.branch = branch
        """Interrupted with this nested run."""
        self.body = body
        """Whether it is that run's flow itself."""

    def here(self) -> Any:
        """See Effect.here."""
        token = current.set(self.context)
        try:
            if self.printing:
                with capture.printing(self.context):
                    return self._call()
            return self._call()
        finally:
            current.reset(token)
            if self.context.held:
                give_back(self.context)

    def _call(self) -> Any:
        if self.timeout is None:
            return self._own() if self.branch is None else self.guarded(self._own)
        return limited(lambda: self.guarded(self._own), self.timeout, taint=self.taint)

    def _own(self) -> Any:
        """The function itself, with what plugins put around it."""
        if contributed.around_task is None or self.body:
            return self.wrapped.call(self.args, self.kwargs)
        with self.around():
            return self.wrapped.call(self.args, self.kwargs)

    async def _own_on_loop(self) -> Any:
        with self.around():
            return await self.wrapped.call(self.args, self.kwargs)

    def around(self) -> AbstractContextManager[Any]:
        """What plugins put around the function of a task (`hub_task_wrap`): nearly always nothing."""
        wrap = contributed.around_task
        return _NOTHING if wrap is None or self.body else wrap(_facts(self.context))

    def guarded(self, call: Callable[[], T]) -> T:
        """Call it, to be interrupted with the nested run it belongs to."""
        return call() if self.branch is None else self.branch.guarded(call)

    async def guarded_on_loop(self, call: Callable[[], Awaitable[T]]) -> T:
        """The same of a coroutine. Those of tasks are cancelled with what awaits them."""
        if self.branch is None or not self.body:
            return await call()
        with self.branch.awaiting():
            return await call()

    async def on_loop(self) -> Any:
        """See Effect.on_loop."""
        token = current.set(self.context)
        try:
            if self.printing:
                with capture.printing(self.context):
                    return await self._await()
            return await self._await()
        finally:
            current.reset(token)
            if self.context.held:
                await asyncio.to_thread(give_back, self.context)

    async def _await(self) -> Any:
        scope = asyncio.timeout(self.timeout)
        try:
            async with scope:
                return await self.guarded_on_loop(self._own_on_loop)
        except TimeoutError:
            if scope.expired():
                raise Expired from None
            raise


def _facts(context: RunContext) -> dict[str, Any]:
    """What a plugin that wraps a task gets to know of it."""
    return {
        "id": context.task_run_id, "name": context.task_name, "attempt": context.task_attempt,
        "run_id": context.flow.run_id, "run_name": context.flow.run_name, "flow_name": context.flow.flow_name,
        "deployment_name": context.flow.deployment_name,
    }  # fmt: skip


def give_back(context: RunContext) -> None:
    """Give back what the code held of limits when it was interrupted between taking and giving."""
    for held in list(context.held or ()):
        held.give_back()


class Commit:
    """Wait until a fact is committed."""

    __slots__ = ("fact", "journal")

    def __init__(self, journal: Journal, fact: Fact) -> None:
        self.journal = journal
        self.fact = fact

    def here(self) -> None:
        """See Effect.here."""
        self.journal.settle(self.fact)

    async def on_loop(self) -> None:
        """See Effect.on_loop."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()

        def tell(error: BaseException | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_settle, written, error)

        self.journal.settle_then(self.fact, tell)
        # Shielded: a cancelled task still knows what it did, and its end is written in any case.
        await asyncio.shield(written)


def _settle(written: asyncio.Future[None], error: BaseException | None) -> None:
    if written.done():
        return
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)


class Pause:
    """Wait for a time, or until `stop` is set."""

    __slots__ = ("seconds", "stop")

    def __init__(self, seconds: float, stop: threading.Event) -> None:
        self.seconds = seconds
        self.stop = stop

    def here(self) -> None:
        """See Effect.here."""
        passing.passes.here(self.seconds, self.stop)

    async def on_loop(self) -> None:
        """See Effect.on_loop."""
        await passing.passes.on_loop(self.seconds, self.stop)


class Gather:
    """Wait until all futures have ended, well or badly."""

    __slots__ = ("futures",)

    def __init__(self, futures: Iterable[Future[Any]]) -> None:
        self.futures = futures

    def here(self) -> None:
        """See Effect.here."""
        for future in self.futures:
            future.wait()

    async def on_loop(self) -> None:
        """See Effect.on_loop."""
        for future in self.futures:
            try:
                await awaiting(future)
            except asyncio.CancelledError:
                # Ours, or that of the task we wait for?
                if not future.done():
                    raise
            except BaseException:  # noqa: BLE001, S112 - kept in the future, for whoever asks for its result
                continue


class Drain:
    """Take from a stream of futures until there are no more; their list, or nothing of them."""

    __slots__ = ("keep", "stream")

    def __init__(self, stream: FutureStream[Any], *, keep: bool = False) -> None:
        self.stream = stream
        self.keep = keep

    def here(self) -> list[Future[Any]]:
        """See Effect.here."""
        return [future for future in self.stream if self.keep]

    async def on_loop(self) -> list[Future[Any]]:
        """See Effect.on_loop."""
        return [future async for future in self.stream if self.keep]


class Blocking:
    """A short call that blocks on the database."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call

    def here(self) -> Any:
        """See Effect.here."""
        return self.call()

    async def on_loop(self) -> Any:
        """See Effect.on_loop."""
        return await asyncio.to_thread(self.call)
