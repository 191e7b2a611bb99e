"""Chunks: calls of one task that travel together to a worker, as a run of their own.

A chunk is dispatched, leased, fenced, recovered and cancelled as every run is; its calls are the task runs of that run.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from hub.errors import UsageError
from hub.runtime import loader
from hub.runtime.executor import results, serializers
from hub.runtime.executor.places import Places
from hub.runtime.executor.results import Stored, Unreadable
from hub.runtime.executor.session import Session
from hub.runtime.executor.tasklife import Call
from hub.runtime.executor.transactions import Txn
from hub.runtime.executor.values import NOTHING
from hub.runtime.journal import Fact, Journal
from hub.sdk.context import RunContext, current
from hub.sdk.flows import Flow
from hub.sdk.options import Options
from hub.sdk.tasks import Task
from hub.sdk.transactions import WantedTransaction
from hub.store.runs import CHUNK as ORIGIN
from hub.types import Id, derived_id

__all__ = ["ORIGIN", "Paced", "Pairs", "flow_of", "packed", "task_run_id"]
_COMMIT_EVERY_S = 0.005
Pairs = Sequence[tuple[tuple[Any, ...], dict[str, Any]]]


def task_run_id(run_id: Id, number: int) -> Id:
    """The id of the task run of a chunk's call; the same whoever asks."""
    return derived_id(run_id, "call", str(number))


def packed(task: Task[..., Any], calls: Pairs, places: Places, run_id: Id) -> dict[str, Any]:
    """Calls as a run's parameters keep them; by reference when they are large. Raises UsageError, UnavailableError."""
    written = [[list(args), kwargs] for args, kwargs in calls]
    stored = results.encode(written, None, task.options.result_serializer)
    if stored.data is None:
        raise UsageError(
            f"arguments of task {task.name} cannot be sent to a worker as JSON",
            hint="Give the task result_serializer='pickle', or pass what JSON can carry.",
        )
    if len(stored.data) > results.INLINE_BYTES:
        stored = places.put(stored, task.options.result_store or places.default, run_id, "calls")
    return {"format": stored.format, "data": base64.b64encode(stored.data or b"").decode()}


def flow_of(row: Mapping[str, Any]) -> tuple[Flow[..., Any], dict[str, Any]]:
    """The flow that makes the calls of a chunk. Raises FlowLoadError when its task is not to be found."""
    given = row["parameters"]
    task = loader.load_task(row["entrypoint"])

    def calls() -> dict[str, int]:
        return _made(task, given)

    calls.__name__ = calls.__qualname__ = "calls"
    return Flow(calls, {"name": row["flow_name"] or "calls", "max_threads": int(given["threads"])}), {}


def _made(task: Task[..., Any], given: Mapping[str, Any]) -> dict[str, int]:
    """Make the calls in their order; those that an earlier attempt has made are not made again."""
    from hub.runtime.executor import calls as making  # noqa: PLC0415 - it sends chunks itself

    context = current.get()
    assert context is not None
    session: Session = context.session
    session.journal = cast("Journal", Paced(session.journal))
    pairs = _unpacked(task, given, session)
    made = [_prepared(task, context, pair, number, given["names"][number]) for number, pair in enumerate(pairs)]
    for call in made:
        call.made_from = tuple(given.get("made_from", ())) or task.options.asset_deps
    if given.get("transaction"):
        _join(context, given["transaction"], made)
    if task.is_async or given["threads"] > 1:
        futures = [making.launch(call) for call in made]
        failed = sum(future.exception() is not None for future in futures)
    else:
        failed = sum(not making.made_here(call) for call in made)
    return {"calls": len(made), "failed": failed}


def _join(context: RunContext, given: Mapping[str, Any], made: Sequence[Call]) -> None:
    """The calls are part of a transaction of the flow that sent them."""
    session: Session = context.session
    session.owner, session.place = given["owner"], given["path"]
    txn = Txn(context, None, given["path"], WantedTransaction(commit_mode=given["mode"]), explicit=False)
    for call in made:
        call.txn = txn


def _unpacked(task: Task[..., Any], given: Mapping[str, Any], session: Session) -> list[Any]:
    stored = Stored(base64.b64decode(given["calls"]["data"]), given["calls"]["format"])
    try:
        found = results.decode(session.root.places.get(stored), None, task.options.result_serializer)
    except Unreadable as reason:
        raise UsageError(f"the arguments of {task.name} cannot be read: {reason}") from None
    return cast("list[Any]", found)


def _prepared(task: Task[..., Any], context: RunContext, pair: Any, number: int, name: str) -> Call:
    args, kwargs = pair
    call = Call(
        context.session, context, task._wrapped, _kept(task.options), tuple(args), kwargs,
        f"call:{number}", name, NOTHING,
    )  # fmt: skip
    call.task = task
    call.id = task_run_id(context.run_id, number)
    return call


def _kept(options: Options) -> Options:
    """A result that is not kept could not reach the flow, so the call fails; the trigger's rule was followed there."""
    written_as = options.result_serializer or serializers.JSON
    return replace(options, persist=True, trigger="all_success", result_serializer=written_as)


class Paced:
    """A journal that commits at most every 5 ms: a call that took longer is committed before the next one begins."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._next = 0.0
        self.put = journal.put

    @property
    def cancelling(self) -> bool:
        """See Journal.cancelling."""
        return self._journal.cancelling

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    def settle(self, fact: Fact) -> None:
        """See Journal.settle; what comes early is committed with the next one, or soon."""
        now = time.monotonic()
        if now < self._next:
            self._journal.put(fact)
            return
        self._journal.settle(fact)
        self._next = time.monotonic() + _COMMIT_EVERY_S
