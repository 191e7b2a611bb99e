"""Flow runs as the executor sees them: begun, ended, tried again. One class for each place a run may live in."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from hub.engine.retry import NEVER, RetryPolicy
from hub.engine.rules import decide
from hub.engine.run import Begin, Cancel, Refusal, Run, Signal, Suspend, Transition
from hub.errors import ConflictError, HubError, RunCancelled, UnavailableError
from hub.runtime import orchestrator, process, waits
from hub.runtime.executor.root import Leaving
from hub.runtime.journal import AttemptLost
from hub.states import State, StateType
from hub.store import attempts, hooks, runs
from hub.store.base import Store, Tx
from hub.types import Id, Micros, Scope, now_us

_log = logging.getLogger("hub.executor")


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt that may execute now."""

    attempt: int
    epoch: int = 0
    attempt_id: Id | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of the run: its state, and when it is due again if it is tried again here."""

    state: State
    due_at: Micros | None = None


class FlowRecord(Protocol):
    """A flow run whose changes go through the rules."""

    run_id: Id

    def begin(self) -> Begun:
        """Open the next attempt. Raises RunCancelled when the run has been cancelled meanwhile."""

    def report(self, make: Callable[[int, int], Signal], **columns: Any) -> Ended:
        """Report how the attempt ended; `make` gets its number and epoch. Raises AttemptLost for a stale attempt."""

    def leave(self, leaving: Leaving) -> Ended:
        """Report that the attempt ends and the run goes on later. Raises AttemptLost for a stale attempt."""

    def stop(self, make: Callable[[int, int], Signal], message: str) -> Ended:
        """Cancel it from inside (Ctrl-C, a cancelled coroutine) and confirm that it has stopped."""

    def told(self) -> None:
        """Note that the state hooks for its end have been called."""


class Unrecorded:
    """A run that leaves no record: HUB_JOURNAL=off."""

    def __init__(self, run_id: Id, scope: Scope, retry: RetryPolicy = NEVER) -> None:
        self.run_id = run_id
        state = State(StateType.SCHEDULED, "Scheduled")
        self._run = Run(run_id, scope.workspace_id, state, home="inline", retry=retry)

    def begin(self) -> Begun:
        """See FlowRecord.begin."""
        self._signal(Begin())
        return Begun(self._run.attempt)

    def report(self, make: Callable[[int, int], Signal], **columns: Any) -> Ended:  # noqa: ARG002 - kept by nobody
        """See FlowRecord.report."""
        return self._signal(make(self._run.attempt, self._run.epoch))

    def leave(self, leaving: Leaving) -> Ended:
        """See FlowRecord.leave."""
        raise AssertionError(f"a run without a record has nowhere to go on: {leaving}")

    def stop(self, make: Callable[[int, int], Signal], message: str) -> Ended:
        """See FlowRecord.stop."""
        self._signal(Cancel(message))
        return self.report(make)

    def told(self) -> None:
        """See FlowRecord.told."""

    def _signal(self, signal: Signal) -> Ended:
        now = now_us()
        answer = decide(self._run, signal, now=now)
        if isinstance(answer, Refusal):
            raise AssertionError(answer.reason)
        used = answer.changes.get("retries_used", self._run.retries_used)
        self._run = replace(
            self._run, state=answer.state, version=self._run.version + 1, attempt=answer.attempt, retries_used=used,
            started_at=self._run.started_at or (now if answer.started else None),
        )  # fmt: skip
        return Ended(answer.state, answer.due_at if answer.state.type is StateType.SCHEDULED else None)


class Stored:
    """What runs in the store have in common."""

    def __init__(self, store: Store, scope: Scope, run_id: Id, *, lease_s: float) -> None:
        self.store = store
        self.scope = scope
        self.run_id = run_id
        self.lease_s = lease_s
        self.begun: Begun | None = None
        self.calls_hooks = True
        """Whether this process calls the hooks of the end that it reports."""

    def report(self, make: Callable[[int, int], Signal], **columns: Any) -> Ended:
        """See FlowRecord.report."""
        assert self.begun is not None
        return self._handle(make(self.begun.attempt, self.begun.epoch), **columns)

    def leave(self, leaving: Leaving) -> Ended:
        """See FlowRecord.leave."""
        assert self.begun is not None
        why = Suspend(self.begun.attempt, self.begun.epoch, leaving.why, leaving.due_at, leaving.message)
        return self._handle(why, point_id=leaving.point_id)

    def stop(self, make: Callable[[int, int], Signal], message: str) -> Ended:
        """See FlowRecord.stop. In one transaction: a run that is seen CANCELLING was cancelled by somebody else."""
        assert self.begun is not None
        attempt, epoch = self.begun.attempt, self.begun.epoch
        for _ in range(3):
            with self.store.write() as tx:
                try:
                    if orchestrator.attempt(tx, self.scope, self.run_id, Cancel(message)) is None:
                        continue
                except ConflictError:
                    _log.debug("run %s: somebody else has cancelled it already", self.run_id)
                try:
                    done = orchestrator.attempt(
                        tx, self.scope, self.run_id, make(attempt, epoch), here=self.calls_hooks
                    )
                except ConflictError as refused:
                    raise AttemptLost(f"the report was refused: {refused.detail}") from None
            if done is not None:
                return _ended(done)
        raise RunCancelled(f"run {self.run_id} was changed by somebody else")

    def told(self) -> None:
        """See FlowRecord.told."""
        try:
            with self.store.write() as tx:
                hooks.called(tx, self.run_id)
        except HubError as error:
            _log.warning("run %s: its hooks will be called once more: %s", self.run_id, error.detail)

    def _handle(self, signal: Signal, **columns: Any) -> Ended:
        try:
            done = self._carry_out(signal, columns)
        except ConflictError as refused:
            if isinstance(signal, Cancel):
                raise
            _log.warning("run %s: %s dropped: %s", self.run_id, type(signal).__name__, refused.detail)
            raise AttemptLost(refused.detail) from None
        return _ended(done)

    def _carry_out(self, signal: Signal, columns: dict[str, Any]) -> Transition:
        carry_out: Callable[..., Transition] = waits.leave if isinstance(signal, Suspend) else orchestrator.handle
        return carry_out(
            self.store, self.scope, self.run_id, signal, lease_s=self.lease_s,
            here=self.calls_hooks and not isinstance(signal, Cancel), **columns,
        )  # fmt: skip


def _ended(done: Transition) -> Ended:
    return Ended(done.state, done.due_at if done.state.type is StateType.SCHEDULED else None)


class InlineRun(Stored):
    """A run that lives in the process that calls its flow. Made with its first attempt, in one transaction.

    `made`: the row is there, and the run goes on within the next attempt of the run that it is nested in.
    """

    def __init__(
        self, store: Store, scope: Scope, row: dict[str, Any], *, lease_s: float, made: bool = False
    ) -> None:  # fmt: skip
        super().__init__(store, scope, row["id"], lease_s=lease_s)
        self._row: dict[str, Any] | None = None if made else row
        self._queue = str(row.get("queue", "default"))

    def begin(self) -> Begun:
        """See FlowRecord.begin."""
        for _ in range(3):
            with self.store.write() as tx:
                begun = self._begin(tx)
            if begun is not None:
                self._row, self.begun = None, begun
                return begun
        raise RunCancelled(f"run {self.run_id} was changed by somebody else")

    def _begin(self, tx: Tx) -> Begun | None:
        if self._row is not None:
            runs.create(tx, self.scope, self._row)
        try:
            done = orchestrator.attempt(tx, self.scope, self.run_id, Begin(), lease_s=self.lease_s)
        except ConflictError as refused:
            raise RunCancelled(f"run {self.run_id} did not go on: {refused.detail}") from None
        if done is None:
            return None
        key = attempts.open_here(
            tx, self.scope, self.run_id, done.attempt, queue=self._queue, lease_s=self.lease_s,
            process=process.identity().columns(),
        )  # fmt: skip
        return Begun(done.attempt, done.epoch, key)


class ClaimedRun(Stored):
    """A run whose attempt a worker's child has claimed. `patience`: seconds a report waits for an absent database."""

    def __init__(
        self, store: Store, scope: Scope, run_id: Id, begun: Begun, *, lease_s: float, patience: float
    ) -> None:
        super().__init__(store, scope, run_id, lease_s=lease_s)
        self.begun = begun
        self.patience = patience

    def begin(self) -> Begun:
        """See FlowRecord.begin."""
        assert self.begun is not None
        return self.begun

    def stop(self, make: Callable[[int, int], Signal], message: str) -> Ended:  # noqa: ARG002 - whose wish it is, is known
        """See FlowRecord.stop. Only the hub cancels a worker's run: without its wish this report is refused."""
        return self.report(make)

    def _handle(self, signal: Signal, **columns: Any) -> Ended:
        deadline, pause = time.monotonic() + self.patience, 0.1
        while True:
            try:
                return super()._handle(signal, **columns)
            except UnavailableError:
                # The run is over; its report is worth waiting for as long as the lease may hold.
                if time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, 2.0)
