"""Calls that workers make: sent in chunks, their results gathered when a chunk's run has ended."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hub.engine.run import Cancel
from hub.errors import ConflictError, HubError, RunCancelled, RunCrashed, RunError, RunFailed, UsageError
from hub.runtime import loader, orchestrator
from hub.runtime.bell import Bell
from hub.runtime.executor import assets, chunks, results, transactions
from hub.runtime.executor.chunks import Pairs
from hub.runtime.executor.digests import step_key
from hub.runtime.executor.keeping import hint_of
from hub.runtime.executor.results import Stored
from hub.runtime.executor.root import Root
from hub.runtime.executor.rung import Rung
from hub.runtime.executor.session import Session
from hub.runtime.executor.texts import clean
from hub.runtime.executor.transactions import Txn
from hub.runtime.executor.triggers import SKIPPED, Fails, Runs, Skips, verdict
from hub.runtime.executor.values import needs, replaced
from hub.runtime.journal import UNDONE
from hub.sdk.context import RunContext
from hub.sdk.futures import Future, Futures
from hub.sdk.runners import CeleryTaskRunner
from hub.sdk.tasks import Task
from hub.states import State, StateType
from hub.store import raw, runs
from hub.store import transactions as staged
from hub.store.base import Store
from hub.store.tables import TaskRunRow
from hub.types import Id, dated_id

_log = logging.getLogger("hub.remote")
_TASKS = TaskRunRow.__table__
_LOOK_S = 1.0
_GENERATIONS = 1000
_TOGETHER = 8
"""Chunks that are written in one transaction."""
_PATIENCE_S = 5.0
_UNTAKEN = (
    "for {:g} s no worker has taken a chunk of its tasks: queue {} has no worker or no free slot. A flow that waits "
    "keeps its own slot: give its tasks a queue of their own, or start more workers."
)
_ROW = ("id", "state_type", "state_name", "state_message", "error_type", "error_message", "result", "result_format")


@dataclass(slots=True)
class Chunk:
    """Calls on their way, and the futures of their results."""

    run_id: Id
    task: Task[..., Any]
    places: list[int]
    """Which of the calls they are."""
    futures: list[Future[Any]]
    sent: bool = False
    made_from: tuple[str, ...] = ()
    """The assets that its calls get, by the futures among their arguments."""


class Remote:
    """What a future's work is when somebody else does it; `upstream` as of other kinds of work."""

    __slots__ = ("upstream",)

    def __init__(self, upstream: Iterable[Future[Any]]) -> None:
        self.upstream = tuple(upstream)


def check(context: RunContext, task: Task[..., Any]) -> str:
    """Where workers find a task. Raises UsageError when they cannot make calls of it."""
    root: Root = context.session.root
    if root.store is None:
        raise UsageError("CeleryTaskRunner needs the hub's store", hint="Unset HUB_JOURNAL.")
    if task.options.trigger != "all_success":
        hint = "Call it with `task(...)`, or in a flow without that runner."
        raise UsageError(f"task {task.name} has a trigger rule, which CeleryTaskRunner cannot follow", hint=hint)
    return loader.task_entrypoint(task)


