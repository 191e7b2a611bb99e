"""A task run as the journal sees it: the rules decide, the row follows."""

from __future__ import annotations

import json
from typing import Any

from hub.engine.retry import NEVER, RetryPolicy
from hub.engine.rules import decide
from hub.engine.run import Refusal, Run, Signal, Transition
from hub.runtime.executor.results import Stored
from hub.runtime.executor.retrying import NO_RETRIES, RetryDefault, with_default
from hub.runtime.executor.session import Session
from hub.runtime.executor.texts import NAME_CHARS, TRACE_CHARS, clean, describe
from hub.runtime.journal import Fact, Known
from hub.runtime.loader import user_lines
from hub.sdk.retries import RetryOptions
from hub.states import DONE, State, StateType
from hub.types import Id, Micros, now_us

PENDING = State(StateType.PENDING, "Pending")
_AWAITING = State(StateType.SCHEDULED, "AwaitingRetry")
_NO_ERROR = (None, None, None)


def retry_policy(options: RetryOptions, default: RetryDefault = NO_RETRIES) -> RetryPolicy:
    """An author's options as the rules' policy; what they leave open is `default`."""
    options = with_default(options, default)
    if options.retries == 0:
        return NEVER
    return RetryPolicy(options.retries, options.delays, options.factor, options.cap, options.jitter, options.budget)


class TaskRecord:
    """One task run of a session. Every change comes from `engine.rules.decide`."""

    __slots__ = (
        "_before", "created_at", "due_at", "ended_at", "error", "error_class", "key", "name", "parent", "run",
        "session", "started_at", "stored", "task_name", "upstream",
    )  # fmt: skip

    def __init__(
        self, session: Session, id_: Id, key: str, task_name: str, name: str, parent: Id | None,
        retry: RetryPolicy, known: Known | None, upstream: list[Id],
    ) -> None:  # fmt: skip
        self.session = session
        self.key = key
        self.task_name = task_name
        self.name = clean(name, NAME_CHARS)
        self.parent = parent
        self.upstream = upstream
        self.created_at = now_us()
        self.due_at: Micros | None = None
        self.started_at: Micros | None = None
        self.ended_at: Micros | None = None
        self.error: tuple[str | None, str | None, str | None] = _NO_ERROR
        self.error_class: str | None = None
        self.stored: Stored | None = None
        self._before: tuple[Fact, ...] = ()
        """All that was said of it so far, while that is no more than that it waits and that it has begun."""
        version = attempt = used = 0
        state, began = PENDING, None
        if known is not None:
            version, attempt = known.version, known.attempt
            if known.retries_go_on:
                used, began = known.retries_used, known.created_at if known.retries_used else None
                if known.awaits_retry:
                    state, self.due_at = _AWAITING, known.due_at
        self.run = Run(
            id_, session.root.scope.workspace_id, state, version, attempt, 0, "inline", "task", used,
            retry=retry, started_at=began,
        )  # fmt: skip

    @property
    def state(self) -> State:
        """What it is now."""
        return self.run.state

    def fact(self) -> Fact:
        """Its present row and state, to be written, before it has begun."""
        fact = TaskFact(self, self.run, now_us())
        self._before = (fact,)
        return fact

    def signal(self, signal: Signal) -> Fact:
        """Do what the rules say about `signal`; gives what is to be written."""
        now = now_us()
        answer = decide(self.run, signal, now=now)
        if isinstance(answer, Refusal):
            raise AssertionError(f"task run {self.run.id}: {answer.reason}")
        run = self.run = _after(answer, now)
        self.due_at = answer.due_at
        self.error_class = answer.error_class
        if answer.started:
            self.started_at, self.ended_at, self.error = now, None, _NO_ERROR
            self.session.open[run.id] = self
        if answer.ended:
            self.ended_at = now
            self.session.open.pop(run.id, None)
        fact = TaskFact(self, run, now)
        before, self._before = self._before, ()
        if answer.started and run.version == 1:
            if not before:  # called, not submitted
                self.created_at = now
            self._before = (*before, fact)
        elif run.version == 2 and (run.state is DONE or run.state == DONE):
            fact.before = before
        return fact

    def failed(self, error: BaseException) -> str:
        """Note what was raised; gives its one line."""
        line = describe(error)
        self.error = (
            clean(type(error).__qualname__, NAME_CHARS),
            line,
            clean(user_lines(error), TRACE_CHARS),
        )
        return line


class TaskFact(Fact):
    """What a task run has become, as it is now; rows are made when they are written: most starts never are."""

    __slots__ = ("_at", "_ended_at", "_error", "_error_class", "_record", "_run", "_stored")

    def __init__(self, record: TaskRecord, run: Run, at: Micros) -> None:
        # Not by Fact's own: two are made for every task.
        self.key = run.id
        self.log = self.also = self.waiter = None
        self.before = ()
        self.written = False
        self._record = record
        self._run = run
        self._at = at
        self._ended_at = record.ended_at
        self._stored = record.stored
        self._error = record.error
        self._error_class = record.error_class

    def row(self) -> tuple[Any, ...]:
        """Values in the order of journal_sql.TASK_COLUMNS."""
        record, run, stored = self._record, self._run, self._stored
        state, info = run.state, record.session.info
        message = clean(state.message) if state.message else ""
        return (
            run.id, run.workspace_id, info.run_id, record.key, record.task_name, record.name, record.parent,
            json.dumps(record.upstream) if record.upstream else "[]",
            state.type._value_, state.name, message, run.version, info.attempt,
            run.attempt, run.retries_used, record.created_at, record.due_at, record.started_at, self._ended_at,
            *self._error, self._error_class, stored.data if stored else None, stored.format if stored else None,
        )  # fmt: skip

    def state(self) -> tuple[Any, ...]:
        """Values in the order of journal_sql.STATE_COLUMNS."""
        run = self._run
        return self._record.session.state_row(run.id, run.state, run.attempt, self._at)


def _after(transition: Transition, now: Micros) -> Run:
    """The run once its transition has happened."""
    run, changes = transition.before, transition.changes
    return Run(
        run.id, run.workspace_id, transition.state, run.version + 1, transition.attempt, transition.epoch, run.home,
        run.kind, changes.get("retries_used", run.retries_used) if changes else run.retries_used, run.crashes,
        run.crash_retries, run.retry, transition.due_at or run.due_at,
        run.started_at or (now if transition.started else None),
    )  # fmt: skip
