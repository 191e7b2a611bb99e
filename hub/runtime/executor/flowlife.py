"""The life of a flow run's attempts in this process. A generator of effects."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hub import redacting
from hub.engine.run import Cancel, Complete, Fail, Signal, Stopped
from hub.errorclasses import class_of
from hub.errors import RollbackPending, RunCancelled, RunError, RunFailed, RunTimedOut, UnavailableError
from hub.runtime.executor import retrying, statehooks, transactions
from hub.runtime.executor.branches import Branch, CancelledNow, Trunk
from hub.runtime.executor.flowrecord import Begun, Ended, FlowRecord
from hub.runtime.executor.keeping import keep
from hub.runtime.executor.leaving import until_alone
from hub.runtime.executor.limits import Expired
from hub.runtime.executor.root import Leaving, Root, attempt_name
from hub.runtime.executor.session import Session
from hub.runtime.executor.steps import Blocking, Drain, Gather, Invoke, Life, Pause
from hub.runtime.executor.streams import calling
from hub.runtime.executor.tasklife import STOPPING
from hub.runtime.executor.texts import NAME_CHARS, TRACE_CHARS, clean, describe
from hub.runtime.executor.transactions import Txn
from hub.runtime.executor.values import futures_in, replaced
from hub.runtime.journal import AttemptLost
from hub.runtime.loader import user_lines
from hub.runtime.parameters import call_arguments
from hub.sdk.context import FlowInfo, RunContext
from hub.sdk.flows import Flow
from hub.sdk.futures import Futures
from hub.sdk.futurestream import FutureStream
from hub.sdk.statehooks import FlowRun
from hub.states import TERMINAL, State, StateType
from hub.store.hooks import ENDS
from hub.types import SECOND, Id, now_us

_log = logging.getLogger("hub.run")
_SLICE = 0.2
_BAD = TERMINAL - {StateType.COMPLETED}
_GRACE = 2.0
"""Seconds that interrupted tasks have to end before their flow goes on without them."""


class FlowCall:
    """One flow run to be lived here."""

    def __init__(
        self, flow: Flow[..., Any], values: Mapping[str, Any], record: FlowRecord, root: Root, info: FlowInfo, *,
        timeout: float | None = None, in_process: bool = True, restart_of: Id | None = None,
        restart_from: Id | None = None,
        opened: Callable[[Begun], object] | None = None, outer: Session | None = None, outer_step: Id | None = None,
        within_task: bool = False, branch: Branch | None = None,
    ) -> None:  # fmt: skip
        self.flow = flow
        self.values = values
        self.record = record
        self.root = root
        self.branch: Trunk = branch or root
        """What it is stopped with: itself, when it is nested."""
        self.info = info
        self.timeout = timeout if timeout is not None else flow.options.timeout
        self.in_process = in_process
        self.restart_of = restart_of
        self.restart_from = restart_from
        self.opened = opened
        self.outer = outer
        self.outer_step = outer_step
        self.within_task = within_task
        self.outermost = outer is None
        self.txn: Txn | None = None
        """The transaction that it was called in."""
        self.place = ""
        self.ended: Ended | None = None


def live(call: FlowCall) -> Life:
    """Live the run: attempt after attempt where it is retried here. Gives the flow's result, or raises what it did."""
    while True:
        session: Session = yield Blocking(lambda: _begin(call))
        try:
            yield from _open(call, session)
            yield from _tell(call, session, State(StateType.RUNNING, "Running"))
            value = yield from _attempt(call, session)
        except GeneratorExit:  # the loop is gone: nothing can be awaited, the lease will run out
            raise
        except BaseException as raised:
            if isinstance(raised, UnavailableError) and (
                not session.recalled or (raised.passes and not call.in_process)
            ):
                # No fault of the flow's: the run goes on in another attempt, when it is known that this one is lost.
                raise
            if (leaving := _departs(call, raised)) is not None:
                yield from _leave(call, session, leaving, raised)
                raise leaving from None
            error = _meant(call, raised)
            yield from _fail(call, session, error)
            yield from _tell(call, session)
            due = call.ended.due_at if call.ended is not None else None
            if due is None or not call.in_process:
                if error is raised:
                    raise
                raise error from None
        else:
            try:
                yield from _complete(call, session, value)
            except UnavailableError as error:
                if error.passes and not call.in_process:
                    raise  # no fault of the flow's, as above: it has ended well, and another attempt will say so
                # Its result cannot be kept: the run has not ended well.
                if call.ended is None:
                    yield from _fail(call, session, error)
                yield from _tell(call, session)
                raise
            except CancelledNow:
                yield from _tell(call, session)
                raise
            yield from _tell(call, session)
            return value
        yield Pause(max(0.0, (due - now_us()) / SECOND), call.branch.stop)


