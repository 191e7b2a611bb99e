"""Calling the hooks of a transaction's steps: with what this process holds of them, else with what was kept."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from hub.errors import HubError, RunCancelled, UsageError
from hub.runtime import loader
from hub.runtime.executor import results
from hub.runtime.executor.keeping import hint_of
from hub.runtime.executor.ledger import Ledger, Row
from hub.runtime.executor.limits import Expired, limited
from hub.runtime.executor.results import Stored, Unreadable
from hub.runtime.executor.steps import Blocking, Life, Pause
from hub.runtime.executor.texts import MESSAGE_CHARS, clean, describe
from hub.runtime.journal import AttemptLost
from hub.sdk.context import RunContext, current
from hub.sdk.futures import Departure
from hub.sdk.transactions import Step, TransactionHook

if TYPE_CHECKING:
    from hub.runtime.executor.session import Session
    from hub.sdk.functions import Wrapped

_log = logging.getLogger("hub.transactions")
SECONDS = 600.0
"""How long a hook may take."""
TASK, FUNCTIONS = "task ", "functions "
MAX_TRIES = 8
"""So often a step's hooks are called before it counts as failed."""
_AT_ONCE = (0.2, 1.0)
"""Seconds between the tries in the process whose transaction it was."""
_RAISED = (Exception, SystemExit)


@dataclass(frozen=True, slots=True)
class Live:
    """What the process that made a step holds of it."""

    path: str
    hooks: Mapping[str, tuple[TransactionHook, ...]]
    result: Any
    arguments: Callable[[], Mapping[str, Any]]
    values: Callable[[], Mapping[str, Any]]


class NotCallable(Exception):
    """What undoes a step is not to be found; trying again cannot mend it."""


def undo(session: Session, ledger: Ledger, row: dict[str, Any], *, tries: int) -> Life:
    """Call a step's rollback hooks, last first, up to so many times; gives what was raised, None once it is undone.

    Every call is noted before it is made, so that one that takes its process with it counts.
    """
    error: BaseException | None = None
    for at in range(tries):
        if at:
            yield Pause(_AT_ONCE[min(at, len(_AT_ONCE)) - 1], session.root.stop)
        row["tries"] += 1
        yield Blocking(lambda: ledger.note(row, tries=row["tries"]))
        try:
            yield from call_hooks(session, ledger, row, "on_rollback")
        except (*_RAISED, NotCallable) as raised:
            if isinstance(raised, RunCancelled) and session.branch.stopped_by is not None:
                raise
            error = raised
            told = clean(describe(raised), MESSAGE_CHARS)
            _log.error("%s was not undone (try %s): %s", row["name"], row["tries"], told, exc_info=_trace(raised))
            yield Blocking(partial(ledger.note, row, error=told))
            if isinstance(raised, NotCallable):
                break
        else:
            yield Blocking(lambda: ledger.note(row, state="done", error=None))
            return None
    return error


def call_hooks(session: Session, ledger: Ledger, row: Row, event: str) -> Life:
    """Call the hooks of a step. Raises what one raises, or NotCallable."""
    live = session.root.live.get(row["id"])
    hooks = _hooks(row, live, event)
    step = Step(
        row["run_id"], row["task_run_id"], row["task_name"], row["name"], row["inputs_digest"], row["id"],
        max(row["tries"], 1), lambda what: _recall(session, ledger, row, live, what),
    )  # fmt: skip
    # A step of its own, so that tasks which a hook calls are found again when it is called again, and only then.
    context = RunContext(session.info, session, step=f"{event}:{row['id']}")
    for hook in reversed(hooks) if event == "on_rollback" else hooks:
        yield Called(hook, step, context)


def _hooks(row: Row, live: Live | None, event: str) -> tuple[TransactionHook, ...]:
    if live is not None:
        return live.hooks.get(event, ())
    kind, _, names = row["call"].partition(" ")
    if not names:
        raise NotCallable(f"{row['name']} can be undone only by the process that made it, which is gone")
    try:
        if kind == TASK.strip():
            found = loader.load_task(names).options.transaction_hooks.get(event, ())
        else:
            found = tuple(loader.load_function(name) for name in names.splitlines())
    except HubError as error:
        raise NotCallable(error.detail) from error
    if not found and event == "on_rollback":
        raise NotCallable(f"{names} has no on_rollback hook any more")
    return found


def _recall(session: Session, ledger: Ledger, row: Row, live: Live | None, what: str) -> Any:
    if live is not None:
        return {"result": lambda: live.result, "arguments": live.arguments, "values": live.values}[what]()
    if what == "values":
        found: dict[str, Any] = {}
        for one in ledger.values(row["path"]):
            found.update(_decoded(session, one["values"], one["values_format"], None, None))
        return found
    hint: Any = None
    wrapped: Wrapped | None = None
    if row["call"].startswith(TASK):
        wrapped = loader.load_task(row["call"].removeprefix(TASK))._wrapped
        hint = hint_of(wrapped) if what == "result" else None
    value = _decoded(session, row[what], row[f"{what}_format"], hint, row["serializer"])
    if what == "arguments" and wrapped is not None:
        args, kwargs = value
        return wrapped.arguments(tuple(args), kwargs)
    return value


def _decoded(session: Session, data: bytes | None, format_: str | None, hint: Any, serializer: str | None) -> Any:
    stored = Stored(None if data is None else bytes(data), format_ or "none")
    try:
        return results.decode(session.root.places.get(stored), hint, serializer)
    except Unreadable as reason:
        raise UsageError(
            f"that was not kept for other processes: {reason}",
            hint="Pass and return what JSON can carry, or give the task a result_serializer.",
        ) from None


def _trace(error: BaseException) -> BaseException | None:
    return None if isinstance(error, Expired | NotCallable) else error


class Called:
    """The effect of calling one hook; raises what it raises, Expired when it takes too long."""

    def __init__(self, hook: TransactionHook, step: Step, context: RunContext) -> None:
        self._hook = hook
        self._step = step
        self._context = context

    def here(self) -> None:
        """See Effect.here."""
        if self._context.session.root.recording is not None:
            return
        token = current.set(self._context)
        try:
            root = self._context.session.root
            if inspect.iscoroutinefunction(self._hook):
                asyncio.run_coroutine_threadsafe(self._awaited(), root.loop_beside()).result()
            else:
                limited(lambda: self._hook(self._step), SECONDS, taint=root.taint)
        finally:
            current.reset(token)

    async def on_loop(self) -> None:
        """See Effect.on_loop."""
        if not inspect.iscoroutinefunction(self._hook):
            await asyncio.to_thread(self.here)
            return
        if self._context.session.root.recording is not None:
            return
        token = current.set(self._context)
        try:
            await self._awaited()
        finally:
            current.reset(token)

    async def _awaited(self) -> None:
        made: Any = self._hook(self._step)
        token = current.set(self._context)
        try:
            async with asyncio.timeout(SECONDS):
                await made
        finally:
            current.reset(token)


def passes_on(error: BaseException) -> bool:
    """Whether who meets this error may undo nothing: the run is somebody else's, goes on later, or its loop is gone."""
    return isinstance(error, AttemptLost | Departure | GeneratorExit)
