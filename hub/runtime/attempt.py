"""What a worker's child does with a doorbell: claim the attempt, load the flow, execute it, report."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from hub.engine.run import Claim, Reject, Release, Signal, Stopped
from hub.errors import ConflictError, HubError, NotFoundError, UnavailableError
from hub.runtime import hookruns, loader, orchestrator, parameters, process
from hub.runtime.deploying import state_hooks
from hub.runtime.executor import chunks, flowlife, rollbacks
from hub.runtime.executor.branches import CancelledNow
from hub.runtime.executor.capture import install_logging
from hub.runtime.executor.flowlife import FlowCall
from hub.runtime.executor.flowrecord import Begun, ClaimedRun
from hub.runtime.executor.loops import running_task
from hub.runtime.executor.places import Places
from hub.runtime.executor.root import Root
from hub.runtime.executor.steps import drive, drive_on_loop
from hub.runtime.executor.texts import MESSAGE_CHARS, TRACE_CHARS, clean
from hub.runtime.heartbeat import Heartbeat
from hub.runtime.journal import AttemptLost
from hub.runtime.journal_sql import Fence
from hub.runtime.naming import name_at_begin
from hub.runtime.store_journal import StoreJournal
from hub.sdk.context import FlowInfo
from hub.sdk.flows import Flow
from hub.settings import Settings
from hub.store import attempts, hooks, runs
from hub.store.base import Store, Tx
from hub.types import Actor, Id, Scope

_log = logging.getLogger("hub.attempt")
CANCEL_SIGNAL = signal.SIGUSR2
"""Sent by the worker's keeper when a run that executes here is to be cancelled; harmless when it comes too late."""


def execute_attempt(store: Store, settings: Settings, attempt_id: Id, epoch: int) -> bool:
    """Execute an attempt that was published to this worker. Gives whether the process is tainted and should end.

    An attempt whose end could not be reported taints as well. A doorbell that is out of date is dropped.
    Raises UnavailableError only while nothing has been claimed.
    """
    try:
        claimed = _claim(store, settings, attempt_id, epoch)
    except _InDoubt:
        _log.warning("attempt %s: whether it was claimed is not known; this process ends, for it counts as lost then",
                     attempt_id)  # fmt: skip
        return True
    if claimed is None:
        return False
    scope, begun, row = claimed
    record = ClaimedRun(store, scope, row["id"], begun, lease_s=settings.lease, patience=settings.lease * 2 / 3)
    try:
        flow, values = _prepared(store, scope, row)
        name = name_at_begin(flow, values, row)
    except UnavailableError as error:
        return not _give_back(record, error)
    except HubError as error:
        record.calls_hooks = False
        with contextlib.suppress(HubError):
            if row["origin"] == hooks.ORIGIN:
                hookruns.note_refused(store, scope, row, error.detail)
        return not _refuse(record, error)
    _note(store, scope, row, name, state_hooks(flow))
    return Execution(store, settings, scope, record, {**row, "name": name}, flow, values).run()


_Claimed: TypeAlias = tuple[Scope, Begun, dict[str, Any]]


class _InDoubt(Exception):
    """The database went away over the commit of a claim, and did not come back in time."""


def _claim(store: Store, settings: Settings, attempt_id: Id, epoch: int) -> _Claimed | None:
    """Claim it; None when it is not to be had. Raises UnavailableError while nothing has been claimed, else _InDoubt.

    A commit whose answer was lost may have been made: then the run is ours, and nobody else would ever execute it, as
    this process lives. So it is claimed again until one of the two is certain; the second claim waits for a first
    that is still being committed.
    """
    deadline, pause = time.monotonic() + settings.lease * 2 / 3, 0.1
    doubtful: _Claimed | None = None
    while True:
        claimed = None
        try:
            with store.write() as tx:
                if doubtful is not None and _is_mine(attempts.get(tx, attempt_id), epoch):
                    return doubtful
                claimed = _claim_in(tx, settings, attempt_id, epoch)
        except UnavailableError as error:
            if claimed is not None and error.code == "database-away":
                doubtful = claimed
            if doubtful is None:
                raise
            if time.monotonic() + pause > deadline:
                raise _InDoubt from error
        else:
            return claimed
        time.sleep(pause)
        pause = min(pause * 2, 2.0)