def send(
    runner: CeleryTaskRunner, context: RunContext, task: Task[..., Any], calls: Pairs, waits: Iterable[Any], *,
    size: int | None = None, among: str = "",
) -> Futures[Any]:  # fmt: skip
    """Have workers make calls of a task, `size` in a chunk. Raises UsageError where that cannot be."""
    entrypoint = check(context, task)
    made = _chunks(context, task, calls, size or runner.size(len(calls)), among)
    # What one call needs, all calls of a map wait for.
    needed = needs(tuple(value for args, kwargs in calls for value in (*args, *kwargs.values())), {}, waits)
    upstream = needed.futures
    placed = sorted(
        ((place, future) for chunk in made for place, future in zip(chunk.places, chunk.futures, strict=True)),
        key=lambda pair: pair[0],
    )
    futures = Futures([future for _, future in placed])
    for future in futures:
        future._work = Remote(upstream)
    for chunk in made:
        for future in chunk.futures:
            chunk.made_from = assets.follow(context.session, future.task_run_id, task.options, upstream)
    context.session.add(futures)
    txn = transactions.around(context, hooked=bool(task.options.transaction_hooks))
    if txn is not None:
        txn.add(futures)
        txn.touch(commits=bool(task.options.transaction_hooks.get("on_commit")))

    def go(*, raises: bool) -> None:
        try:
            said = verdict(task.options.trigger, needed)
            if isinstance(said, Runs):
                _write(runner, context, entrypoint, made, [_settled(pair, said) for pair in calls], txn)
                return
            _unsent(futures, said)
        except BaseException as error:
            for future in futures:
                future.settle(State(StateType.FAILED, "Failed", str(error)[:500]), error=error)
            if raises:
                raise

    if upstream:
        from hub.runtime.executor.calls import _when_ended  # noqa: PLC0415 - it sends chunks itself

        _when_ended(upstream, lambda: go(raises=False))
    else:
        # Here, so that what is wrong with the call is raised where it stands.
        go(raises=True)
    return futures


def _settled(pair: tuple[Any, Any], said: Runs) -> tuple[Any, Any]:
    args, kwargs = pair
    return replaced(args, forgiving=said.forgiving), replaced(kwargs, forgiving=said.forgiving)


def _unsent(futures: Iterable[Future[Any]], said: Skips | Fails) -> None:
    for future in futures:
        if isinstance(said, Skips):
            future.settle(State(StateType.COMPLETED, SKIPPED, said.why))
            continue
        refused = RunFailed(f"{future.name} did not run: {said.upstream.name}, whose result it needs, has failed")
        refused.__cause__ = said.error
        future.settle(State(StateType.FAILED, "Failed", f"upstream {said.upstream.name} failed"), error=refused)


def _chunks(context: RunContext, task: Task[..., Any], calls: Pairs, size: int, among: str) -> list[Chunk]:
    """The same ones in every attempt of the run, so that what was sent before is found again."""
    session = context.session
    digest = step_key(f"{context.step}{among}", f"{task.key}@workers", tuple(list(pair) for pair in calls), {})
    step = f"{digest}:{session.ordinals.take(digest)}"
    names = [f"{task.name}-{session.names.take(task.name)}" for _ in calls]
    found = []
    for at in range(0, len(calls), size):
        wanted = list(range(at, min(at + size, len(calls))))
        for number in range(_GENERATIONS):
            run_id = dated_id(session.info.run_id, session.info.run_id, "chunk", step, str(at), str(number))
            ended = _ended_before(session, run_id)
            chunk = Chunk(
                run_id, task, wanted, [_future(run_id, n, names[i], f"{step}:{i}") for n, i in enumerate(wanted)]
            )
            if ended is None:
                found.append(chunk)
                break
            # Of a chunk that an earlier attempt has seen end: what was done counts, the rest is sent anew.
            done = [i for i, f in zip(wanted, chunk.futures, strict=True) if ended.get(f.task_run_id) == "COMPLETED"]
            kept = Chunk(run_id, task, done, [chunk.futures[wanted.index(i)] for i in done], sent=True)
            found += [kept] if done else []
            wanted = [i for i in wanted if i not in set(done)]
            if not wanted:
                break
    return found


def _future(run_id: Id, number: int, name: str, step: str) -> Future[Any]:
    future: Future[Any] = Future(chunks.task_run_id(run_id, number), name)
    future._step = step
    return future


def _ended_before(session: Session, run_id: Id) -> dict[Id, str] | None:
    """The states of the calls of a chunk that has ended; None for one that has not, or was never sent."""
    if session.info.attempt == 1:
        return None
    root: Root = session.root
    assert root.store is not None
    with root.store.read() as tx:
        found = raw.select_one(tx, runs.TABLE, ("ended_at",), {"id": run_id, "workspace_id": root.scope.workspace_id})
        if found is None or found["ended_at"] is None:
            return None
        rows = raw.select_rows(tx, _TASKS, ("id", "state_type"), {"run_id": run_id})
        undone = staged.undone(tx, root.scope, run_id)
    return {row["id"]: UNDONE if row["id"] in undone else row["state_type"] for row in rows}