def _departs(call: FlowCall, raised: BaseException) -> Leaving | None:
    """The departure that unwinds the flow, whatever its code has made of it; not when the run is stopped or lost."""
    root = call.root
    if call.branch.stopped_by is not None or isinstance(raised, AttemptLost | _TimedOut):
        return None
    return root.leaving or (raised if isinstance(raised, Leaving) else None)


def _leave(call: FlowCall, session: Session, leaving: Leaving, raised: BaseException) -> Life:
    """End the attempt: the run goes on in another one."""
    if not isinstance(raised, Leaving):
        session.log(None, 30, "hub", f"while the run left its process its code raised {describe(raised)}")
    for stream in list(session.untaken):
        _close(stream)
    yield from until_alone(session)
    leaving = call.root.leave(leaving)
    yield from _flush(call, session)
    call.ended = yield Blocking(lambda: call.record.leave(leaving))
    if call.ended is not None and call.ended.state.type is StateType.CANCELLED:
        yield from _tell(call, session)
        raise CancelledNow


def _meant(call: FlowCall, error: BaseException) -> BaseException:
    """A cancel from elsewhere arrives as Ctrl-C or as a cancelled coroutine; the caller is told what it was."""
    stopped_by = call.branch.stopped_by
    if isinstance(stopped_by, RunCancelled) and isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
        return stopped_by
    return error


def _begin(call: FlowCall) -> Session:
    """Open the attempt, and nothing else: from here on the run looks alive, and whatever goes wrong has to end it."""
    begun = call.record.begin()
    call.root.reporting = False
    session = Session(
        call.root, replace(call.info, attempt=begun.attempt), printing=call.flow.options.log_prints,
        result_store=call.flow.options.result_store, result_serializer=call.flow.options.result_serializer,
        attempt_id=begun.attempt_id, epoch=begun.epoch, branch=call.branch, outer=call.outer,
        outer_step=call.outer_step, within_task=call.within_task,
    )  # fmt: skip
    session.runner, session.place = call.flow.options.runner, call.place
    return session


def _open(call: FlowCall, session: Session) -> Life:
    yield Blocking(lambda: _recall(call, session))


def _recall(call: FlowCall, session: Session) -> None:
    """Read what was done before."""
    attempt, journal = session.info.attempt, call.root.journal
    if call.opened is not None:
        call.opened(Begun(attempt, session.epoch, session.attempt_id))
    if attempt > 1:
        session.earlier = journal.known(call.info.run_id)
    if call.restart_of is not None:
        session.restarted = journal.known(call.restart_of, until=call.restart_from)
    session.recalled = True


def _attempt(call: FlowCall, session: Session) -> Life:
    args, kwargs = call_arguments(call.flow, call.values) if call.values else ((), {})
    context = RunContext(session.info, session, is_async=call.flow.is_async)
    context.around, session.body = call.txn, context
    call.branch.check()
    yield from transactions.finish(session)
    try:
        invoke = Invoke(
            call.flow._wrapped, args, kwargs, context, timeout=call.timeout, printing=session.printing,
            taint=call.root.taint, branch=call.branch if isinstance(call.branch, Branch) else None, body=True,
        )  # fmt: skip
        kept = call.flow.options.persist and call.root.store is not None
        value = yield calling(invoke, persist=kept, check=call.branch.check)
    except Expired:
        raise _TimedOut(f"flow {call.flow.name} was over its timeout of {call.timeout:g} s") from None
    if isinstance(value, FutureStream):
        value = Futures((yield Drain(value, keep=True)))
    returned = futures_in((value,), {})
    yield Gather(returned)
    value = replaced(value) if returned else value
    while session.untaken or (unfinished := session.unfinished()):
        yield Drain(session.untaken[0]) if session.untaken else Gather(unfinished)
    call.branch.check()
    call.root.check_body(context)
    if session.resting:
        raise call.root.leave(session.resting[0])
    _refuse_bad_states(call, value)
    return value


