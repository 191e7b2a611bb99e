"""The life of a task run: recall, wait for upstream, begin, call, retry, end. A generator of effects."""

from __future__ import annotations

import asyncio
import random
import typing
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from hub.engine.run import Begin, Cancel, Complete, Fail, Reject, Stopped
from hub.errors import RunCancelled, RunError, RunFailed, RunTimedOut
from hub.runtime.executor import results, retrying
from hub.runtime.executor.limits import Expired, Interrupted
from hub.runtime.executor.root import attempt_name
from hub.runtime.executor.session import Recalled, Session
from hub.runtime.executor.steps import Blocking, Commit, Gather, Invoke, Life, Pause
from hub.runtime.executor.taskrecord import TaskRecord, retry_policy
from hub.runtime.executor.texts import describe
from hub.runtime.executor.values import has_futures, replaced
from hub.runtime.journal import AttemptLost, Fact
from hub.sdk.context import RunContext
from hub.sdk.functions import Wrapped
from hub.sdk.futures import Future
from hub.sdk.options import Options
from hub.states import State, StateType
from hub.types import SECOND, Id, new_id, now_us

STOPPING = (Interrupted, AttemptLost, RunCancelled, asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)
"""What ends a task from outside: no failure of its own, never retried."""
_REPEATED = "done by the run that this one repeats"


class Call:
    """One call of a task, as its caller made it."""

    __slots__ = (
        "args", "body", "future", "id", "key", "kwargs", "name", "options", "parent", "record", "session", "state",
        "task_name", "upstream", "wrapped",
    )  # fmt: skip

    def __init__(
        self, session: Session, parent: RunContext, wrapped: Wrapped, options: Options, args: tuple[Any, ...],
        kwargs: dict[str, Any], *, key: str, name: str, upstream: list[Future[Any]],
    ) -> None:  # fmt: skip
        self.session = session
        self.parent = parent
        self.wrapped = wrapped
        self.options = options
        self.args = args
        self.kwargs = kwargs
        self.key = key
        self.name = name
        self.task_name = options.name
        self.upstream = upstream
        known = session.earlier.get(key)
        self.id: Id = known.id if known is not None else new_id()
        self.state = State(StateType.PENDING, "Pending")
        self.record: TaskRecord | None = None
        self.future: Future[Any] | None = None
        self.body: Callable[[Call, RunContext, tuple[Any, ...], dict[str, Any]], Life] = _invoke

    def opened(self) -> TaskRecord:
        """Its record, made when it is first needed."""
        if self.record is None:
            # A flow as a step has retries of its own.
            self.record = TaskRecord(
                self.session, self.id, key=self.key, task_name=self.task_name, name=self.name,
                parent=self.parent.task_run_id, retry=retry_policy(self.options.retry),
                known=self.session.earlier.get(self.key), upstream=[future.task_run_id for future in self.upstream],
            )  # fmt: skip
        return self.record


def live(call: Call) -> Life:
    """The whole life. Gives the task's result, or raises what it raised."""
    session = call.session
    yield from _check(call)
    if call.key in session.earlier or call.key in session.restarted:
        recalled = yield Blocking(lambda: session.recall(call.key, hint_of(call.wrapped)))
        if recalled is not None:
            return (yield from _recalled(call, recalled))
    if call.upstream:
        yield from _upstream(call)
    return (yield from _tries(call))


def _recalled(call: Call, recalled: Recalled) -> Life:
    call.state = State(StateType.COMPLETED, recalled.known.state_name)
    if recalled.again:
        record = call.opened()
        record.stored = recalled.stored
        record.started_at = record.created_at
        yield from _end(call, record.signal(Complete(record.run.attempt, 0, "Cached", _REPEATED)))
    return recalled.value


def _upstream(call: Call) -> Life:
    """Wait for the futures among the arguments; a failed one ends the task before it began."""
    yield Gather([future for future in call.upstream if not future.done()])
    for future in call.upstream:
        error = future.exception()
        if error is None:
            continue
        record = call.opened()
        if isinstance(error, STOPPING):
            yield from _end(call, record.signal(Cancel(f"{future.name}, whose result it needs, was stopped")))
            raise error
        refused = RunFailed(f"{call.name} did not run: {future.name}, whose result it needs, has failed")
        refused.__cause__ = error
        record.error = (type(refused).__name__, refused.detail, None)
        yield from _end(call, record.signal(Reject(f"upstream {future.name} failed: {describe(error)}")))
        raise refused
    if has_futures(call.args, call.kwargs):
        call.args, call.kwargs = replaced(call.args), replaced(call.kwargs)


