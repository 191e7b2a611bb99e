"""The keeper of a worker: the process that keeps its leases and never runs user code.

It forks the Celery parent first, while it has one thread and no connection, and ends with it. Exit status 75 means:
start me again.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from pathlib import Path

from hub import __version__
from hub.errors import HubError, UnavailableError
from hub.plugins import list_manifests
from hub.runtime import attempt, celery, contributed, plugging, plugin_reports, process
from hub.runtime.broker import broker_url
from hub.runtime.canary import Canary
from hub.runtime.executor.processes import may_have_children
from hub.runtime.held import Held, end_group
from hub.runtime.process import EX_TEMPFAIL
from hub.runtime.publish import Publisher
from hub.runtime.sweeper import remove_queue
from hub.settings import Settings
from hub.store import open_hub, workers
from hub.store.base import Store
from hub.types import DEFAULT_WORKSPACE, Id, new_id

log = logging.getLogger("hub.keeper")
_LOOK_S = 1.0
_IDLE_LOOK_S = 3.0
"""While nothing executes; what begins meanwhile holds a whole lease, and a cancel wakes."""
_LEAVE_S = 0.5
"""Seconds that the Celery parent has to go by itself once nothing executes any more."""


def preload(url: str) -> None:
    """Import now what workers need later, in the process that forks them."""
    celery.preload(url)


def run(settings: Settings) -> int:
    """Be a worker until SIGTERM; gives the exit status. The store must be migrated."""
    os.setsid()  # Ctrl-C in the terminal is for the supervisor; it must not reach what flows have started
    signals = process.Signals(signal.SIGTERM, signal.SIGCHLD)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker_id, url = new_id(), broker_url(settings)
    store = open_hub(settings)
    reader, writer = os.pipe()
    parent = process.fork(lambda: _celery(settings, store, url, worker_id, reader, writer), name="celery")
    os.close(writer)
    publisher = Publisher(url)
    keeper = Keeper(settings, store, publisher, worker_id, parent, reader, signals)
    try:
        return keeper.run()
    finally:
        keeper.close()


def _celery(settings: Settings, store: Store, url: str, worker_id: Id, reader: int, writer: int) -> int:
    os.close(reader)
    _keep_counters_in(settings.socket_dir / "mp")

    def prepare_child() -> None:
        store.dispose_in_child()
        attempt.ignore_late_cancels()
        may_have_children()
        _start_plugins(settings, store)

    return celery.run(
        url,
        worker_id,
        lambda attempt_id, epoch: _execute(settings, store, attempt_id, epoch),
        slots=settings.worker_slots,
        control=writer,
        prepare_child=prepare_child,
        runs_per_child=settings.worker_runs_per_child,
        memory_per_child=settings.worker_memory_per_child,
    )


def _execute(settings: Settings, store: Store, attempt_id: Id, epoch: int) -> bool:
    plugin_reports.look()
    return attempt.execute_attempt(store, settings, attempt_id, epoch)


def _keep_counters_in(folder: Path) -> None:
    """Say where the pool puts the files (unlinked at once) of the counters that it shares with its children.

    By itself it makes a folder `pymp-*` among the temporary ones, which only an ordinary end of Python removes; this
    process and its children end by signals and `os._exit`.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    multiprocessing.current_process()._config["tempdir"] = str(folder)  # type: ignore[attr-defined]


def _start_plugins(settings: Settings, store: Store) -> None:
    """Plugins that run in workers begin in every child; none of them can keep a child from starting."""
    if any(row.manifest is not None and "worker" in row.manifest.runs_in for row in list_manifests(settings)):
        plugins = plugging.load(settings, process="worker", store=store)
        contributed.install(plugins.hooks)
        plugins.hooks.startup()
        plugin_reports.begin(store, plugins)