def _write(
    runner: CeleryTaskRunner, context: RunContext, entrypoint: str, made: list[Chunk], calls: Pairs, txn: Txn | None
) -> None:  # fmt: skip
    root: Root = context.session.root
    assert root.store is not None
    rows = [
        _row(runner, context, entrypoint, chunk, [calls[place] for place in chunk.places], txn)
        for chunk in made
        if not chunk.sent
    ]
    gatherer = _gatherer(root)
    gatherer.watch(made, context.session)
    for start in range(0, len(rows), _TOGETHER):
        with root.store.write() as tx:
            for row in rows[start : start + _TOGETHER]:
                runs.create(tx, root.scope, row)  # made by an earlier attempt: it is only waited for


def _row(
    runner: CeleryTaskRunner, context: RunContext, entrypoint: str, chunk: Chunk, calls: Pairs, txn: Txn | None
) -> dict[str, Any]:  # fmt: skip
    task, info = chunk.task, context.flow
    names = [future.name for future in chunk.futures]
    parameters = {
        "task": task.name, "names": names, "threads": runner.threads,
        "calls": chunks.packed(task, calls, context.session.root.places, chunk.run_id),
    }  # fmt: skip
    if chunk.made_from:
        parameters["made_from"] = list(chunk.made_from)
    if txn is not None:
        parameters["transaction"] = {"path": txn.path, "mode": txn.mode, "owner": transactions.owner_of(txn)}
    return {
        "id": chunk.run_id, "name": clean(names[0] + (f" to {names[-1]}" if len(names) > 1 else ""), 200),
        "flow_name": info.flow_name, "entrypoint": entrypoint, "queue": runner.queue, "origin": chunks.ORIGIN,
        "parent_run_id": info.run_id, "parent_task_run_id": context.task_run_id, "tags": sorted(info.tags),
        "parameters": parameters,
    }  # fmt: skip


def _gatherer(root: Root) -> Gatherer:
    if root.gatherer is None:
        assert root.store is not None
        root.gatherer = Gatherer(root, root.store)
    return root.gatherer