def _refuse_bad_states(call: FlowCall, value: Any) -> None:
    """A flow that returns the state of something that has not ended well has not either."""
    for state in value if isinstance(value, list | tuple) else (value,):
        if isinstance(state, State) and state.type in _BAD:
            why = f": {state.message}" if state.message else ""
            raise RunFailed(f"flow {call.flow.name} returned a state that is {state.name}{why}")


def _tell(call: FlowCall, session: Session, state: State | None = None) -> Life:
    """Call the hooks of a state that the run has entered."""
    state = state or (call.ended.state if call.ended is not None else None)
    if state is None or not call.flow.options.hooks:
        return
    info = session.info
    run = FlowRun(
        info.run_id, info.run_name, info.flow_name, info.attempt, info.parameters, info.tags, info.deployment_id,
        info.deployment_name, info.parent_run_id,
    )  # fmt: skip
    yield from statehooks.tell(call.flow.options, call.flow, run, state, RunContext(info, session))
    if state.final and call.flow.options.hooks.get(ENDS[state.type]):
        yield Blocking(call.record.told)


class _TimedOut(RunTimedOut):
    """The flow's own timeout, not one that came up from a task."""


def _complete(call: FlowCall, session: Session, value: Any) -> Life:
    part = attempt_name("run", session.info.attempt)
    stored = yield from keep(session, call.flow.options, value, call.flow._wrapped, part=part, task_run_id=None)
    secret = {"result_secret": True} if redacting.holds(stored.data) else {}
    yield from _report(call, session, Complete, result=stored.data, result_format=stored.format, **secret)
    if call.ended is not None and call.ended.state.type is StateType.CANCELLED:
        raise CancelledNow


def _fail(call: FlowCall, session: Session, error: BaseException) -> Life:
    timed_out = isinstance(error, _TimedOut)
    # User code may raise RunCancelled itself, or meet that of another run; then it is a failure like others.
    raised = isinstance(error, RunCancelled) and call.branch.stopped_by is None
    stopping = isinstance(error, STOPPING) and not raised
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
    retryable = isinstance(error, Exception) and not isinstance(error, RunCancelled | RollbackPending)
    retryable = retryable and not session.handed & {""}
    retryable = retryable and retrying.wanted(call.flow.options.retry, error, timed_out=timed_out)

    def make(attempt: int, epoch: int) -> Signal:
        return Fail(
            attempt, epoch, clean(message), timed_out=timed_out, retryable=retryable,
            error_class=class_of(error), retry_after=retrying.asked(error),
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
    for stream in list(session.untaken):
        _close(stream)
    unfinished = session.unfinished()
    if hard:
        call.branch.stop_tasks(unfinished)
        yield Blocking(lambda: _wait_a_little(call, unfinished))
    else:
        yield Gather(unfinished)
    for record in list(session.open.values()):
        told = "its flow has ended"
        begun = record.state.type is StateType.RUNNING
        session.journal.put(record.signal(Stopped(record.run.attempt, 0, told) if begun else Cancel(told)))


def _close(stream: FutureStream[Any]) -> None:
    try:
        stream.close()
    except Exception:  # noqa: BLE001 - the clean-up of a generator of the user's
        _log.exception("an iterator that was given to map could not be closed")


def _wait_a_little(call: FlowCall, unfinished: list[Any]) -> None:
    """For what was interrupted; for all of it where a nested run is cancelled alone: its caller's process goes on."""
    until = now_us() + int(_GRACE * SECOND)
    for future in unfinished:
        while not future.done() and (now_us() < until or _cancelled_alone(call)):
            with future._lock:
                future._lock.wait_for(future.done, _SLICE)
    if not all(future.done() for future in unfinished):
        call.root.taint()


def _cancelled_alone(call: FlowCall) -> bool:
    return call.branch.stopped_by is not None and call.root.stopped_by is None


def _flush(call: FlowCall, session: Session) -> Life:
    session.ended = True
    if call.outermost:
        call.root.begin_report()
    yield Blocking(call.root.journal.seal if call.outermost else call.root.journal.flush)


def _report(call: FlowCall, session: Session, make: Callable[[int, int], Signal], **columns: Any) -> Life:
    yield from _flush(call, session)
    call.ended = yield Blocking(lambda: call.record.report(make, **columns))
