"""Flows and tasks called as plain functions. The SDK's port loads this module on the first call."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncGenerator, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hub.engine.run import Stopped
from hub.errors import HubError, UsageError
from hub.runtime import connections, parameters, variables
from hub.runtime.commands import Command, apply
from hub.runtime.deploying import document
from hub.runtime.drawing import pen
from hub.runtime.drawing.visualizing import visualize
from hub.runtime.executor import artifacts, asking, calls, emitting, flowlife, mapping
from hub.runtime.executor.asking import input_link, receive, wait_for_event, wait_for_input
from hub.runtime.executor.assets import add_metadata as add_asset_metadata
from hub.runtime.executor.blocks import (
    end_transaction,
    enter_transaction,
    leave_transaction,
    set_value,
    stage_value,
    transaction_values,
)  # fmt: skip
from hub.runtime.executor.calls import before_wait
from hub.runtime.executor.capture import install_logging
from hub.runtime.executor.flowlife import FlowCall
from hub.runtime.executor.flowrecord import Begun, FlowRecord, InlineRun, Unrecorded
from hub.runtime.executor.loops import awaiting, running_task
from hub.runtime.executor.nested import call_nested
from hub.runtime.executor.outside import call_outside
from hub.runtime.executor.places import Places
from hub.runtime.executor.replayed import now, uuid
from hub.runtime.executor.root import Root
from hub.runtime.executor.rows import run_row
from hub.runtime.executor.slots import give_slots, spend_rate, take_slots
from hub.runtime.executor.steps import Life, drive, drive_on_loop
from hub.runtime.executor.streams import stream, stream_on_loop
from hub.runtime.executor.tasklife import STOPPING
from hub.runtime.executor.taskrecord import retry_policy
from hub.runtime.executor.waiting import hold, sleep
from hub.runtime.heartbeat import Heartbeat
from hub.runtime.homes import LOCAL, Home, forget, home, use
from hub.runtime.journal import AttemptLost
from hub.runtime.journal_sql import Fence
from hub.runtime.naming import run_name
from hub.runtime.store_journal import StoreJournal
from hub.sdk.alerting import Asked
from hub.sdk.context import FlowInfo, RunContext, current
from hub.sdk.emitting import Emitted, Outgoing
from hub.sdk.flows import Deployed, Flow
from hub.sdk.futures import Future, Futures
from hub.sdk.futurestream import FutureStream
from hub.sdk.tagging import with_those_around
from hub.sdk.tasks import Task
from hub.settings import load_settings
from hub.store.base import Store
from hub.types import Scope, new_id

__all__ = [
    "LOCAL",
    "Home",
    "add_asset_metadata",
    "awaiting",
    "before_wait",
    "call_flow",
    "call_outside",
    "call_task",
    "connection",
    "create_artifact",
    "deploy",
    "emit",
    "end_transaction",
    "enter_transaction",
    "forget",
    "get_variable",
    "give_slots",
    "hold",
    "home",
    "input_link",
    "leave_transaction",
    "map_over",
    "now",
    "parameter_schema",
    "receive",
    "send",
    "set_value",
    "set_variable",
    "sleep",
    "spend_rate",
    "stage_value",
    "submit",
    "take_slots",
    "transaction_values",
    "unset_variable",
    "update_progress",
    "use",
    "uuid",
    "visualize",
    "wait_for_event",
    "wait_for_input",
]  # fmt: skip


def call_flow(flow: Flow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a flow: its value, or a coroutine of it. Within another run it is nested in that run."""
    if (drawn := pen.drawing.get()) is not None:
        return drawn.call_flow(flow, args, kwargs)
    parent = current.get()
    if parent is not None:
        return call_nested(flow, args, kwargs, parent)
    if flow._wrapped.generates:
        values = parameters.from_call(flow, args, kwargs)
        return _items_on_loop(flow, values) if flow.is_async else _items(flow, values)
    return _awaited(flow, args, kwargs) if flow.is_async else _called(flow, args, kwargs)


