"""Calls of tasks: named in the caller's thread, lived where they belong."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any

from hub.errors import UsageError
from hub.runtime.executor.digests import step_key
from hub.runtime.executor.loops import LoopWork, running_loop
from hub.runtime.executor.pool import Work, assist, may_assist
from hub.runtime.executor.root import Root
from hub.runtime.executor.session import Session
from hub.runtime.executor.steps import drive, drive_on_loop
from hub.runtime.executor.tasklife import Call, live
from hub.runtime.executor.texts import clean
from hub.runtime.executor.values import futures_in
from hub.sdk.context import FlowInfo, RunContext, current
from hub.sdk.futures import Future, Futures
from hub.sdk.options import RunName
from hub.sdk.tasks import Task, Unmapped
from hub.types import Scope, new_id

MAX_MAPPED = 1_000_000


def call_task(task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a task where its caller stands: its value, or a coroutine of it."""
    call = prepare(task, args, kwargs)
    return drive_on_loop(live(call)) if task.is_async else drive(live(call))


def submit(
    task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Future[Any]]
) -> Future[Any]:
    """Start a task beside its caller."""
    return _launch(prepare(task, args, kwargs, wait_for))


def map_over(
    task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Future[Any]]
) -> Futures[Any]:
    """Submit a task for each element of its iterable arguments. All are named before the first one starts."""
    columns, length = _columns(task, args, kwargs)
    waits = list(wait_for)
    calls = []
    for row in range(length):
        values = {key: value[row] if many else value for key, (many, value) in columns.items()}
        positional = tuple(values.pop(number) for number in range(len(args)))
        calls.append(prepare(task, positional, values, waits))  # type: ignore[arg-type]
    return Futures([_launch(call) for call in calls])


def prepare(
    task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Future[Any]] = ()
) -> Call:
    """Name a call: its step is decided here, in the caller's own order."""
    parent = current.get() or _alone()
    session: Session = parent.session
    wrapped, options = task._wrapped, task.options
    upstream = futures_in(args, kwargs, wait_for)
    digest = step_key(parent.step, task.key, args, kwargs)
    key = f"{digest}:{session.ordinals.take(digest)}"
    number = session.names.take(options.name)
    name = f"{options.name}-{number}" if options.run_name is None else _named(task, args, kwargs, number)
    return Call(session, parent, wrapped, options, args, kwargs, key=key, name=name, upstream=upstream)


def _alone() -> RunContext:
    """The context of a task that is called outside a flow: nothing is kept."""
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
    return named(task.options.run_name, values) or f"{task.name}-{number}"


def named(template: RunName | None, values: Mapping[str, Any]) -> str:
    """A run's name from its author's template or function; empty when there is none or it does not fit."""
    if template is None:
        return ""
    try:
        text = template.format(**values) if isinstance(template, str) else template(values)
    except Exception as error:
        raise UsageError(
            f"the run name {template!r} cannot be made: {type(error).__name__}: {error}",
            hint="A template may use the parameters in braces, as in 'load-{day}'.",
        ) from error
    return clean(str(text), 200).replace("\n", " ")


def _columns(
    task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[dict[int | str, tuple[bool, Any]], int]:
    """Every argument as (is it iterated, value or list); and how many calls that makes."""
    given: dict[int | str, Any] = dict(enumerate(args))
    given.update(kwargs)
    columns = {key: _column(value) for key, value in given.items()}
    lengths = {key: len(value) for key, (many, value) in columns.items() if many}
    if not lengths:
        raise UsageError(
            f"{task.name}.map got nothing to iterate over", hint="Give a list, or use submit for a single call."
        )
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{_label(task, key)} has {length}" for key, length in lengths.items())
        raise UsageError(
            f"{task.name}.map got iterables of different lengths: {told}", hint="Wrap constants in unmapped(...)."
        )
    return columns, next(iter(lengths.values()))


def _column(value: Any) -> tuple[bool, Any]:
    if isinstance(value, Unmapped):
        return False, value.value
    if isinstance(value, Future):
        value = value.result()
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable) or inspect.isclass(value):
        return False, value
    items = []
    for item in value:
        items.append(item)
        if len(items) > MAX_MAPPED:
            raise UsageError(f"map got more than {MAX_MAPPED} elements", hint="Map over batches instead.")
    return True, items


def _label(task: Task[..., Any], key: int | str) -> str:
    names = list(task._wrapped.parameters)
    return key if isinstance(key, str) else names[key] if key < len(names) else f"argument {key + 1}"


def _launch(call: Call) -> Future[Any]:
    future: Future[Any] = Future(call.id, call.name)
    future._step = call.key
    call.future = future
    session = call.session
    session.add([future])
    if call.key not in session.earlier and call.key not in session.restarted:
        session.journal.put(call.opened().fact())
    if call.wrapped.is_async:
        work = LoopWork(session.root.loop(), tuple(call.upstream))
        future._work = work
        work.start(_settled_on_loop(call, future))
    else:
        job = Work(lambda: _settled(call, future), future, call.upstream)
        future._work = job
        _when_ended(call.upstream, lambda: session.root.pool.add(job))
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