class Gatherer:
    """Waits for the chunks of one process's run; its thread lives while there are some."""

    def __init__(self, root: Root, store: Store) -> None:
        self._root = root
        self._store = store
        self._bell = Bell(store, "runs")
        self._lock = threading.Lock()
        self._pending: dict[Id, Chunk] = {}
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._told: tuple[Session, float] | None = None

    def watch(self, made: list[Chunk], session: Session) -> None:
        """Settle the futures of these chunks when they have ended; `session` is told when none of them begins."""
        with self._lock:
            self._told = (session, time.monotonic() + _PATIENCE_S)
            self._pending.update((chunk.run_id, chunk) for chunk in made)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hub-gather", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """The run is over: what is still on its way is cancelled."""
        self._closed.set()
        self._bell.close()
        with self._lock:
            left = list(self._pending.values())
            self._pending.clear()
        self._give_up(left)

    def _run(self) -> None:
        rung = Rung(self._root.stop)
        with self._bell.heard(rung.ring):
            while not self._closed.is_set():
                rung.clear()
                self._look_safely()
                if self._root.stop.is_set():
                    self.close()
                    return
                with self._lock:
                    if not self._pending:
                        self._thread = None
                        return
                rung.wait(_LOOK_S)

    def _look_safely(self) -> None:
        try:
            self._look()
            self._tell()
        except HubError as error:
            _log.warning("results are not gathered now: %s", error.detail)
        except Exception as error:  # noqa: BLE001 - whatever it is
            # Nobody else would settle them: the flow would wait for ever.
            _log.exception("results cannot be gathered")
            with self._lock:
                left = list(self._pending.values())
                self._pending.clear()
            self._give_up(left, error)

    def _tell(self) -> None:
        """Say once, in the run's log, that nobody takes its chunks."""
        if self._told is None or time.monotonic() < self._told[1]:
            return
        (session, _), self._told = self._told, None
        with self._lock:
            wanted = list(self._pending)
        with self._store.read() as tx:
            found = raw.select_many(tx, runs.TABLE, ("queue", "attempt"), "id", wanted)
        if found and not any(row["attempt"] for row in found):
            session.log(None, logging.WARNING, "hub", _UNTAKEN.format(_PATIENCE_S, found[0]["queue"]))

    def _look(self) -> None:
        for row in self._ended():
            chunk = self._pending.get(row["id"])
            if chunk is None:
                continue  # given up meanwhile
            found = self._results(chunk)
            for future in chunk.futures:
                self._settle(chunk, future, found.get(future.task_run_id), row)
            # Not before: what goes wrong meanwhile must find them here.
            with self._lock:
                self._pending.pop(chunk.run_id, None)

    def _ended(self) -> list[dict[str, Any]]:
        names = ("id", "state_type", "state_name", "state_message", "ended_at")
        with self._lock:
            wanted = list(self._pending)
        with self._store.read() as tx:
            found = raw.select_many(tx, runs.TABLE, names, "id", wanted)
        return [row for row in found if row["ended_at"] is not None]

    def _results(self, chunk: Chunk) -> dict[Id, dict[str, Any]]:
        where = {"run_id": chunk.run_id, "workspace_id": self._root.scope.workspace_id}
        with self._store.read() as tx:
            return {row["id"]: row for row in raw.select_rows(tx, _TASKS, _ROW, where)}

    def _settle(self, chunk: Chunk, future: Future[Any], task: dict[str, Any] | None, run: dict[str, Any]) -> None:
        if task is None or task["state_type"] not in ("COMPLETED", "FAILED"):
            future.settle(State(StateType(run["state_type"]), run["state_name"]), error=_lost(future, run))
            return
        state = State(StateType(task["state_type"]), task["state_name"], task["state_message"])
        if state.type is StateType.FAILED:
            told = task["error_message"] or task["state_message"]
            future.settle(state, error=RunFailed(f"{future.name} failed on a worker: {told}"))
            return
        stored = Stored(None if task["result"] is None else bytes(task["result"]), task["result_format"] or "none")
        try:
            written_as = chunk.task.options.result_serializer
            value = results.decode(self._root.places.get(stored), hint_of(chunk.task._wrapped), written_as)
        except Exception as reason:  # noqa: BLE001 - also of serializers and types of the user's
            error = UsageError(
                f"the result of {future.name} cannot be had from its worker: {reason}",
                hint="Give the task a result_serializer that can carry it.",
            )
            future.settle(state, error=error)
            return
        future.settle(state, value)

    def _give_up(self, left: list[Chunk], error: BaseException | None = None) -> None:
        """Cancel chunks that nobody waits for any more; their futures raise `error`."""
        for chunk in left:
            try:
                message = "the flow that wanted it has ended" if error is None else "its results cannot be gathered"
                orchestrator.handle(self._store, self._root.scope, chunk.run_id, Cancel(message))
            except ConflictError:
                pass  # it has ended meanwhile
            except Exception as refused:  # noqa: BLE001 - its futures are settled whatever happens
                _log.warning("chunk %s was not cancelled: %s", chunk.run_id, refused)
            for future in chunk.futures:
                if error is None:
                    stopped = RunCancelled(f"{future.name} was stopped")
                    future.settle(State(StateType.CANCELLED, "Cancelled"), error=stopped)
                else:
                    future.settle(State(StateType.FAILED, "Failed", clean(str(error), 500)), error=error)


def _lost(future: Future[Any], run: dict[str, Any]) -> RunError:
    told = f"{future.name} did not end: its chunk is {run['state_name']}. {run['state_message']}".strip()
    if run["state_type"] == "CANCELLED":
        return RunCancelled(told)
    return (RunCrashed if run["state_type"] == "CRASHED" else RunFailed)(told)
