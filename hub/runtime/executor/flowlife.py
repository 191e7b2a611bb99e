"""The life of a flow run's attempts in this process. A generator of effects."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hub.engine.run import Complete, Fail, Signal, Stopped
from hub.errors import RunCancelled, RunError, RunTimedOut, UnavailableError
from hub.runtime.executor import results, retrying
from hub.runtime.executor.flowrecord import Begun, Ended, FlowRecord
from hub.runtime.executor.limits import Expired
from hub.runtime.executor.root import CancelledNow, Root, attempt_name
from hub.runtime.executor.session import Session
from hub.runtime.executor.steps import Blocking, Gather, Invoke, Life, Pause
from hub.runtime.executor.tasklife import STOPPING, hint_of
from hub.runtime.executor.texts import NAME_CHARS, TRACE_CHARS, clean, describe
from hub.runtime.executor.values import futures_in, replaced
from hub.runtime.journal import AttemptLost, Known
from hub.runtime.loader import user_lines
from hub.runtime.parameters import call_arguments
from hub.sdk.context import FlowInfo, RunContext
from hub.sdk.flows import Flow
from hub.states import StateType
from hub.types import SECOND, Id, now_us

_GRACE = 2.0
"""Seconds that interrupted tasks have to end before their flow goes on without them."""


class FlowCall:
    """One flow run to be lived here."""

    def __init__(
        self, flow: Flow[..., Any], values: Mapping[str, Any], record: FlowRecord, root: Root, info: FlowInfo, *,
        timeout: float | None = None, in_process: bool = True, restart_of: Id | None = None,
        opened: Callable[[Begun], object] | None = None, outermost: bool = True,
    ) -> None:  # fmt: skip
        self.flow = flow
        self.values = values
        self.record = record
        self.root = root
        self.info = info
        self.timeout = timeout if timeout is not None else flow.options.timeout
        self.in_process = in_process
        self.restart_of = restart_of
        self.opened = opened
        self.outermost = outermost
        self.ended: Ended | None = None


def live(call: FlowCall) -> Life:
    """Live the run: attempt after attempt where it is retried here. Gives the flow's result, or raises what it did."""
    while True:
        session: Session = yield Blocking(lambda: _begin(call))
        try:
            value = yield from _attempt(call, session)
        except GeneratorExit:  # the loop is gone: nothing can be awaited, the lease will run out
            raise
        except BaseException as raised:
            error = _meant(call, raised)
            yield from _fail(call, session, error)
            due = call.ended.due_at if call.ended is not None else None
            if due is None or not call.in_process:
                if error is raised:
                    raise
                raise error from None
        else:
            try:
                yield from _complete(call, session, value)
            except UnavailableError as error:
                # Its result cannot be kept: the run has not ended well.
                if call.ended is None:
                    yield from _fail(call, session, error)
                raise
            return value
        yield Pause(max(0.0, (due - now_us()) / SECOND), call.root.stop)


def _meant(call: FlowCall, error: BaseException) -> BaseException:
    """A cancel from elsewhere arrives as Ctrl-C or as a cancelled coroutine; the caller is told what it was."""
    stopped_by = call.root.stopped_by
    if isinstance(stopped_by, RunCancelled) and isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
        return stopped_by
    return error


def _begin(call: FlowCall) -> Session:
    begun = call.record.begin()
    call.root.reporting = False
    if call.opened is not None:
        call.opened(begun)
    journal, earlier, restarted = call.root.journal, dict[str, Known](), dict[str, Known]()
    if begun.attempt > 1:
        earlier = journal.known(call.info.run_id)
    if call.restart_of is not None:
        restarted = journal.known(call.restart_of)
    return Session(
        call.root, replace(call.info, attempt=begun.attempt), printing=call.flow.options.log_prints,
        earlier=earlier, restarted=restarted,
    )  # fmt: skip


