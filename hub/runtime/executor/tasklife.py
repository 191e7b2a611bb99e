"""The life of a task run: recall, wait for upstream, begin, call, retry, end. A generator of effects."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import Any

from hub.engine.run import Begin, Cancel, Complete, Fail, Reject, Stopped, Suspend
from hub.errorclasses import class_of
from hub.errors import RunCancelled, RunError, RunFailed, RunTimedOut
from hub.runtime.executor import assets, caching, outside, retrying, staging, statehooks, transactions
from hub.runtime.executor.branches import Branch
from hub.runtime.executor.keeping import encoded, hint_of, in_store, put
from hub.runtime.executor.leaving import task_may_rest, wait_until
from hub.runtime.executor.limits import Expired, Interrupted
from hub.runtime.executor.root import Leaving, attempt_name
from hub.runtime.executor.session import Recalled, Session
from hub.runtime.executor.slots import hold_tags
from hub.runtime.executor.steps import Blocking, Commit, Effect, Gather, Invoke, Life, Pause
from hub.runtime.executor.streams import ClosedEarly, calling
from hub.runtime.executor.taskrecord import PENDING, TaskRecord, retry_policy
from hub.runtime.executor.texts import clean, describe
from hub.runtime.executor.transactions import Txn
from hub.runtime.executor.triggers import SKIPPED, Fails, Skips, verdict
from hub.runtime.executor.values import NOTHING, Needs, replaced
from hub.runtime.journal import AttemptLost, Fact, Write, both
from hub.sdk.context import RunContext
from hub.sdk.functions import Wrapped
from hub.sdk.futures import Departure, Future
from hub.sdk.options import Options
from hub.sdk.statehooks import TaskRun
from hub.states import State, StateType
from hub.types import SECOND, Id, new_id, now_us

STOPPING = (Interrupted, AttemptLost, RunCancelled, Leaving, asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)
"""What ends a task from outside: no failure of its own, never retried."""
_REPEATED = "done by the run that this one repeats"
_BEGIN, _SCHEDULED = Begin(), StateType.SCHEDULED


class Call:
    """One call of a task, as its caller made it."""

    __slots__ = (
        "args", "body", "future", "id", "key", "kwargs", "made_from", "name", "needs", "options", "parent", "record",
        "session", "state", "task", "task_name", "txn", "wrapped",
    )  # fmt: skip

    def __init__(
        self, session: Session, parent: RunContext, wrapped: Wrapped, options: Options, args: tuple[Any, ...],
        kwargs: dict[str, Any], key: str, name: str, needs: Needs,
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
        self.needs = needs
        self.made_from = options.asset_deps
        self.task: Any = None
        """What its hooks get to see."""
        known = session.earlier.get(key)
        self.id: Id = known.id if known is not None else new_id()
        self.state = PENDING
        self.record: TaskRecord | None = None
        self.future: Future[Any] | None = None
        self.txn: Txn | None = None
        """The transaction that it is part of."""
        self.body: Callable[[Call, RunContext, tuple[Any, ...], dict[str, Any]], Life] | None = (
            None if wrapped.made_of is None else outside.body
        )
        """What is done instead of calling the function here."""

    def opened(self) -> TaskRecord:
        """Its record, made when it is first needed."""
        if self.record is None:
            session, needs = self.session, self.needs
            self.record = TaskRecord(
                session, self.id, self.key, self.task_name, self.name, self.parent.task_run_id,
                # A flow as a step has retries of its own.
                retry_policy(self.options.retry, session.root.task_retries), session.earlier.get(self.key),
                [] if needs is NOTHING else [future.task_run_id for future in needs.futures],
            )  # fmt: skip
        return self.record


def live(call: Call) -> Life:
    """The whole life. Gives the task's result, or raises what it raised."""
    session, options, key = call.session, call.options, call.key
    plain = call.needs is NOTHING and options.cache is None and options.trigger != "one_failed"
    if plain and key not in session.earlier and key not in session.restarted and session.root.recording is None:
        return _tries(call)  # nearly always: a generator around it would cost as much as a small function
    return _whole(call)


def _whole(call: Call) -> Life:
    session = call.session
    _check(call)
    if call.key in session.earlier or call.key in session.restarted:
        written_as = call.options.result_serializer
        recalled = yield Blocking(lambda: session.recall(call.key, hint_of(call.wrapped), written_as))
        if recalled is not None:
            return (yield from _recalled(call, recalled))
    if session.root.recording is not None:
        return (yield from session.root.recording.other(call))
    if call.needs is not NOTHING or call.options.trigger == "one_failed":
        runs = yield from _upstream(call)
        if not runs:
            return None
    call.opened()
    if call.options.cache is not None:
        return (yield from caching.live(call, call.options.cache, _tries, _check))
    return (yield from _tries(call))


