"""A hub for one test: a home of its own, no server, no worker process, and a clock that skips waits."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub.errors import NotFoundError, UsageError
from hub.runtime import contributed, inline, loader, parameters, presets
from hub.runtime.commands import Command, apply
from hub.runtime.deploying import state_hooks
from hub.runtime.executor.retrying import default_of_flows
from hub.runtime.executor.rows import run_row
from hub.runtime.naming import default_name
from hub.sdk.flows import Deployed, Flow
from hub.settings import Settings, load_settings
from hub.store import open_hub, runs
from hub.store.base import Store
from hub.testing import records
from hub.testing.clock import Clock
from hub.testing.notes import Notes
from hub.testing.records import Run
from hub.testing.works import SCOPE, Works
from hub.types import SECOND, Id, new_id, now_us

if TYPE_CHECKING:
    from hub.client import Client
    from hub.testing.webhooks import Delivered, Doorway, FakeWebhook

_ISOLATED = {
    # Nothing in a test ends because the clock has jumped; plugins of strangers stay out of it.
    "lease": 1e9,
    "plugins": "only:webhooks,storage,secrets,github,sql,slack,openapi",
}
_STEPS = 10_000
_active: list[Hub] = []


class Hub:
    """What a test does with its hub, and what it asks of it. `harness` makes one."""

    def __init__(self, home: Path, clock: Clock) -> None:
        self.home = home
        self.clock = clock
        self.patience = 60.0
        """Seconds that a process in `crashes` may take."""
        self._flows: dict[str, Flow[..., Any]] = {}

    def __repr__(self) -> str:
        return f"<hub.testing.Hub in {self.home}>"

    @property
    def settings(self) -> Settings:
        """The settings that hold now."""
        return load_settings()

    @property
    def store(self) -> Store:
        """The store, for what the kit has no word for."""
        found = inline.home().store
        if found is None:
            raise UsageError("HUB_JOURNAL=off: this hub keeps nothing to look at", hint="Leave the journal on.")
        return found

    @cached_property
    def notes(self) -> Notes:
        """A list that outlives processes that are killed: where tasks under test write down what they did."""
        return Notes(self.home.parent / "notes")

    # --- what ran ---------------------------------------------------------------------------------------------------

    def runs(self, flow: Flow[..., Any] | str | None = None) -> list[Run]:
        """All runs (of a flow), oldest first, as they are now."""
        name = flow.name if isinstance(flow, Flow) else flow
        store, settings = self.store, self.settings
        return [records.read(store, settings, SCOPE, run_id) for run_id in records.ids(store, SCOPE, name)]

    def run(self, flow: Flow[..., Any] | str | None = None) -> Run:
        """The one run there is (of a flow, or with that id). Raises NotFoundError when there is none or several."""
        if isinstance(flow, str) and len(flow) == 36:
            return records.read(self.store, self.settings, SCOPE, flow)
        found = self.runs(flow)
        if len(found) != 1:
            known = ", ".join(f"{run.name} ({run.state.name})" for run in found) or "none"
            raise NotFoundError(f"there are {len(found)} runs where one was asked for", hint=f"They are {known}.")
        return found[0]

    # --- what a worker would do -------------------------------------------------------------------------------------

    def submit(self, flow: Flow[..., Any], /, *args: Any, **kwargs: Any) -> Run:
        """Run a flow as a worker would, in this process, until nothing is left to do; gives what became of it.

        Raises ParameterError; what the flow raises is in the run.
        """
        run_id = self.create(self.store, flow, parameters.from_call(flow, args, kwargs))
        self.settle()
        return self.run(run_id)

    def create(self, store: Store, flow: Flow[..., Any], values: Mapping[str, Any]) -> Id:
        """Put a run of a flow in line, in that store; gives its id."""
        run_id = new_id()
        row = run_row(flow, values, run_id, default_name(flow.name, run_id), default=default_of_flows(self.settings))
        row |= {"home": "worker", "origin": "api", "entrypoint": self.lend(flow)}
        row |= {"crash_retries": flow.options.crash_retries, "state_hooks": state_hooks(flow)}
        with store.write() as tx:
            runs.create(tx, SCOPE, row)
        return run_id

    def deploy(self, flow: Flow[..., Any], name: str | None = None, **options: Any) -> Deployed:
        """As `flow.deploy`: what schedules and automations start is this very flow, wherever it is defined."""
        self.lend(flow)
        return flow.deploy(name, **options)

    def start(self, deployment: str, /, **values: Any) -> Run:
        """Start a deployment by its name and do all that is due; gives the run."""
        done = apply(self.store, Command("run.create", SCOPE, deployment, {"parameters": values})).result
        self.settle()
        return self.run(str(done["id"]))

    def connect(self, kind: str, name: str, **fields: Any) -> None:
        """Keep a connection for the flows of this test: `hub.connect("http", "shop", url=...)`."""
        args = {"name": name, "kind": kind, "fields": {key: str(value) for key, value in fields.items()}}
        apply(self.store, Command("connection.set", SCOPE, name, args))

    def resume(self, run: Run) -> Run:
        """Let a run go on that waits for somebody, and do all that is due; gives what became of it."""
        apply(self.store, Command("run.resume", SCOPE, run.id, {}))
        self.settle()
        return self.run(run.id)

    def settle(self) -> None:
        """Do all that upkeep and workers would do now, and what follows from it, until there is nothing left."""
        self._works.settle()

    def advance(self, by: timedelta | float) -> None:
        """Let time pass, seconds or a timedelta: all that falls due on the way is done at its time."""
        delta = by if isinstance(by, timedelta) else timedelta(seconds=by)
        end = now_us() + int(delta.total_seconds() * SECOND)
        if delta < timedelta(0):
            raise UsageError("time does not go back", hint="Give a time that lies ahead.")
        self.settle()
        for _ in range(_STEPS):
            due = self._works.next_due()
            if due is None or due > end:
                self.clock.move_to(end)
                return self.settle()
            self.clock.move_to(due)
            self.settle()
        raise UsageError(f"more than {_STEPS} times fall due within {delta}", hint="Advance in smaller steps.")

    def lend(self, flow: Flow[..., Any]) -> str:
        """Have what this hub executes find this very flow; gives its entrypoint."""
        for entrypoint, known in self._flows.items():
            if known is flow:
                return entrypoint
        entrypoint = f"hub.testing:{flow.name}-{len(self._flows)}"
        self._flows[entrypoint] = flow
        loader.lend(self._flows)
        return entrypoint

    # --- what comes from outside ------------------------------------------------------------------------------------

    @property
    def client(self) -> Client:
        """The hub's whole API in this process: `hub.client.get("/runs")`."""
        return self._doorway.client

    def on(
        self, event: str, flow: Flow[..., Any], /, parameters: Mapping[str, Any] | None = None, match: str = ""
    ) -> None:
        """Have events of a type (`github.push`, `github.*`) start a flow; parameters that begin with `=` are CEL."""
        name = self.deploy(flow).name
        action = {"run_deployment": name, "parameters": dict(parameters or {})}
        trigger = {"kind": "event", "types": [event], "match": match}
        body = {"trigger": trigger, "actions": [action]}
        called = re.sub(r"[^a-z0-9._-]+", "-", f"{name}-on-{event.replace('*', 'any')}".lower())
        self.client.put(f"/automations/{called[:60]}", body)

    def webhook(self, preset: str, event: str | None = None, **more: Any) -> FakeWebhook:
        """A webhook as the provider would send it to a source of this hub, which is made when there is none.

        Takes what `hub.testing.webhook` takes, and `source`: the name of a source.
        """
        return self._doorway.webhook(preset, event, **more)

    def deliver(self, sent: FakeWebhook) -> Delivered:
        """Send a webhook through the real door and do all that follows; gives the answer and what came of it."""
        return self._doorway.deliver(sent, self.settle, lambda: self.runs())

    def page(self, path: str) -> str:
        """A page of the dashboard as its owner gets it: `hub.page("/ui/runs/...")`; the plugin `dashboard` must be on.

        Raises UsageError where there is no such page.
        """
        return self._doorway.page(path)

    @cached_property
    def _works(self) -> Works:
        return Works(self.store, self.settings, self.clock)

    @cached_property
    def _doorway(self) -> Doorway:
        from hub.testing.webhooks import Doorway  # noqa: PLC0415 - the web is loaded by tests that need it only

        return Doorway(self.settings, self.store, self._works.plugins)

    def close(self) -> None:
        """Give back what it holds."""
        for name in ("_doorway", "_works"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()
        loader.lend({})
        inline.forget(self.home)


@contextmanager
def harness(*, skip_time: bool = True, **settings: Any) -> Iterator[Hub]:
    """A hub for the block, in a temporary home: flows that are called in it leave their runs there.

    No `HUB_` variable of the environment holds inside, but for `HUB_TEST_`; `settings` are the hub's own by name
    (`sdk_threads=4`). `skip_time`: waits for retries, sleeps and the like pass at once. Blocks do not nest.
    """
    if _active:
        raise UsageError("there is a hub for this test already", hint="Use that one: harnesses do not nest.")
    folder = Path(tempfile.mkdtemp(prefix="hub-test-")).resolve()
    clock = Clock(skips=skip_time)
    try:
        with _environment(folder / "home", settings), contributed.apart(), presets.apart():
            hub = Hub(folder / "home", clock)
            _prepare(hub.home, hub.settings)
            clock.start()
            _active.append(hub)
            try:
                yield hub
            finally:
                _active.remove(hub)
                hub.close()
                clock.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def at_hand() -> Iterator[Hub]:
    """The hub of the test that calls, else one for the block."""
    if _active:
        yield _active[-1]
        return
    with harness() as made:
        yield made


@contextmanager
def _environment(home: Path, settings: Mapping[str, Any]) -> Iterator[None]:
    known = {name: value for name, value in os.environ.items() if _ours(name)}
    given = {"home": home, **_ISOLATED, **settings}
    wanted = {f"HUB_{name.upper()}": _text(value) for name, value in given.items()}
    for name in known:
        del os.environ[name]
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name in [name for name in os.environ if _ours(name)]:
            del os.environ[name]
        os.environ.update(known)


def _ours(name: str) -> bool:
    return name.startswith("HUB_") and not name.startswith("HUB_TEST_")


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


_migrated: dict[str, bytes] = {}
"""An empty database as this version makes it, made once a process: a copy is ready in a millisecond."""


def _prepare(home: Path, settings: Settings) -> None:
    home.mkdir(mode=0o700)
    path = settings.sqlite_path
    if path is None or path.parent != home:
        return
    if "" not in _migrated:
        store = open_hub(settings)
        try:
            store.migrate()
            with store.read() as tx:
                tx.conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            store.close()
        _migrated[""] = path.read_bytes()
    path.write_bytes(_migrated[""])