def _claim_in(tx: Tx, settings: Settings, attempt_id: Id, epoch: int) -> _Claimed | None:
    for _ in range(3):
        found = attempts.with_run(tx, attempt_id)
        if found is None:
            _log.info("attempt %s is not known any more: dropped", attempt_id)
            return None
        attempt, row = found
        scope = Scope(attempt["workspace_id"], Actor("system", f"worker:{attempt['worker_id'] or ''}"))
        try:
            done = orchestrator.attempt(
                tx, scope, attempt["run_id"], Claim(attempt["number"], epoch), lease_s=settings.lease,
                process=process.identity().columns(), seen=runs.as_run(row),
            )  # fmt: skip
        except (ConflictError, NotFoundError) as refused:
            _log.info("attempt %s.%s of run %s: dropped: %s", attempt["number"], epoch, attempt["run_id"], refused)
            return None
        if done is not None:
            return scope, Begun(attempt["number"], epoch, attempt_id), row
    return None


def _is_mine(attempt: Mapping[str, Any] | None, epoch: int) -> bool:
    here = {"state": "CLAIMED", "epoch": epoch, **process.identity().columns()}
    return attempt is not None and all(attempt[name] == value for name, value in here.items())


def _note(store: Store, scope: Scope, row: Mapping[str, Any], name: str, events: list[str]) -> None:
    """The flow's file says better than its deployment what the run is called and which hooks there are."""
    if (name, events) == (row["name"], row["state_hooks"]):
        return
    with contextlib.suppress(UnavailableError), store.write() as tx:
        runs.rename(tx, scope, row["id"], row["name"], name)
        hooks.has(tx, scope, row["id"], events)


def _prepared(store: Store, scope: Scope, row: Mapping[str, Any]) -> tuple[Flow[..., Any], dict[str, Any]]:
    if row["origin"] == rollbacks.ORIGIN:
        return rollbacks.flow_of(row)
    if not row["entrypoint"]:
        raise NotFoundError("the run names no flow file, so no worker can execute it")
    if row["origin"] == chunks.ORIGIN:
        return chunks.flow_of(row)
    if row["origin"] == hooks.ORIGIN:
        return hookruns.flow_of(store, scope, row)
    flow = loader.load_flow(row["entrypoint"])
    return flow, parameters.from_json(flow, row["parameters"])


def _refuse(record: ClaimedRun, error: HubError) -> bool:
    """The run cannot start: its code or its parameters are wrong. Whether that could be reported."""

    def make(attempt: int, epoch: int) -> Signal:
        return Reject(clean(error.detail), attempt, epoch)

    columns = {
        "error_type": type(error).__name__,
        "error_message": clean(f"{error.detail}. {error.hint}".rstrip(". "), MESSAGE_CHARS),
        "error_trace": clean(str(error.fields.get("trace") or ""), TRACE_CHARS) or None,
    }
    with _noted(record.run_id):
        record.report(make, **columns)
        return True
    return False


def _give_back(record: ClaimedRun, error: HubError) -> bool:
    """What it needs cannot be read now, through no fault of its own. Whether that could be reported."""
    with _noted(record.run_id):
        record.report(lambda attempt, epoch: Release(attempt, epoch, clean(error.detail)))
        return True
    return False


@contextmanager
def _noted(run_id: Id) -> Iterator[None]:
    """A report that is refused or cannot be made is logged; the lease makes the rest good."""
    try:
        yield
    except AttemptLost as lost:
        _log.warning("run %s: %s", run_id, lost)
    except HubError as error:
        _log.error("run %s: its end could not be reported: %s", run_id, error.detail)