def _recalled(call: Call, recalled: Recalled) -> Life:
    call.state = State(StateType.COMPLETED, recalled.known.state_name)
    yield from staging.recalled(call, recalled)
    if recalled.again:
        record = call.opened()
        record.stored = recalled.stored
        record.started_at = record.created_at
        yield from caching.using(call.session, recalled.stored)
        yield from _end(call, record.signal(Complete(record.run.attempt, 0, "Cached", _REPEATED)))
    return recalled.value


def _upstream(call: Call) -> Life:
    """Wait for the futures among the arguments, then do what the trigger says. Gives whether the task runs."""
    yield Gather([future for future in call.needs.futures if not future.done()])
    for future in call.needs.futures:
        if isinstance(future._error, Departure):
            call.session.resting.append(future._error)  # type: ignore[arg-type]
            raise future._error
    said = verdict(call.options.trigger, call.needs)
    if isinstance(said, Fails):
        yield from _refused(call, said)
    elif isinstance(said, Skips):
        record = call.opened()
        yield from _end(call, record.signal(Complete(record.run.attempt, 0, SKIPPED, said.why)))
        return False
    elif call.needs.marked:
        call.args = replaced(call.args, forgiving=said.forgiving)
        call.kwargs = replaced(call.kwargs, forgiving=said.forgiving)
    return True


def _refused(call: Call, said: Fails) -> Life:
    record, future, error = call.opened(), said.upstream, said.error
    if isinstance(error, STOPPING):
        yield from _end(call, record.signal(Cancel(f"{future.name}, whose result it needs, was stopped")))
        raise error
    refused = RunFailed(f"{call.name} did not run: {future.name}, whose result it needs, has failed")
    refused.__cause__ = error
    record.error = (type(refused).__name__, refused.detail, None)
    why = f"upstream {future.name} failed: {describe(error)}"
    yield from _end(call, record.signal(Reject(why, error_class=class_of(error))))
    raise refused


def _tries(call: Call) -> Life:
    _check(call)
    record, session, options = call.opened(), call.session, call.options
    if record.run.state.type is _SCHEDULED:
        yield from _until_retry(call, record)
        _check(call)
    while True:
        session.journal.put(record.signal(_BEGIN))
        call.state = record.run.state
        attempt = record.run.attempt
        context = RunContext(
            call.parent.flow, session, call.key, call.id, call.task_name, attempt, call.wrapped.is_async
        )
        context.around = call.txn
        if options.assets:
            assets.begin(call, context)
        staged: Write | None = None
        if options.hooks:
            yield from _tell(call, record, context)
        try:
            if call.body is not None:
                value = yield from call.body(call, context, call.args, call.kwargs)
            else:
                if options.tags:
                    yield from hold_tags(context, options.tags)
                value = yield _invocation(call, context)
            if not record.run.state.final:
                # As `keep`, without a generator for what fits in the row.
                stored = encoded(session, options, value, call.wrapped, call.id)
                if in_store(session, options, stored):
                    stored = yield from put(session, options, stored, attempt_name(call.id, attempt))
                record.stored = stored
                if context.inner is not None:
                    yield from transactions.left(context, None)
                if call.txn is not None or options.transaction_hooks:
                    staged = yield from staging.completing(call, value, stored)
        except Leaving as left:
            _left(call, record, left)
            raise
        except STOPPING as error:
            yield from _stop(call, record, context, error)
            raise
        except Expired:
            failure: BaseException = RunTimedOut(f"task {call.name} was over its timeout of {call.options.timeout:g} s")
            timed_out = True
        except BaseException as raised:  # noqa: BLE001 - whatever user code raises ends its task
            failure, timed_out = raised, False
        else:
            # A thread that was given up may come back when its flow has closed the record.
            if not record.run.state.final:
                fact = record.signal(Complete(attempt, 0))
                if options.assets or staged is not None:
                    fact.also = both(assets.ended(call, context), staged)
                call.state = record.run.state
                yield Commit(session.journal, fact)
                if options.hooks:
                    yield from _tell(call, record, context)
            return value
        yield from _not_done(call, record, context, failure, timed_out=timed_out)


def _stop(call: Call, record: TaskRecord, context: RunContext, error: BaseException) -> Life:
    yield from transactions.left(context, error)
    yield from _stopped(call, record, error)
    if record.state.type is StateType.CANCELLED and not isinstance(error, GeneratorExit):
        yield from _tell(call, record, context)