def call_task(task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a task where its caller stands. See the SDK."""
    drawn = pen.drawing.get()
    return calls.call_task(task, args, kwargs) if drawn is None else drawn.call(task, args, kwargs)


def submit(task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Any]) -> Future[Any]:
    """Start a task beside its caller. See the SDK."""
    drawn = pen.drawing.get()
    return (calls.submit if drawn is None else drawn.submit)(task, args, kwargs, wait_for)


def map_over(
    task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Any]
) -> Futures[Any] | FutureStream[Any]:
    """Submit a task for each element of its iterable arguments. See the SDK."""
    drawn = pen.drawing.get()
    return (mapping.map_over if drawn is None else drawn.map_over)(task, args, kwargs, wait_for)


def _called(flow: Flow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    values = parameters.from_call(flow, args, kwargs)
    here = Outermost(flow, values, home())
    here.root.ident = threading.get_ident()
    try:
        return drive(here.life())
    except STOPPING:
        here.note_stopped()
        raise
    finally:
        here.close()


async def _awaited(flow: Flow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    values = parameters.from_call(flow, args, kwargs)
    here = Outermost(flow, values, home())
    here.root.task = running_task()
    try:
        return await drive_on_loop(here.life())
    except STOPPING:
        here.note_stopped()
        raise
    finally:
        here.close()


def _items(flow: Flow[..., Any], values: Mapping[str, Any]) -> Generator[Any]:
    here = Outermost(flow, values, home())
    try:
        with contextlib.closing(stream(here.life())) as items:
            while True:
                # Between two items the thread is its caller's own: a cancel must not interrupt that.
                here.root.ident = threading.get_ident()
                try:
                    item = next(items)
                except StopIteration:
                    return
                finally:
                    here.root.ident = None
                yield item
    except STOPPING:
        here.note_stopped()
        raise
    finally:
        here.close()


async def _items_on_loop(flow: Flow[..., Any], values: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
    here = Outermost(flow, values, home())
    try:
        async with contextlib.aclosing(stream_on_loop(here.life())) as items:
            while True:
                here.root.task = running_task()
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return
                finally:
                    here.root.task = None
                yield item
    except STOPPING:
        here.note_stopped()
        raise
    finally:
        here.close()


class Outermost:
    """A flow called outside any run: its record, its journal, its heartbeat."""

    def __init__(self, flow: Flow[..., Any], values: Mapping[str, Any], home: Home) -> None:
        install_logging(home.settings.sdk_loggers)
        run_id = new_id()
        name = run_name(flow, values, run_id)
        settings = home.settings
        threads = flow.options.max_threads or settings.sdk_threads
        self.root = Root(LOCAL, threads=threads, places=_places(home))
        self.root.follow(settings)
        self.heartbeat: Heartbeat | None = None
        self._journal: StoreJournal | None = None
        self._home = home
        if home.store is None:
            record: FlowRecord = Unrecorded(run_id, LOCAL, retry_policy(flow.options.retry, self.root.flow_retries))
        else:
            row = run_row(flow, values, run_id, name, default=self.root.flow_retries)
            record = InlineRun(home.store, LOCAL, row, lease_s=settings.lease)
            self._journal = StoreJournal(home.store, LOCAL, Fence(run_id, 1, 0), forgiving=True)
            self.root.journal = self._journal
            self.heartbeat = self.root.heartbeat = Heartbeat(
                home.store, LOCAL, lease_s=settings.lease, every_s=settings.lease_renew,
                cancelled=self.root.cancel,
            )  # fmt: skip
        self.root.store, self.root.run_id, self.root.listener = home.store, run_id, home.listener
        info = FlowInfo(
            run_id=run_id,
            run_name=name,
            flow_name=flow.name,
            parameters=dict(values),
            tags=with_those_around(flow.options.tags),
        )
        self._call = FlowCall(flow, values, record, self.root, info, opened=self._opened)

    def life(self) -> Life:
        """The life of the run."""
        return flowlife.live(self._call)

    def _opened(self, begun: Begun) -> None:
        if self._journal is not None and self.heartbeat is not None and begun.attempt_id is not None:
            self._journal.follow(Fence(self._call.info.run_id, begun.attempt, begun.epoch))
            self.heartbeat.add(begun.attempt_id, self._call.info.run_id)

    def note_stopped(self) -> None:
        """An interruption that came in the middle of the run's own report: make that report now."""
        if self._call.ended is None:
            with contextlib.suppress(HubError, AttemptLost):
                message = "interrupted while it ended"
                if isinstance(self._call.record, InlineRun):
                    self._call.record.calls_hooks = False
                self._call.record.stop(lambda attempt, epoch: Stopped(attempt, epoch, message), message)

    def close(self) -> None:
        """End threads, give connections back."""
        if self.heartbeat is not None:
            self.heartbeat.close()
        self.root.close()
        self.root.journal.close()


def connection(name: str) -> connections.Loaded:
    """The connection of that name, from the store of the run that asks, else from this process's. See the SDK."""
    here = current.get()
    store: Store | None = here.session.root.store if here is not None else None
    scope: Scope = here.session.root.scope if here is not None else LOCAL
    store = store or home().store
    if store is None:
        raise UsageError("HUB_JOURNAL=off: there is no store to load a connection from", hint="Unset HUB_JOURNAL.")
    return connections.load(store, scope, name)


def get_variable(name: str, default: Any) -> Any:
    """The value of a variable. See the SDK."""
    store, scope, _ = _where()
    return variables.get(store, scope, name, default)


def set_variable(name: str, value: Any, tags: tuple[str, ...], overwrite: bool) -> None:
    """Set a variable. See the SDK."""
    if pen.drawing.get() is not None:
        return
    variables.set_(*_where(), name, value, tags, overwrite=overwrite)


def send(run_id: str, value: Any, name: str) -> Any:
    """Send a message to a run. See the SDK."""
    store, scope, _ = _where()
    return asking.send(store, scope, run_id, value, name)


def emit(event: Emitted | Outgoing | Asked) -> Any:
    """Write an event of a user's own, send a webhook, or raise an alert. See the SDK."""
    store, scope, _ = _where()
    return emitting.emit(store, scope, event)


def unset_variable(name: str) -> bool:
    """Remove a variable. See the SDK."""
    if pen.drawing.get() is not None:
        return True
    return variables.unset(*_where(), name)


def _where() -> tuple[Store | None, Scope, RunContext | None]:
    """The store and the scope of the run that asks; outside runs those of this process."""
    here = current.get()
    if here is None:
        owner = artifacts.beside.get()
        return home().store, LOCAL if owner is None else owner.scope, None
    root: Root = here.session.root
    return root.store if root.recording is None else home().store, root.scope, here


def create_artifact(kind: str, content: Any, key: str | None, description: str | None) -> str:
    """Leave an artifact of the run that asks; outside a run, in this process's store. See the SDK."""
    if pen.drawing.get() is not None:
        return new_id()
    here = current.get()
    if here is not None:
        return artifacts.create(here, kind, content, key, description)
    made, found = artifacts.checked(kind, content, key, description), home()
    if found.store is None:
        return new_id()
    places, owner = _places(found), artifacts.beside.get()
    try:
        if owner is not None:
            return artifacts.create_beside(found.store, places, made, owner)
        return artifacts.create_outside(found.store, LOCAL, places, made)
    finally:
        places.close()


def update_progress(artifact_id: str, progress: float, description: str | None) -> str:
    """Move a progress bar. See the SDK."""
    if pen.drawing.get() is not None:
        return artifact_id
    store, scope, here = _where()
    return artifacts.move(here, store, scope, str(artifact_id), progress, description)


def _places(home: Home) -> Places:
    return Places(home.settings.home / "results", home.store, LOCAL, default=home.settings.results)


def parameter_schema(flow: Flow[..., Any]) -> dict[str, Any]:
    """The JSON schema of a flow's parameters. See the SDK."""
    return parameters.schema(flow)


def deploy(flow: Flow[..., Any], options: dict[str, Any]) -> Deployed:
    """Make or change a deployment in this machine's store. Raises UsageError, UnavailableError."""
    settings = load_settings()
    if settings.api_url:
        raise UsageError(
            f"flow.deploy writes to this machine's store, but HUB_API_URL names {settings.api_url}",
            hint="Use `hub deploy FILE:FLOW`, or unset HUB_API_URL.",
        )
    here = Home(settings, home().store)
    if here.store is None:
        raise UsageError("HUB_JOURNAL=off: there is no store to deploy to", hint="Unset HUB_JOURNAL.")
    body = document(flow, {**options, **_schedule(options)})
    done = apply(here.store, Command("deployment.set", LOCAL, args={"name": options["name"], **body}, via="cli"))
    result = done.result
    return Deployed(result["id"], result["name"], bool(result["created"]), int(result["version"]))


def _schedule(options: Mapping[str, Any]) -> dict[str, Any]:
    cron, interval = options.get("cron"), options.get("interval")
    if cron is not None and interval is not None:
        raise UsageError("a deployment takes cron or interval, not both")
    if cron is not None:
        return {"schedule": {"kind": "cron", "spec": cron, "timezone": options["timezone"]}}
    if interval is not None:
        return {"schedule": {"kind": "interval", "spec": str(interval), "timezone": options["timezone"]}}
    return {}


if TYPE_CHECKING:
    from hub.runtime import inline
    from hub.sdk.port import Runtime

    _fits: Runtime = inline
