"""Flows and tasks called as plain functions. The SDK's port loads this module on the first call."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.engine.run import Stopped
from hub.errors import HubError, UsageError
from hub.runtime import parameters
from hub.runtime.commands import Command, apply
from hub.runtime.deploying import document
from hub.runtime.executor import flowlife
from hub.runtime.executor.calls import before_wait, call_task, map_over, named, submit
from hub.runtime.executor.capture import install_logging
from hub.runtime.executor.flowlife import FlowCall
from hub.runtime.executor.flowrecord import Begun, FlowRecord, InlineRun, Unrecorded
from hub.runtime.executor.loops import awaiting, running_task
from hub.runtime.executor.nested import call_nested
from hub.runtime.executor.root import CancelledNow, Root
from hub.runtime.executor.rows import run_row
from hub.runtime.executor.steps import Life, drive, drive_on_loop
from hub.runtime.executor.tasklife import STOPPING
from hub.runtime.executor.taskrecord import retry_policy
from hub.runtime.heartbeat import Heartbeat
from hub.runtime.journal import AttemptLost
from hub.runtime.journal_sql import Fence
from hub.runtime.store_journal import StoreJournal
from hub.sdk.context import FlowInfo, current
from hub.sdk.flows import Deployed, Flow
from hub.settings import Settings, load_settings
from hub.store import open_hub
from hub.store.base import Store
from hub.types import Actor, Scope, new_id

__all__ = ["awaiting", "before_wait", "call_flow", "call_task", "deploy", "map_over", "submit"]

LOCAL = Scope(actor=Actor("local"))


@dataclass(frozen=True, slots=True)
class Home:
    """What calls of flows in this process use: settings, and the store unless the journal is off."""

    settings: Settings
    store: Store | None


_homes: dict[tuple[Any, ...], Home] = {}
_opening = threading.Lock()


def home() -> Home:
    """The settings and the store of this process, opened and brought up to date on the first call.

    Raises SettingError, or UnavailableError when the store cannot be written.
    """
    # A forked child must not use its parent's connections; tests and programs may change the environment.
    key = (os.getpid(), *sorted(item for item in os.environ.items() if item[0].startswith("HUB_")))
    found = _homes.get(key)
    if found is None:
        with _opening:
            found = _homes.get(key) or _open()
            _homes[key] = found
    return found


def _open() -> Home:
    settings = load_settings()
    if settings.journal == "off":
        return Home(settings, None)
    store = open_hub(settings)
    store.migrate()
    return Home(settings, store)


def forget() -> None:
    """Close the stores that calls in this process have opened; the next call opens anew."""
    with _opening:
        for known in _homes.values():
            if known.store is not None:
                known.store.close()
        _homes.clear()


def call_flow(flow: Flow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a flow: its value, or a coroutine of it. Within another run it is nested in that run."""
    parent = current.get()
    if parent is not None:
        return call_nested(flow, args, kwargs, parent)
    return _awaited(flow, args, kwargs) if flow.is_async else _called(flow, args, kwargs)


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


class Outermost:
    """A flow called outside any run: its record, its journal, its heartbeat."""

    def __init__(self, flow: Flow[..., Any], values: Mapping[str, Any], home: Home) -> None:
        install_logging()
        run_id = new_id()
        name = named(flow.options.run_name, values) or f"{flow.name}-{run_id[-6:]}"
        settings = home.settings
        threads = flow.options.max_threads or settings.sdk_threads
        self.root = Root(LOCAL, threads=threads, results=settings.home / "results")
        self.heartbeat: Heartbeat | None = None
        self._journal: StoreJournal | None = None
        self._home = home
        if home.store is None:
            record: FlowRecord = Unrecorded(run_id, LOCAL, retry_policy(flow.options.retry))
        else:
            record = InlineRun(home.store, LOCAL, run_row(flow, values, run_id, name), lease_s=settings.lease)
            self._journal = StoreJournal(home.store, LOCAL, Fence(run_id, 1, 0), forgiving=True)
            self.root.journal = self._journal
            self.heartbeat = self.root.heartbeat = Heartbeat(
                home.store, LOCAL, lease_s=settings.lease, every_s=settings.lease_renew,
                cancelled=lambda _: self.root.interrupt(CancelledNow()),
            )  # fmt: skip
        self.root.store = home.store
        self.root.lease_s = settings.lease
        info = FlowInfo(
            run_id=run_id, run_name=name, flow_name=flow.name, parameters=dict(values), tags=flow.options.tags
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
                self._call.record.stop(lambda attempt, epoch: Stopped(attempt, epoch, message), message)

    def close(self) -> None:
        """End threads, give connections back."""
        if self.heartbeat is not None:
            self.heartbeat.close()
        self.root.close()
        self.root.journal.close()


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