def _not_done(
    call: Call, record: TaskRecord, context: RunContext, failure: BaseException, *, timed_out: bool
) -> Life:  # fmt: skip
    """Wait until it is tried again. Raises the failure where it is not, also in a record that its flow has closed."""
    undone = yield from transactions.left(context, failure)
    if record.state.final:
        raise failure
    fact = _failed(call, record, failure, timed_out=timed_out, undone=undone)
    if record.state.type is not StateType.SCHEDULED:
        fact.also = assets.ended(call, context, record.run.state.message)
        yield from _end(call, fact)
        yield from _tell(call, record, context)
        raise failure
    call.session.journal.put(fact)
    call.state = record.state
    yield from _until_retry(call, record)
    _check(call)


def _until_retry(call: Call, record: TaskRecord) -> Life:
    """Wait for the next try. A long delay is not waited for here where the run can go on in another process."""
    root, due = call.session.root, record.due_at or 0
    leaving = Leaving("retry", due, f"{call.name} is tried again then: {record.state.message}")
    left = max(0.0, (due - now_us()) / SECOND)
    if call.future is None:
        yield from wait_until(call.parent, due, leaving)
    elif left > root.wait_in_place and task_may_rest(call.parent):
        # It rests: whoever needs its result leaves, and so does its flow in the end.
        leaving.root = root
        root.resting.append(leaving)
        call.session.resting.append(leaving)
        raise leaving
    else:
        yield Pause(left, call.session.branch.stop)


def _left(call: Call, record: TaskRecord, left: Leaving) -> None:
    """Its run leaves: it begins again in the next attempt, and a nested flow goes on there."""
    if record.state.type is StateType.RUNNING:
        suspend = Suspend(record.run.attempt, 0, left.why, left.due_at, left.message)
        call.session.journal.put(record.signal(suspend))
        call.state = record.state


def _tell(call: Call, record: TaskRecord, context: RunContext) -> Iterable[Effect]:
    """Call the hooks of the state that the task run has entered."""
    if not call.options.hooks:
        return ()
    run = TaskRun(call.id, call.name, call.task_name, record.run.attempt, call.session.info.run_id)
    return statehooks.tell(call.options, call.task, run, record.state, context)


def _check(call: Call) -> None:
    """Call it off when its run is to stop or its flow has ended."""
    session = call.session
    try:
        session.branch.check()
        if session.ended:
            raise RunCancelled(f"{call.name} did not run: its flow has ended")
    except STOPPING as error:
        if call.record is not None and not call.record.state.final:
            session.journal.put(call.record.signal(Cancel(str(error))))
            call.state = call.record.state
        raise


def _invocation(call: Call, context: RunContext) -> Effect:
    session, options, wrapped = call.session, call.options, call.wrapped
    root, branch = session.root, session.branch
    invoke = Invoke(
        wrapped, call.args, call.kwargs, context, options.timeout, options.log_prints or session.printing, root.taint,
        branch if branch is not root and isinstance(branch, Branch) else None,
    )  # fmt: skip
    if not wrapped.generates:
        return invoke
    return calling(invoke, persist=options.persist and root.store is not None, check=branch.check)


def _failed(call: Call, record: TaskRecord, error: BaseException, *, timed_out: bool, undone: bool) -> Fact:
    # Not before what it had done is undone: that would undo what the next try does.
    retryable = undone and isinstance(error, Exception) and not call.session.branch.stop.is_set()
    retryable = retryable and call.key not in call.session.handed
    retryable = retryable and retrying.wanted(call.options.retry, error, timed_out=timed_out)
    line = record.failed(error)
    message = error.detail if isinstance(error, RunError) else line
    signal = Fail(
        record.run.attempt, 0, message, timed_out=timed_out, retryable=retryable, error_class=class_of(error),
        retry_after=retrying.asked(error), spread=random.random(),  # noqa: S311 - spreads retries, keeps no secret
    )  # fmt: skip
    return record.signal(signal)


def _stopped(call: Call, record: TaskRecord, error: BaseException) -> Life:
    if record.state.final or isinstance(error, AttemptLost | GeneratorExit):
        return
    alone = isinstance(error, RunCancelled) and call.session.branch.stopped_by is None
    if alone:
        # A flow that was cancelled alone: a later attempt of its caller is told so, and does not begin it again.
        record.error = (RunCancelled.__name__, clean(str(error)), None)
    told = str(error) if alone or isinstance(error, ClosedEarly) else f"stopped with its flow: {type(error).__name__}"
    fact = record.signal(Stopped(record.run.attempt, 0, told))
    call.state = record.state
    # Not waited for: whoever stops the run may be waiting for us.
    call.session.journal.put(fact)
    return
    yield


def _end(call: Call, fact: Fact) -> Life:
    record = call.record
    if record is not None:
        call.state = record.state
    yield Commit(call.session.journal, fact)
