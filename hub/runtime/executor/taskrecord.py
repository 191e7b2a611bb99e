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
        self, session: Session, id_: Id, *, key: str, task_name: str, name: str, parent: Id | None,
        retry: RetryPolicy, known: Known | None, upstream: list[Id],
    ) -> None:  # fmt: skip
        self.session = session
        self.key = key
        self.task_name = task_name
        self.name = clean(name, NAME_CHARS)
        self.parent = parent
        self.upstream = upstream
        self.created_at = now_us()
        again = known if known is not None and known.retries_go_on else None
        waits = again is not None and again.awaits_retry
        self.due_at: Micros | None = again.due_at if again is not None and waits else None
        self.started_at: Micros | None = None
        self.ended_at: Micros | None = None
        self.error: tuple[str | None, str | None, str | None] = (None, None, None)
        self.error_class: str | None = None
        self.stored: Stored | None = None
        self._before: tuple[Fact, ...] = ()
        """All that was said of it so far, while that is no more than that it waits and that it has begun."""
        self.run = Run(
            id_, session.root.scope.workspace_id, _AWAITING if waits else PENDING, known.version if known else 0,
            known.attempt if known else 0, 0, "inline", "task", again.retries_used if again else 0, retry=retry,
            started_at=again.created_at if again and again.retries_used else None,
        )  # fmt: skip

    @property
    def state(self) -> State:
        """What it is now."""
        return self.run.state

    def fact(self) -> Fact:
        """Its present row and state, to be written, before it has begun."""
        fact = self._fact(self.run.state, now_us())
        self._before = (fact,)
        return fact

    def signal(self, signal: Signal) -> Fact:
        """Do what the rules say about `signal`; gives what is to be written."""
        now = now_us()
        answer = decide(self.run, signal, now=now)
        if isinstance(answer, Refusal):
            raise AssertionError(f"task run {self.run.id}: {answer.reason}")
        self.run = _after(answer, now)
        self.due_at = answer.due_at
        self.error_class = answer.error_class
        if answer.started:
            self.started_at, self.ended_at, self.error = now, None, (None, None, None)
            self.session.open[self.run.id] = self
        if answer.ended:
            self.ended_at = now
            self.session.open.pop(self.run.id, None)
        fact = self._fact(answer.state, now)
        before, self._before = self._before, ()
        if answer.started and self.run.version == 1:
            if not before:  # called, not submitted
                self.created_at = now
            self._before = (*before, fact)
        elif self.run.version == 2 and answer.state == DONE:
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

    def _fact(self, state: State, at: Micros) -> Fact:
        # The row is made when it is written, from the run as it is now: most starts are overtaken by their end.
        run, ended_at, stored, error = self.run, self.ended_at, self.stored, (*self.error, self.error_class)
        return Fact(
            run.id, lambda: self._row(run, ended_at, stored, error),
            lambda: self.session.state_row(run.id, state, run.attempt, at),
        )  # fmt: skip

    def _row(
        self, run: Run, ended_at: Micros | None, stored: Stored | None, error: tuple[str | None, ...]
    ) -> tuple[Any, ...]:
        """Values in the order of journal_sql.TASK_COLUMNS."""
        session = self.session
        message = clean(run.state.message) if run.state.message else ""
        return (
            run.id, run.workspace_id, session.info.run_id, self.key, self.task_name, self.name, self.parent,
            json.dumps(self.upstream) if self.upstream else "[]",
            run.state.type._value_, run.state.name, message, run.version, session.info.attempt,
            run.attempt, run.retries_used, self.created_at, self.due_at, self.started_at, ended_at,
            *error, stored.data if stored else None, stored.format if stored else None,
        )  # fmt: skip


def _after(transition: Transition, now: Micros) -> Run:
    """The run once its transition has happened."""
    run = transition.before
    return Run(
        run.id, run.workspace_id, transition.state, run.version + 1, transition.attempt, transition.epoch, run.home,
        run.kind, transition.changes.get("retries_used", run.retries_used), run.crashes, run.crash_retries, run.retry,
        transition.due_at or run.due_at, run.started_at or (now if transition.started else None),
    )  # fmt: skip