def _attempt(call: FlowCall, session: Session) -> Life:
    args, kwargs = call_arguments(call.flow, call.values) if call.values else ((), {})
    context = RunContext(session.info, session)
    call.root.check()
    try:
        value = yield Invoke(
            call.flow._wrapped, args, kwargs, context, timeout=call.timeout, printing=session.printing,
            taint=call.root.taint,
        )  # fmt: skip
    except Expired:
        raise _TimedOut(f"flow {call.flow.name} was over its timeout of {call.timeout:g} s") from None
    returned = futures_in((value,), {})
    yield Gather(returned)
    value = replaced(value) if returned else value
    while unfinished := session.unfinished():
        yield Gather(unfinished)
    call.root.check()
    return value


class _TimedOut(RunTimedOut):
    """The flow's own timeout, not one that came up from a task."""


def _complete(call: FlowCall, session: Session, value: Any) -> Life:
    stored = results.encode(value, hint_of(call.flow._wrapped)) if call.flow.options.persist else results.UNKEPT
    if stored.data is not None and len(stored.data) > results.INLINE_BYTES:
        name = attempt_name("run", session.info.attempt)
        stored = yield Blocking(lambda: results.put(stored, call.root.results, call.info.run_id, name))
    yield from _report(call, session, Complete, result=stored.data, result_format=stored.format)
    if call.ended is not None and call.ended.state.type is StateType.CANCELLED:
        raise CancelledNow


def _fail(call: FlowCall, session: Session, error: BaseException) -> Life:
    timed_out = isinstance(error, _TimedOut)
    # User code may raise RunCancelled itself, or meet that of another run; then it is a failure like others.
    stopping = isinstance(error, STOPPING) and (not isinstance(error, RunCancelled) or call.root.stopped_by is not None)
    session.ended = True
    yield from _wind_up(call, session, hard=timed_out or stopping)
    if isinstance(error, AttemptLost):
        return
    line = describe(error)
    message = error.detail if isinstance(error, RunError) else line
    columns = {
        "error_type": clean(type(error).__qualname__.removeprefix("_"), NAME_CHARS),
        "error_message": clean(message),
        "error_trace": clean(user_lines(error), TRACE_CHARS),
    }
    if stopping:
        yield from _stop(call, session, error)
        return
    retryable = isinstance(error, Exception) and not isinstance(error, RunCancelled)
    retryable = retryable and retrying.wanted(call.flow.options.retry, error, timed_out=timed_out)

    def make(attempt: int, epoch: int) -> Signal:
        return Fail(
            attempt, epoch, clean(message), timed_out=timed_out, retryable=retryable,
            spread=random.random(),  # noqa: S311 - spreads retries, keeps no secret
        )  # fmt: skip

    yield from _report(call, session, make, **columns)


def _stop(call: FlowCall, session: Session, error: BaseException) -> Life:
    """Ended from outside. Where nobody asked the hub for it, the hub is told of the cancel first."""

    def make(attempt: int, epoch: int) -> Signal:
        return Stopped(attempt, epoch, _reason(error))

    yield from _flush(call, session)
    call.ended = yield Blocking(lambda: call.record.stop(make, _reason(error)))


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "stopped by Ctrl-C"
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "its coroutine was cancelled"
    return clean(str(error)) or type(error).__name__


def _wind_up(call: FlowCall, session: Session, *, hard: bool) -> Life:
    """Let submitted tasks end; `hard`: interrupt them, and go on without those that do not."""
    unfinished = session.unfinished()
    if hard:
        call.root.stop_tasks(unfinished)
        yield Blocking(lambda: _wait_a_little(unfinished))
    else:
        yield Gather(unfinished)
    for record in list(session.open.values()):
        session.journal.put(record.signal(Stopped(record.run.attempt, 0, "its flow has ended")))


def _wait_a_little(unfinished: list[Any]) -> None:
    until = now_us() + int(_GRACE * SECOND)
    for future in unfinished:
        with future._lock:
            future._lock.wait_for(future.done, max(0.0, (until - now_us()) / SECOND))


def _flush(call: FlowCall, session: Session) -> Life:
    session.ended = True
    if call.outermost:
        call.root.begin_report()
    yield Blocking(call.root.journal.seal if call.outermost else call.root.journal.flush)


def _report(call: FlowCall, session: Session, make: Callable[[int, int], Signal], **columns: Any) -> Life:
    yield from _flush(call, session)
    call.ended = yield Blocking(lambda: call.record.report(make, **columns))
