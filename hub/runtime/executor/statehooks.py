"""Calls the hooks of flows and tasks where their run executes. One that raises is logged and changes nothing."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import Any

from hub.runtime.executor.limits import Expired, limited
from hub.runtime.executor.root import Root
from hub.runtime.executor.steps import Life
from hub.sdk.context import RunContext, current
from hub.sdk.options import Options
from hub.sdk.statehooks import StateHook
from hub.states import State, StateType
from hub.store import hooks

SECONDS = 60.0
"""How long a hook may take."""
_SPARE = 5.0
"""Seconds more for a coroutine on a loop that its hook blocks."""
_RAISED = (Exception, SystemExit, GeneratorExit, asyncio.CancelledError)
"""What a hook may raise without changing anything: all but Ctrl-C and what ends the run itself."""
_EVENTS = {StateType.RUNNING: "on_running", **hooks.ENDS}
_log = logging.getLogger("hub.run")


def tell(options: Options, made_of: Any, run: Any, state: State, context: RunContext) -> Life:
    """Call the hooks of `state`, one after the other: `hook(made_of, run, state)`. Gives what went wrong, in words."""
    problems = []
    for hook in options.hooks.get(_EVENTS.get(state.type, ""), ()):
        told = yield _Told(hook, (made_of, run, state), context)
        if told:
            problems.append(told)
    return problems


class _Told:
    """The effect of calling one hook."""

    def __init__(self, hook: StateHook, args: tuple[Any, Any, State], context: RunContext) -> None:
        self._hook = hook
        self._args = args
        self._context = context

    def here(self) -> str:
        """See Effect.here."""
        token = current.set(self._context)
        try:
            root: Root = self._context.session.root
            if inspect.iscoroutinefunction(self._hook):
                beside = asyncio.run_coroutine_threadsafe(self._awaited(), root.loop_beside())
                return beside.result(SECONDS + _SPARE)
            limited(lambda: self._hook(*self._args), SECONDS, taint=root.taint)
        except _RAISED as error:  # an author's hook must not change how the run ends
            return self._note(error)
        finally:
            current.reset(token)
        return ""

    async def on_loop(self) -> str:
        """See Effect.on_loop."""
        if not inspect.iscoroutinefunction(self._hook):
            return await asyncio.to_thread(self.here)
        token = current.set(self._context)
        try:
            return await self._awaited()
        finally:
            current.reset(token)

    async def _awaited(self) -> str:
        task = asyncio.current_task()
        cancels = task.cancelling() if task is not None else 0
        made: Any = self._hook(*self._args)
        try:
            async with asyncio.timeout(SECONDS):
                await made
        except _RAISED as error:
            # A loop would end with what a coroutine raises of these; only a cancel from outside goes on.
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > cancels:
                raise
            return self._note(error)
        return ""

    def _note(self, error: BaseException) -> str:
        name = getattr(self._hook, "__name__", repr(self._hook))
        over = isinstance(error, Expired | TimeoutError)
        told = f"took more than {SECONDS:g} s" if over else f"raised {type(error).__name__}"
        line = f"the hook {name} for {self._args[2].name} {told}"
        _log.error("%s", line, exc_info=None if over else error)
        return line if over else f"{line}: {error}"
