"""Generators as flows and tasks: called directly, their items reach the caller one by one; submitted, as a list."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

from hub.runtime.executor import capture
from hub.runtime.executor.limits import Expired, Interrupted, limited
from hub.runtime.executor.steps import Effect, Invoke, Life, drive, drive_on_loop, give_back
from hub.sdk.context import current
from hub.sdk.functions import Wrapped

_END = object()


class ClosedEarly(Interrupted):
    """Whoever took the items of a generator did not want the rest."""

    def __init__(self, taken: int) -> None:
        super().__init__()
        self.args = (f"closed by its caller after {taken} item{'' if taken == 1 else 's'}",)


class Streaming:
    """Run a generator to its end in its context, within its time limit: its items, of which `here` gives a list."""

    def __init__(self, invoke: Invoke, *, keep: bool, check: Callable[[], object]) -> None:
        self._invoke = invoke
        self._keep = keep
        """Whether the items are wanted once more, for the journal."""
        self._check = check
        self._left = invoke.timeout
        self.taken = 0

    def here(self) -> list[Any]:
        """See Effect.here."""
        return list(self._items())

    async def on_loop(self) -> list[Any]:
        """See Effect.on_loop."""
        return [item async for item in self._items_on_loop()]

    def handed(self) -> Generator[Any, None, list[Any]]:
        """Hand the items out; gives them all when they are to be kept."""
        kept: list[Any] = []
        # Closed here, so that what its clean-up raises is raised where its caller closes it.
        with contextlib.closing(self._items()) as items:
            for item in items:
                self._note(kept, item)
                yield item
        return kept

    async def handed_on_loop(self, kept: list[Any]) -> AsyncGenerator[Any, None]:
        """The same on a loop; `kept` gets what is to be kept."""
        async with contextlib.aclosing(self._items_on_loop()) as items:
            async for item in items:
                self._note(kept, item)
                yield item

    def _note(self, kept: list[Any], item: Any) -> None:
        self.taken += 1
        # Nobody can take back what was handed out: a retry would give it twice.
        self._invoke.context.session.handed.add(self._invoke.context.step)
        if self._keep:
            kept.append(item)

    # --- in this thread ----------------------------------------------------------------------------------------------

    def _items(self) -> Generator[Any]:
        call = self._invoke
        with call.around():
            made = call.wrapped.call(call.args, call.kwargs)
            try:
                while (item := self._step(lambda: next(made, _END))) is not _END:
                    yield item
                    self._check()
            finally:
                try:
                    # One that was given up on a thread of its own cannot be closed while it still executes there.
                    if inspect.getgeneratorstate(made) != inspect.GEN_RUNNING:
                        self._step(made.close, timed=False)
                finally:
                    give_back(call.context)

    def _step(self, call: Callable[[], Any], *, timed: bool = True) -> Any:
        token = current.set(self._invoke.context)
        began = time.monotonic()
        try:
            with self._printing():
                if self._left is None or not timed:
                    return self._invoke.guarded(call)
                if self._left <= 0:
                    raise Expired
                return limited(lambda: self._invoke.guarded(call), self._left, taint=self._invoke.taint)
        finally:
            self._spent(began)
            current.reset(token)

    # --- on the running loop -----------------------------------------------------------------------------------------

    async def _items_on_loop(self) -> AsyncGenerator[Any, None]:
        call = self._invoke
        with call.around():
            made = call.wrapped.call(call.args, call.kwargs)
            try:
                while (item := await self._step_on_loop(lambda: anext(made, _END))) is not _END:
                    yield item
                    self._check()
            finally:
                try:
                    await self._step_on_loop(made.aclose, timed=False)
                finally:
                    if call.context.held:
                        await asyncio.to_thread(give_back, call.context)

    async def _step_on_loop(self, call: Callable[[], Any], *, timed: bool = True) -> Any:
        token = current.set(self._invoke.context)
        began = time.monotonic()
        scope = asyncio.timeout(self._left if timed else None)
        try:
            with self._printing():
                async with scope:
                    return await self._invoke.guarded_on_loop(call)
        except TimeoutError:
            if scope.expired():
                raise Expired from None
            raise
        finally:
            self._spent(began)
            current.reset(token)

    def _printing(self) -> contextlib.AbstractContextManager[None]:
        return capture.printing(self._invoke.context) if self._invoke.printing else contextlib.nullcontext()

    def _spent(self, began: float) -> None:
        if self._left is not None:
            self._left -= time.monotonic() - began


def calling(invoke: Invoke, *, persist: bool, check: Callable[[], object]) -> Effect:
    """The effect of calling user code, be it a function or a generator."""
    return Streaming(invoke, keep=persist, check=check) if invoke.wrapped.generates else invoke


def called(life: Life, wrapped: Wrapped) -> Any:
    """A direct call: its value, a coroutine of it, or a generator of its items."""
    if wrapped.generates:
        return stream_on_loop(life) if wrapped.is_async else stream(life)
    return drive_on_loop(life) if wrapped.is_async else drive(life)


def stream(life: Life) -> Generator[Any]:
    """Live a life in this thread, handing out the items of its generator. What was recorded is given again."""
    given = False
    try:
        effect = life.send(None)
        while True:
            try:
                if isinstance(effect, Streaming):
                    given = True
                    answer = yield from effect.handed()
                else:
                    answer = effect.here()
            except GeneratorExit:
                effect = life.throw(_closed(effect))
            except BaseException as error:  # noqa: BLE001 - the life decides what it means
                effect = life.throw(error)
            else:
                effect = life.send(answer)
    except StopIteration as end:
        value = end.value
    except ClosedEarly:
        return
    if not given:
        yield from value or ()


async def stream_on_loop(life: Life) -> AsyncGenerator[Any, None]:
    """Live a life on the running loop, handing out the items of its generator. What was recorded is given again."""
    given = False
    try:
        effect = life.send(None)
        while True:
            try:
                if isinstance(effect, Streaming):
                    given, answer = True, list[Any]()
                    async with contextlib.aclosing(effect.handed_on_loop(answer)) as items:
                        async for item in items:
                            yield item
                else:
                    answer = await effect.on_loop()
            except GeneratorExit:
                effect = life.throw(_closed(effect))
            except BaseException as error:  # noqa: BLE001 - the life decides what it means
                effect = life.throw(error)
            else:
                effect = life.send(answer)
    except StopIteration as end:
        value = end.value
    except ClosedEarly:
        return
    if not given:
        for item in value or ():
            yield item


def _closed(effect: Effect) -> BaseException:
    return ClosedEarly(effect.taken) if isinstance(effect, Streaming) else GeneratorExit()
