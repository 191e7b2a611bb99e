"""Calls of tasks: named in the caller's thread, lived where they belong."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count
from typing import Any

from hub.errors import UsageError
from hub.runtime import loader
from hub.runtime.executor import assets, processes, remote, transactions
from hub.runtime.executor.digests import step_key
from hub.runtime.executor.loops import LoopWork, running_loop
from hub.runtime.executor.pool import Work, assist, may_assist
from hub.runtime.executor.root import Root
from hub.runtime.executor.session import Session
from hub.runtime.executor.steps import drive, drive_on_loop
from hub.runtime.executor.streams import called
from hub.runtime.executor.tasklife import STOPPING, Call, live
from hub.runtime.executor.values import needs
from hub.runtime.naming import rendered
from hub.sdk.context import FlowInfo, RunContext, current
from hub.sdk.futures import Future
from hub.sdk.runners import CeleryTaskRunner, ProcessPoolTaskRunner
from hub.sdk.tagging import with_those_around
from hub.sdk.tasks import Task
from hub.types import Scope, new_id

_log = logging.getLogger("hub.executor")


def call_task(task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a task where its caller stands: its value, or a coroutine of it."""
    call = prepare(task, args, kwargs)
    return called(live(call), task._wrapped)


def submit(task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Any]) -> Future[Any]:
    """Start a task beside its caller, or on a worker."""
    there = elsewhere()
    if there is not None:
        return remote.send(*there, task, [(args, kwargs)], wait_for)[0]
    call = for_process(task, [prepare(task, args, kwargs, wait_for)])[0]
    if not task.is_async and running_loop() is None:
        call.session.root.pool.hold()
    return launch(call)


def for_process(task: Task[..., Any], calls: list[Call]) -> list[Call]:
    """The same calls; they execute in processes where their flow wants that."""
    body = body_elsewhere(task, calls[0].session) if calls else None
    if body is not None:
        for call in calls:
            call.body = body
    return calls


def body_elsewhere(task: Task[..., Any], session: Session) -> processes.Body | None:
    """How calls of a task are made in processes, where their flow wants that."""
    runner = session.runner
    # What is no Python function runs in a process of its own anyway.
    if isinstance(runner, ProcessPoolTaskRunner) and not task.is_async and task._wrapped.made_of is None:
        return processes.body(loader.task_entrypoint(task), runner.max_workers)
    return None


def made_here(call: Call) -> bool:
    """Make a call in this thread; whether it ended well. Its row says how it failed."""
    try:
        drive(live(call))
    except STOPPING:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever user code raises
        _log.debug("%s failed: %s", call.name, type(error).__name__)
        return False
    return True


def elsewhere() -> tuple[CeleryTaskRunner, RunContext] | None:
    """Where the flow has its submitted tasks executed, when that is not here."""
    context = current.get()
    runner = context.session.runner if context is not None else None
    return (runner, context) if context is not None and isinstance(runner, CeleryTaskRunner) else None


def prepare(
    task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Any] = (), *,
    parent: RunContext | None = None, among: str = "",
) -> Call:  # fmt: skip
    """Name a call: its step is decided here, in the caller's own order; `among` so named ones, where that is given."""
    parent = parent or caller()
    session: Session = parent.session
    session.root.check_body(parent)
    wrapped, options = task._wrapped, task.options
    if (tags := with_those_around(options.tags)) is not options.tags:
        options = replace(options, tags=tags)
    needed = needs(args, kwargs, wait_for)
    digest = step_key(f"{parent.step}{among}", task.key, args, kwargs)
    key = f"{digest}:{session.ordinals.take(digest)}"
    number = session.names.take(options.name)
    name = f"{options.name}-{number}" if options.run_name is None else _named(task, args, kwargs, number)
    call = Call(session, parent, wrapped, options, args, kwargs, key, name, needed)
    call.task = task
    if options.assets or options.asset_deps or session.assets:
        call.made_from = assets.follow(session, call.id, options, needed.futures)
    call.txn = transactions.around(parent, hooked=options.transaction_hooks)
    return call


def caller() -> RunContext:
    """Who calls; of a task that is called outside a flow nothing is kept."""
    return current.get() or alone()


def alone() -> RunContext:
    session = Session(_root_of(os.getpid()), FlowInfo(run_id=new_id(), run_name="", flow_name=""))
    return RunContext(session.info, session)


@functools.lru_cache(maxsize=1)
def _root_of(_pid: int) -> Root:
    """One for all such calls of a process, so that they share its threads."""
    return Root(Scope())


def _named(task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], number: int) -> str:
    try:
        values = task._wrapped.arguments(args, kwargs)
    except TypeError:
        return f"{task.name}-{number}"
    return rendered(task.options.run_name, values) or f"{task.name}-{number}"


def launch(call: Call) -> Future[Any]:
    future: Future[Any] = Future(call.id, call.name)
    future._step = call.key
    call.future = future
    if call.txn is not None:
        call.txn.add([future])
    session = call.session
    session.add([future])
    if call.key not in session.earlier and call.key not in session.restarted:
        session.journal.put(call.opened().fact())
    if call.wrapped.is_async:
        work = LoopWork(session.root.loop(), tuple(call.needs.futures))
        future._work = work
        work.start(_settled_on_loop(call, future))
    else:
        job = Work(lambda: _settled(call, future), future, call.needs.futures)
        future._work = job
        _when_ended(call.needs.futures, lambda: session.root.pool.add(job))
    return future


def _settled(call: Call, future: Future[Any]) -> None:
    try:
        value = drive(live(call))
    except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
        future.settle(call.state, error=error)
    else:
        future.settle(call.state, value)


async def _settled_on_loop(call: Call, future: Future[Any]) -> None:
    try:
        value = await drive_on_loop(live(call))
    except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
        future.settle(call.state, error=error)
    else:
        future.settle(call.state, value)


def _when_ended(futures: list[Future[Any]], then: Callable[[], object]) -> None:
    """Call `then` once all futures have ended."""
    pending = [future for future in futures if not future.done()]
    if not pending:
        then()
        return
    ended = count(1).__next__

    def one_ended(_future: Future[Any]) -> None:
        # A single C call: exactly one callback draws the last number.
        if ended() == len(pending):
            then()

    for future in pending:
        future.add_done_callback(one_ended)


def before_wait(future: Future[Any], timeout: float | None) -> None:
    """Help instead of waiting, in a thread that the pool may need; refuse what would wait for ever."""
    work = future._work
    here = running_loop()
    if here is not None and _needs_loop(work, here):
        raise UsageError(
            f"result() of {future.name} would block the event loop that has to make it", hint="Write `await future`."
        )
    if isinstance(work, Work) and timeout is None and may_assist():
        assist(work)


def _needs_loop(work: Any, loop: Any) -> bool:
    stack, seen = [work], set[int]()
    while stack:
        top = stack.pop()
        if isinstance(top, LoopWork) and top.loop is loop:
            return True
        if top is None or id(top) in seen:
            continue
        seen.add(id(top))
        stack.extend(future._work for future in top.upstream if not future.done())
    return False
