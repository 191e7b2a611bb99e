"""`hub up`: one process that starts the others, starts again what dies, and leaves none behind.

It has one thread and runs nothing of the hub itself. What its children share is imported before they are forked, so
the memory is theirs together and a restart costs milliseconds. Children die with it (see `process.fork`).
"""

from __future__ import annotations

import errno
import fcntl
import gc
import logging
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hub.errors import ConflictError, SettingError
from hub.runtime import process
from hub.runtime.broker import EmbeddedBroker
from hub.settings import Settings

log = logging.getLogger("hub.supervisor")
_FIRST_WAIT = 0.1
_LONGEST_WAIT = 10.0
_SETTLED = 30.0
"""A child that lived this long starts again at once when it dies."""
_LOOK = 1.0


@dataclass(slots=True)
class Child:
    """A process to keep alive. `main` runs in the child; its answer is the exit status. `grace` in seconds."""

    name: str
    main: Callable[[], int | None]
    grace: float = 10.0
    pid: int = 0
    since: float = 0.0
    wait: float = _FIRST_WAIT
    due: float = field(default=0.0)


def prepare_home(settings: Settings) -> None:
    """Make the home, private to this user. Raises SettingError when it cannot be written."""
    try:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = settings.home / f".writable.{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise SettingError(
            f"HUB_HOME is {settings.home}, which cannot be written: {error.strerror}",
            hint="Make it writable, or choose another folder with HUB_HOME.",
            code="home-unwritable",
        ) from None


@contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """Hold the home's lock; the kernel gives it back when this process dies. Raises ConflictError."""
    path = settings.home / "hub.lock"
    with path.open("a+") as file:
        try:
            # A record lock belongs to this process alone: children do not inherit it, as they would with flock.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            file.seek(0)
            raise ConflictError(
                f"a hub is already running on {settings.home} (process {file.read().strip() or 'unknown'})",
                hint="Stop it first, or give this one another HUB_HOME and port.",
                code="already-running",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


class Supervisor:
    """Keeps children and the embedded broker alive until SIGTERM or SIGINT."""

    def __init__(self, children: Iterable[Child], broker: EmbeddedBroker | None = None) -> None:
        self._children = list(children)
        self._broker = broker
        self._stopping = False

    def run(self) -> int:
        """Start all, watch them, and end all when asked to. Gives the exit status."""
        signals = process.Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
        # What is there now is shared; the collector must not touch, and so copy, it in every child.
        gc.collect()
        gc.freeze()
        try:
            while not self._stopping:
                self._start_due()
                came, _ = signals.wait(self._next_look())
                self._stopping = bool(came & {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
                self._bury()
        finally:
            self._end()
            signals.close()
        return 0

    def _start_due(self) -> None:
        if self._broker is not None and not self._broker.pid:
            self._restart_broker()
        now = time.monotonic()
        for child in self._children:
            if not child.pid and now >= child.due:
                child.pid, child.since = process.fork(child.main, name=child.name), now

    def _restart_broker(self) -> None:
        assert self._broker is not None
        log.warning("the embedded broker ended; starting it again")
        try:
            self._broker.start()
        except Exception as error:  # noqa: BLE001 - runs go on without a broker; it is tried again
            log.error("the embedded broker does not start: %s", error)

    def _next_look(self) -> float:
        now = time.monotonic()
        return min([_LOOK, *(max(0.0, child.due - now) for child in self._children if not child.pid)])

    def _bury(self) -> None:
        now = time.monotonic()
        for child in self._children:
            status = process.reap(child.pid) if child.pid else None
            if status is None:
                continue
            if now - child.since > _SETTLED:
                child.wait = _FIRST_WAIT
            child.pid, child.due = 0, now + child.wait
            child.wait = min(child.wait * 2, _LONGEST_WAIT)
            if not self._stopping:
                log.warning("%s ended (%s); starting it again in %.1f s", child.name, _how(status), child.due - now)

    def _end(self) -> None:
        """The worker first, while the broker and the web still answer; the broker last."""
        for child in reversed(self._children):
            if child.pid:
                process.end([child.pid], grace=child.grace)
                child.pid = 0
        if self._broker is not None:
            self._broker.stop()


def _how(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def remove_stale_sockets(folder: Path) -> None:
    """Forget the wake-up sockets of processes that were killed; only the holder of the lock may."""
    for path in folder.glob("*.*") if folder.is_dir() else ():
        path.unlink(missing_ok=True)