class Keeper:
    """One worker's leases, canary and end. `parent` is the Celery parent, `control` what it says."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        publisher: Publisher,
        worker_id: Id,
        parent: int,
        control: int,
        signals: process.Signals,
    ) -> None:
        self._settings = settings
        self._store = store
        self._publisher = publisher
        self._id = worker_id
        self._parent = parent
        self._control = control
        self._signals = signals
        self._held = Held(store, settings, worker_id)
        self._canary = Canary(publisher, worker_id, settings.canary_interval)
        self._name = settings.worker_name or f"{socket.gethostname()}-{os.getpid()}"
        self._status: int | None = None
        self._draining = False
        self._deadline = float("inf")
        self._idle_since: float | None = None
        self._heard = ""
        self._ready = False
        self._registered = False
        self._renewed = time.monotonic()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._listen, name="wake-ups", daemon=True),
            threading.Thread(target=self._canary.run, args=(self._stop,), name="canary", daemon=True),
        ]

    def run(self) -> int:
        """Keep until the end, whoever brings it. Gives the exit status."""
        for thread in self._threads:
            thread.start()
        log.info("worker %s starts: %d slots, queues %s", self._name, self._settings.worker_slots,
                 ", ".join(self._settings.worker_queues))  # fmt: skip
        while True:
            self._wait()
            gone = process.reap(self._parent)
            if gone is not None:
                return self._parent_gone(gone)
            try:
                self._round()
            except UnavailableError as error:
                log.warning("the worker keeps on without the database: %s", error.detail)
                time.sleep(0.2)
            if self._must_end():
                return self._end()

    def _wait(self) -> None:
        came, readable = self._signals.wait(self._next(), self._control)
        if signal.SIGTERM in came:
            self._drain("it was told to stop", 0, self._settings.worker_stop_grace)
        if readable:
            self._hear()

    def _next(self) -> float:
        idle = self._registered and not self._held.rows and not self._draining
        times = [_IDLE_LOOK_S if idle else _LOOK_S, self._renewed + self._settings.lease_renew - time.monotonic()]
        asked = self._held.next_deadline()
        if asked is not None:
            times.append(asked + self._settings.worker_cancel_grace - time.monotonic())
        return max(0.02, min(times))

    def _hear(self) -> None:
        """What the Celery processes say: `ready`, `canary <number>`."""
        data = os.read(self._control, 4096)
        if not data:
            time.sleep(0.05)  # it is closed: the parent is ending
            return
        *lines, self._heard = (self._heard + data.decode()).split("\n")
        for line in lines:
            word, _, number = line.partition(" ")
            if word == "ready":
                self._ready = True
            elif word == "canary" and number.isdecimal():
                self._canary.seen(int(number))

    # --- one round ---------------------------------------------------------------------------------------------

    def _round(self) -> None:
        if not self._registered:
            self._register()
        self._held.look()
        if time.monotonic() - self._renewed >= self._settings.lease_renew:
            self._renew()
        if self._canary.lost and not self._draining:
            log.error("messages no longer arrive, though the broker answers: the worker starts anew")
            self._drain("its messages no longer arrive", EX_TEMPFAIL, float("inf"))

    def _register(self) -> None:
        row = {
            "id": self._id, "workspace_id": DEFAULT_WORKSPACE, "name": self._name, "version": __version__,
            "queues": list(self._settings.worker_queues), "slots": self._settings.worker_slots,
            **process.identity().columns(),
        }  # fmt: skip
        if self._ready:
            with self._store.write() as tx:
                workers.register(tx, row, lease_s=self._settings.lease)
                workers.ready(tx, self._id)
            self._registered, self._renewed = True, time.monotonic()
            log.info("worker %s is ready", self._name)

    def _renew(self) -> None:
        with self._store.write() as tx:
            noted = {"canary_sent_at": self._canary.sent_at, "canary_seen_at": self._canary.seen_at}
            mine = workers.renew(tx, self._id, lease_s=self._settings.lease, **noted)
            if mine:
                self._held.renew(tx)
        self._renewed = time.monotonic()
        if self._registered and not mine:
            # After a long sleep of the machine: its attempts belong to others by now.
            log.warning("worker %s was taken for lost; it starts anew", self._name)
            self._status, self._draining, self._deadline = EX_TEMPFAIL, True, 0.0

    def _drain(self, why: str, status: int, grace: float) -> None:
        """Take nothing more; let what executes end within `grace` seconds."""
        self._deadline = min(self._deadline, time.monotonic() + grace)
        if self._draining:
            return
        self._draining, self._status = True, status
        log.info("worker %s stops: %s", self._name, why)
        process.send(self._parent, signal.SIGTERM)
        try:
            with self._store.write() as tx:
                workers.drain(tx, self._id)
            self._held.release_unclaimed(f"worker {self._name} stops: {why}")
        except UnavailableError as error:
            log.warning("that the worker stops could not be noted: %s", error.detail)

    # --- the end -----------------------------------------------------------------------------------------------

    def _must_end(self) -> bool:
        now = time.monotonic()
        if now - self._renewed > self._settings.lease * 2 / 3 and self._registered:
            log.error("no lease was renewed for %.0f s: what executes here is ended", now - self._renewed)
            self._status = EX_TEMPFAIL
            return True
        if not self._draining:
            return False
        if any(row["state"] == "CLAIMED" for row in self._held.rows):
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
        idle = self._idle_since is not None and now - self._idle_since > _LEAVE_S
        return idle or now >= self._deadline

    def _end(self) -> int:
        """End the Celery processes and hand back what they still held."""
        self._kill()
        self._leave(lambda: self._held.give_back(f"worker {self._name} stopped"), lost=False)
        return EX_TEMPFAIL if self._status is None else self._status

    def _parent_gone(self, status: int) -> int:
        """The Celery parent has ended, and by the kernel's hand its children with it."""
        if self._draining:
            self._wait_for_children()
            self._leave(lambda: self._held.give_back(f"worker {self._name} stopped"), lost=False)
            return EX_TEMPFAIL if self._status is None else self._status
        log.error("the Celery process of worker %s ended with %d", self._name, status)
        self._wait_for_children()
        self._leave(lambda: self._held.lose(f"the Celery process of worker {self._name} has ended"), lost=True)
        return EX_TEMPFAIL

    def _kill(self) -> None:
        process.send(self._parent, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while process.reap(self._parent) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        self._wait_for_children()

    def _wait_for_children(self) -> None:
        """Nothing of an attempt may still execute when the attempt is given to somebody else."""
        for row in self._held.rows:
            if row["pid"] is not None:
                end_group(row["pid"])
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and any(
            row["pid"] is not None and process.alive(row["pid"], row["pid_started"]) for row in self._held.rows
        ):
            time.sleep(0.01)

    def _leave(self, hand_back: object, *, lost: bool) -> None:
        try:
            hand_back()  # type: ignore[operator]
            with self._store.write() as tx:
                workers.leave(tx, self._id, lost=lost)
        except HubError as error:
            log.warning("the worker's end could not be noted, its leases will run out: %s", error.detail)
        remove_queue(self._publisher, self._id)

    def close(self) -> None:
        """Give everything back."""
        self._stop.set()
        self._signals.poke()
        self._publisher.close()
        self._store.close()

    def _listen(self) -> None:
        """A thread: a wake-up about attempts ends the wait."""
        while not self._stop.is_set():
            try:
                listener = self._store.listen("attempts")
                try:
                    while not self._stop.is_set():
                        if listener.wait(5.0):
                            self._signals.poke()
                finally:
                    listener.close()
            except Exception as error:  # noqa: BLE001 - the keeper looks once a second anyway
                log.debug("wake-ups are not heard: %s", error)
                self._stop.wait(1.0)