def _tries(call: Call) -> Life:
    record, session = call.opened(), call.session
    while True:
        yield from _check(call)
        session.journal.put(record.signal(Begin()))
        call.state = record.state
        attempt = record.run.attempt
        context = RunContext(
            call.parent.flow, session, step=call.key, task_run_id=call.id, task_name=call.task_name,
            task_attempt=attempt,
        )  # fmt: skip
        try:
            value = yield from call.body(call, context, call.args, call.kwargs)
        except STOPPING as error:
            yield from _stopped(call, record, error)
            raise
        except Expired:
            failure: BaseException = RunTimedOut(f"task {call.name} was over its timeout of {call.options.timeout:g} s")
            timed_out = True
        except BaseException as raised:  # noqa: BLE001 - whatever user code raises ends its task
            failure, timed_out = raised, False
        else:
            # A thread that was given up may come back when its flow has closed the record.
            if not record.state.final:
                record.stored = yield from _keep(call, value, attempt)
                yield from _end(call, record.signal(Complete(attempt, 0)))
            return value
        if record.state.final:  # as above
            raise failure
        fact = _failed(call, record, failure, timed_out=timed_out)
        if record.state.type is not StateType.SCHEDULED:
            yield from _end(call, fact)
            raise failure
        session.journal.put(fact)
        call.state = record.state
        yield Pause(max(0.0, ((record.due_at or 0) - now_us()) / SECOND), session.root.stop)


def _check(call: Call) -> Life:
    """Call it off when its run is to stop or its flow has ended."""
    session = call.session
    try:
        session.root.check()
        if session.ended:
            raise RunCancelled(f"{call.name} did not run: its flow has ended")
    except STOPPING as error:
        if call.record is not None and not call.record.state.final:
            session.journal.put(call.record.signal(Cancel(str(error))))
            call.state = call.record.state
        raise
    return
    yield


def _invoke(call: Call, context: RunContext, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Life:
    return (
        yield Invoke(
            call.wrapped, args, kwargs, context, timeout=call.options.timeout,
            printing=call.options.log_prints or call.session.printing, taint=call.session.root.taint,
        )
    )  # fmt: skip


def _failed(call: Call, record: TaskRecord, error: BaseException, *, timed_out: bool) -> Fact:
    retryable = isinstance(error, Exception) and not call.session.root.stop.is_set()
    retryable = retryable and retrying.wanted(call.options.retry, error, timed_out=timed_out)
    line = record.failed(error)
    message = error.detail if isinstance(error, RunError) else line
    signal = Fail(
        record.run.attempt, 0, message, timed_out=timed_out, retryable=retryable,
        spread=random.random(),  # noqa: S311 - spreads retries, keeps no secret
    )  # fmt: skip
    return record.signal(signal)


def _stopped(call: Call, record: TaskRecord, error: BaseException) -> Life:
    if record.state.final or isinstance(error, AttemptLost | GeneratorExit):
        return
    fact = record.signal(Stopped(record.run.attempt, 0, f"stopped with its flow: {type(error).__name__}"))
    call.state = record.state
    # Not waited for: whoever stops the run may be waiting for us.
    call.session.journal.put(fact)
    return
    yield


def _keep(call: Call, value: Any, attempt: int) -> Life:
    if not call.options.persist:
        return results.UNKEPT
    if value is None:
        return results.NOTHING
    stored = results.encode(value, hint_of(call.wrapped))
    if not stored.kept:
        call.session.log(
            call.id, 20, "hub",
            f"the result ({type(value).__qualname__}) is not JSON and lives in memory only: a new attempt of the run "
            "would run this task again. A return type hint that pydantic knows, or persist=False, ends this line.",
        )  # fmt: skip
    elif stored.data is not None and len(stored.data) > results.INLINE_BYTES:
        root, name = call.session.root, attempt_name(call.id, attempt)
        stored = yield Blocking(lambda: results.put(stored, root.results, call.session.info.run_id, name))
    return stored


def _end(call: Call, fact: Fact) -> Life:
    record = call.record
    if record is not None:
        call.state = record.state
    yield Commit(call.session.journal, fact)


_hints: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def hint_of(wrapped: Wrapped) -> Any:
    """The return type of a function, None when there is none to be had."""
    fn = wrapped.fn
    if fn not in _hints:
        try:
            _hints[fn] = typing.get_type_hints(fn, include_extras=True).get("return")
        except Exception:  # noqa: BLE001 - hints are any expression
            _hints[fn] = None
    return _hints[fn]