class Execution:
    """One claimed attempt in this process."""

    def __init__(
        self, store: Store, settings: Settings, scope: Scope, record: ClaimedRun, row: Mapping[str, Any],
        flow: Flow[..., Any], values: Mapping[str, Any],
    ) -> None:  # fmt: skip
        begun = record.begin()
        fence = Fence(row["id"], begun.attempt, begun.epoch)
        journal = StoreJournal(store, scope, fence, patience=settings.lease * 2 / 3)
        threads = flow.options.max_threads or settings.sdk_threads
        places = Places(settings.home / "results", store, scope, default=settings.results)
        self.root = Root(scope, journal, threads=threads, places=places)
        self.root.store, self.root.run_id = store, row["id"]
        self.root.follow(settings)
        self.root.here = False
        self.root.can_leave = row["origin"] not in (chunks.ORIGIN, hooks.ORIGIN, rollbacks.ORIGIN)
        self.root.heartbeat = Heartbeat(
            store, scope, lease_s=settings.lease, every_s=settings.lease_renew, cancelled=self.root.cancel
        )
        info = FlowInfo(
            run_id=row["id"], run_name=row["name"], flow_name=flow.name, parameters=dict(values),
            tags=tuple(row["tags"]), deployment_id=row["deployment_id"], deployment_name=row["deployment_name"],
            parent_run_id=row["parent_run_id"],
        )  # fmt: skip
        self._call = FlowCall(
            flow, values, record, self.root, info, timeout=row["timeout_s"], in_process=False,
            restart_of=row["restart_of"], restart_from=row["restart_from"],
        )  # fmt: skip
        self._record = record
        self._loggers = settings.sdk_loggers
        self._journal = journal
        self._store = store
        self._scope = scope

    def run(self) -> bool:
        """Execute it to its end. Gives whether the process is tainted."""
        install_logging(self._loggers)
        try:
            with self._cancellable():
                self._live()
        except AttemptLost as lost:
            _log.warning("run %s: %s", self._record.run_id, lost)
        except UnavailableError as error:
            _log.error("run %s: %s", self._record.run_id, error.detail)
        except BaseException as error:  # noqa: BLE001 - what user code raised has been reported with the run
            if self._call.ended is None:
                self._report_stopped(error)
        finally:
            self._close()
        # A run whose end could not be reported must not look alive: with its process it is known to be lost.
        return self.root.tainted or self._call.ended is None

    def _live(self) -> None:
        if not self._call.flow.is_async:
            self.root.ident = threading.get_ident()
            drive(flowlife.live(self._call))
            return
        with asyncio.Runner() as runner:
            runner.run(self._awaited())

    async def _awaited(self) -> None:
        self.root.task = running_task()
        await drive_on_loop(flowlife.live(self._call))

    def _report_stopped(self, error: BaseException) -> None:
        """A cancel that came in the middle of the report itself."""
        _log.info("run %s: stopped while it was being reported (%s)", self._record.run_id, type(error).__name__)
        self._record.calls_hooks = False
        with _noted(self._record.run_id):
            self._call.ended = self._record.report(lambda attempt, epoch: Stopped(attempt, epoch, "cancelled"))

    def _close(self) -> None:
        if self.root.heartbeat is not None:
            self.root.heartbeat.close()
        self.root.close()
        with _noted(self._record.run_id):
            self._journal.close()

    # --- cancelling ----------------------------------------------------------------------------------------------

    @contextmanager
    def _cancellable(self) -> Iterator[None]:
        """While the flow runs in the main thread, the cancel signal is heard."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        confirmed = threading.Event()

        def heard(_signum: int, _frame: object) -> None:
            if not confirmed.is_set():
                # The signal may have been meant for the run before this one, so the run itself is asked; not here,
                # where the interrupted code may hold a lock that asking needs.
                threading.Thread(target=self._ask, args=(confirmed,), name="hub-cancel", daemon=True).start()
            elif not self.root.reporting:
                raise CancelledNow

        signal.signal(CANCEL_SIGNAL, heard)
        try:
            yield
        finally:
            signal.signal(CANCEL_SIGNAL, _ignore)

    def _ask(self, confirmed: threading.Event) -> None:
        here = (self._record.run_id, *self.root.branches)
        with contextlib.suppress(HubError):
            with self._store.read() as tx:
                wanted = runs.to_be_cancelled(tx, here)
            for run_id in wanted - {self._record.run_id}:
                self.root.cancel(run_id)
            if self._record.run_id not in wanted or confirmed.is_set():
                return
            confirmed.set()
            if self.root.task is not None:
                self.root.interrupt(CancelledNow())
            else:
                self.root.halt(CancelledNow())
                signal.pthread_kill(threading.main_thread().ident or 0, CANCEL_SIGNAL)


def _ignore(_signum: int, _frame: object) -> None:
    """A cancel that came when its run was over. The default would end the process."""


def ignore_late_cancels() -> None:
    """For a worker's child at its start: a cancel signal between two runs must not end it."""
    signal.signal(CANCEL_SIGNAL, _ignore)
