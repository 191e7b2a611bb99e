"""The journal in the store. Whoever waits for a commit makes it, together with all that has queued up."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import select

from hub.errors import HubError, NotFoundError, UnavailableError, UsageError
from hub.runtime.executor.results import Stored
from hub.runtime.journal import UNDONE, AttemptLost, Fact, Known, Waiter, Write
from hub.runtime.journal_sql import CANCELLING, Fence, Rows, statements, write
from hub.store import tasks, transactions
from hub.store.base import Store
from hub.store.tables import TaskRunRow
from hub.types import Id, Scope

_log = logging.getLogger("hub.journal")
T = TypeVar("T")
_Parts: TypeAlias = "tuple[Rows, Rows, Rows, list[Write]]"
"""Rows of task runs, of histories and of logs, and what else is to be written."""
_TASKS = TaskRunRow.__table__
_BATCH = 1000
_BACKLOG = 20_000
_LINGER = 0.1
"""Seconds that facts nobody waits for (a start, a log line) may wait for company."""
_WAKE_EVERY = 0.3


_process = os.getpid()


def _forked() -> None:
    global _process
    _process = os.getpid()


# Asking the system before each write costs as much as a small function.
os.register_at_fork(after_in_child=_forked)


class StoreJournal:
    """See Journal. `patience`: seconds to go on trying while the database is away or locked (not while its disk is
    full); then the attempt is lost. Without it, UnavailableError is raised at once.

    When the attempt turns out to be lost, a `forgiving` journal goes on without writing (the caller of a plain
    function call gets its result all the same); another one raises AttemptLost.
    """

    def __init__(
        self, store: Store, scope: Scope, fence: Fence, *, patience: float = 0.0, forgiving: bool = False
    ) -> None:
        self._store = store
        self._scope = scope
        self._fence = fence
        self._patience = patience
        self._forgiving = forgiving
        self._pid = _process
        self._texts = statements(store.dialect)
        self._pinned = store.pin()
        self._queue: deque[Fact] = deque()
        # Who holds it writes. A plain lock: the next holder finds what queued up meanwhile and takes it along.
        self._writing = threading.Lock()
        self._starting = threading.Lock()
        self._dirty = threading.Event()
        self._urgent = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._woken_at = 0.0
        self._sealed = False
        self._lost: AttemptLost | None = None
        self._listened: bool | None = None
        """Whether somebody reads all history rows; None while nobody has looked."""
        self.cancelling = False
        """See Journal.cancelling."""

    def put(self, fact: Fact) -> None:
        """See Journal.put. A caller that runs far ahead of the disk writes itself."""
        if self._sealed:
            return
        self._queue.append(fact)
        if len(self._queue) > _BACKLOG:
            self.flush()
        if not self._dirty.is_set():
            self._dirty.set()
            if self._thread is None:
                self._start()

    def settle(self, fact: Fact) -> None:
        """See Journal.settle."""
        if self._sealed:
            return
        self._queue.append(fact)
        while not fact.written:
            with self._writing:
                if not fact.written:
                    self._write_patiently()

    def settle_then(self, fact: Fact, waiter: Waiter) -> None:
        """See Journal.settle_then."""
        if self._sealed:
            waiter(None)
            return
        fact.waiter = waiter
        self.put(fact)
        self._urgent.set()

    def flush(self) -> None:
        """See Journal.flush."""
        while self._queue:
            with self._writing:
                self._write_patiently()

    def known(self, run_id: Id, *, until: Id | None = None) -> dict[str, Known]:
        """See Journal.known."""
        if until == tasks.START:
            return {}
        return self._patiently(lambda: self._known(run_id, until))

    def result(self, task_run_id: Id) -> Stored:
        """See Journal.result."""
        query = select(_TASKS.c.result, _TASKS.c.result_format).where(
            _TASKS.c.id == task_run_id, _TASKS.c.workspace_id == self._scope.workspace_id
        )

        def read() -> Any:
            with self._store.read() as tx:
                return tx.conn.execute(query).first()

        row = self._patiently(read)
        if row is None:
            raise NotFoundError(f"there is no task run {task_run_id} in this workspace")
        return Stored(None if row[0] is None else bytes(row[0]), row[1] or "none")

    def fence(self) -> Fence | None:
        """See Journal.fence."""
        return self._fence

    def seal(self) -> None:
        """See Journal.seal."""
        self.flush()
        self._sealed = True

    def close(self) -> None:
        """See Journal.close."""
        try:
            if not self._sealed:
                self.flush()
        finally:
            self._closed = True
            self._dirty.set()
            self._urgent.set()
            if self._thread is not None and self._thread is not threading.current_thread():
                self._thread.join(5)
            with self._writing:
                self._pinned.close()

    def follow(self, fence: Fence) -> None:
        """Write for the next attempt of the same run from now on."""
        with self._writing:
            self._fence, self._lost, self._sealed, self.cancelling = fence, None, False, False

    def _known(self, run_id: Id, until: Id | None) -> dict[str, Known]:
        columns = (
            _TASKS.c.journal_key, _TASKS.c.id, _TASKS.c.state_type, _TASKS.c.state_name, _TASKS.c.version,
            _TASKS.c.attempt, _TASKS.c.retries_used, _TASKS.c.created_at, _TASKS.c.due_at,
            _TASKS.c.error_type,
        )  # fmt: skip
        query = select(*columns).where(_TASKS.c.run_id == run_id, _TASKS.c.workspace_id == self._scope.workspace_id)
        with self._store.write() as tx:
            tasks.close_open(tx, self._scope, run_id, "the attempt that ran it was lost", begun_only=True)
            if until is not None:
                try:
                    query = query.where(*tasks.before(tx, self._scope, until))
                except NotFoundError:
                    return {}  # retention has removed that run since
            # Of two rows of a step, which a given-up thread of an ended attempt may leave, the newer one counts.
            found = {key: Known(*step) for key, *step in tx.conn.execute(query.order_by(_TASKS.c.id))}
            for known in found.values() if (gone := transactions.undone(tx, self._scope, run_id)) else ():
                if known.id in gone:
                    known.state_name = UNDONE
            return found

    # --- writing; the lock is held -------------------------------------------------------------------------------

    def _write_patiently(self) -> None:
        self._patiently(self._write)

    def _patiently(self, do: Callable[[], T]) -> T:
        """Do it, again and again while the database is away; see the class."""
        deadline, pause = 0.0, 0.05
        while True:
            try:
                return do()
            except UnavailableError as error:
                if not self._patience or not error.passes:
                    raise
                deadline = deadline or time.monotonic() + self._patience
                if time.monotonic() + pause > deadline:
                    # No fault of the flow's: nobody may catch it, and the run goes on in another attempt.
                    self._lost = AttemptLost(f"attempt {self._fence.attempt} is given up: {error.detail}")
                    raise self._lost from error
            time.sleep(pause)
            pause = min(pause * 2, 2.0)

    def _write(self) -> None:
        # A fact leaves the queue only after its commit, so that an exception out of the blue (a timeout, Ctrl-C)
        # between two lines here loses nothing.
        queue = self._queue
        while queue and queue[0].written:
            queue.popleft()
        if not queue:
            return
        # Either way other threads may add to it meanwhile: a copy is a single C call.
        batch = list(queue) if len(queue) < _BATCH else [queue[number] for number in range(_BATCH)]
        if self._pid != _process:
            raise UsageError("a task was called in a forked process", hint="Use threads, or submit the tasks.")
        try:
            self._commit(batch)
        except AttemptLost:
            if not self._forgiving:
                raise
        for fact in batch:
            fact.written = True
        for fact in batch:
            queue.popleft()
            if fact.waiter is not None:
                self._answer(fact, None)

    def _commit(self, batch: list[Fact]) -> None:
        if self._lost is not None:
            raise self._lost
        end = batch[-1]
        if len(batch) == 2 and self._listened is False and end.before == (batch[0],) and end.row and end.also is None:
            # Nearly always it is this: a called task from its start to its end, of which its row says all.
            parts: _Parts = ([end.row()], [], [], [])
        else:
            parts = self._together(batch)
        held, state = write(self._pinned, self._store.dialect, self._texts, self._fence, *parts)
        if not held:
            self._lost = AttemptLost(f"attempt {self._fence.attempt} was given up; the run is {state}")
            _log.warning("run %s: %s", self._fence.run_id, self._lost)
            raise self._lost
        self.cancelling = state == CANCELLING

    def _together(self, batch: list[Fact]) -> _Parts:
        latest: dict[Id | None, Callable[[], tuple[Any, ...]]] = {}
        logs: Rows = []
        more: list[Write] = []
        short: list[Fact] = []
        for fact in batch:
            if fact.row is not None:
                latest[fact.key] = fact.row
            if fact.log is not None:
                logs.append(fact.log)
            if fact.also is not None:
                more.append(fact.also)
            if fact.before and not fact.before[-1].written:
                short.append(fact)
        return [make() for make in latest.values()], self._states(batch, short), logs, more

    def _states(self, batch: list[Fact], short: list[Fact]) -> Rows:
        """The history rows of facts, but for what the rows of `short` ones say as well; see `hub.states.DONE`."""
        if short and self._listened is None:
            with self._store.read() as tx:
                self._listened = tasks.listened(tx)
        left_out: set[int] = set()
        for fact in () if self._listened else short:
            left_out.add(id(fact))
            left_out.update(map(id, fact.before))
        return [fact.state() for fact in batch if fact.state is not None and id(fact) not in left_out]

    @staticmethod
    def _answer(fact: Fact, error: BaseException | None) -> None:
        waiter, fact.waiter = fact.waiter, None
        if waiter is not None:
            waiter(error)

    # --- the thread that writes what nobody waits for ----------------------------------------------------------------

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="hub-journal", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            self._dirty.wait()
            self._urgent.wait(_LINGER)
            self._dirty.clear()
            self._urgent.clear()
            self._write_in_background()
            self._wake()

    def _wake(self) -> None:
        """Tell who watches the run, a few times a second at most."""
        now = time.monotonic()
        if now - self._woken_at >= _WAKE_EVERY and not self._closed:
            self._woken_at = now
            with contextlib.suppress(HubError):
                self._store.wake(("logs",))

    def _write_in_background(self) -> None:
        try:
            self.flush()
        except BaseException as error:  # noqa: BLE001 - told to whoever waits; the next caller meets it itself
            for fact in list(self._queue):
                self._answer(fact, error)
            time.sleep(_LINGER)  # what cannot be written now is not tried again at once
