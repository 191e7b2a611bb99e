"""Processes: forking them so that none outlives its parent, and telling a live one from a reused pid."""

from __future__ import annotations

import ctypes
import functools
import math
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from hub.types import new_id

EX_TEMPFAIL = 75
"""Exit status of a process that wants to be started again."""
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_M_ARENA_MAX = -8
_LINUX = sys.platform.startswith("linux")


@dataclass(frozen=True, slots=True)
class Identity:
    """Which process, for ever: a pid alone is used again, with its start time and the boot it is not."""

    host: str
    boot_id: str
    pid: int
    pid_started: str

    def columns(self) -> dict[str, str | int]:
        """The identity as the columns of an attempt."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.host}|{self.boot_id}|{self.pid}|{self.pid_started}"

    @classmethod
    def parse(cls, text: str) -> Identity | None:
        """An identity from its text; None when it is not one."""
        parts = text.split("|")
        if len(parts) != 4 or not parts[2].isdecimal():
            return None
        return cls(parts[0], parts[1], int(parts[2]), parts[3])


def identity(pid: int | None = None) -> Identity:
    """This process, or another one of this machine."""
    mine = os.getpid()
    pid = mine if pid is None else pid
    return Identity(socket.gethostname(), boot_id(), pid, _own_start(mine) if pid == mine else started(pid))


@functools.lru_cache(maxsize=1)
def _own_start(pid: int) -> str:
    """When this process started: told once, every attempt notes it. A child forgets it, whatever pid it gets."""
    return started(pid)


os.register_at_fork(after_in_child=_own_start.cache_clear)


def known_dead(who: Identity) -> bool:
    """Whether `who` has certainly ended. A process of another machine or container is never known to be dead."""
    if (who.host, who.boot_id) != (socket.gethostname(), boot_id()) or not who.boot_id:
        return False
    return not alive(who.pid, who.pid_started)


def holder(name: str = "") -> str:
    """A name for what this process holds, so that its death frees that at once. Without `name` another each time."""
    return f"{identity()}#{name or new_id()}"


def is_dead(name: str) -> bool:
    """Whether the process of a holder of that name has certainly ended."""
    who = Identity.parse(name.partition("#")[0])
    return who is not None and known_dead(who)


def alive(pid: int, pid_started: str = "") -> bool:
    """Whether the process runs, and is still the one that started then. A zombie does not run."""
    state, since = _stat(pid)
    if state in ("", "Z", "X"):
        return False
    return not pid_started or not since or since == pid_started


def started(pid: int) -> str:
    """When a process started, in the system's own units; empty when it is not known."""
    return _stat(pid)[1]


def boot_id() -> str:
    """This boot of this machine, as seen from this pid namespace; empty when it cannot be told."""
    return _boot_id()


@functools.cache
def _boot_id() -> str:
    if not _LINUX:
        return _ask("sysctl", "-n", "kern.bootsessionuuid") or _ask("sysctl", "-n", "kern.boottime")
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # Containers share the machine's boot but not its pids.
        return f"{boot}:{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _stat(pid: int) -> tuple[str, str]:
    """(state letter, start time); two empty texts when there is no such process."""
    if not _LINUX:
        out = _ask("ps", "-o", "stat=,lstart=", "-p", str(pid)).split(None, 1)
        return (out[0][:1], out[1].strip()) if len(out) == 2 else ("", "")
    try:
        # The name in parentheses may hold anything, even a parenthesis: count from the last one.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return "", ""
    return fields[0].decode(), fields[19].decode()


def _ask(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=False).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


# --- forking -----------------------------------------------------------------------------------------------------


def fork(main: Callable[[], int | None], *, name: str = "") -> int:
    """Run `main` in a child that dies with this process; gives its pid. `main`'s answer is the exit status.

    The child starts with default signal handlers and none blocked. Call it only while this process has one thread.
    """
    flush()
    parent = os.getpid()
    # A signal between the fork and the reset would run the parent's handler in the child.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OURS)
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pid
    status = 1
    try:
        clean_signals()
        die_with_parent(parent)
        call_this(name)
        status = main() or 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:  # noqa: BLE001 - the last line of a process: print and leave
        traceback.print_exc()
    finally:
        flush()
        os._exit(status)


_OURS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2})


_name = ""


def call_this(name: str) -> None:
    """Name this process in its log and, on Linux, in `ps -o comm` (as `hub name`)."""
    global _name
    _name = name
    if _LINUX and name:
        _libc().prctl(_PR_SET_NAME, f"hub {name}".encode()[:15], 0, 0, 0)


def share_heap() -> None:
    """Have all threads of this process take memory from one heap: one for each costs megabytes (glibc only).

    Not where user code runs, whose threads may want memory all at once.
    """
    if _LINUX and hasattr(_libc(), "mallopt"):
        _libc().mallopt(_M_ARENA_MAX, 1)


def name() -> str:
    """What this process was called; empty when it has no name."""
    return _name


def clean_signals() -> None:
    """Default handlers, nothing blocked, no wake-up descriptor: what a new process expects. SIGPIPE stays ignored."""
    signal.set_wakeup_fd(-1)
    for number in _OURS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


def die_with_parent(parent: int, *, death_signal: int = signal.SIGKILL) -> None:
    """Have the kernel end this process when the thread that forked it ends; elsewhere a thread watches."""
    if _LINUX:
        _libc().prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    else:
        threading.Thread(target=_watch, args=(parent, death_signal), name="parent-watch", daemon=True).start()
    if os.getppid() != parent:
        # It died between the fork and the line above.
        os._exit(EX_TEMPFAIL)


def watch_parent(parent: int) -> None:
    """The same for a child that was forked by a thread which may end before its process: a thread here watches."""
    if _LINUX:
        _libc().prctl(_PR_SET_PDEATHSIG, 0, 0, 0, 0)
    threading.Thread(target=_watch, args=(parent, signal.SIGKILL), name="parent-watch", daemon=True).start()


def _watch(parent: int, death_signal: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), death_signal)


def load() -> None:
    """Load now what `die_with_parent` needs, so that a child between fork and exec loads nothing."""
    if _LINUX:
        _libc()


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def flush() -> None:
    """Write out what was printed."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except (OSError, ValueError):
                continue


# --- ending ------------------------------------------------------------------------------------------------------


def reap(pid: int) -> int | None:
    """The exit status of a child that has ended (negative: the signal that ended it), None while it runs."""
    try:
        done, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return EX_TEMPFAIL
    return None if done == 0 else os.waitstatus_to_exitcode(status)


def send(pid: int, number: int) -> bool:
    """Send a signal; False when there is no such process any more."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def end(pids: Iterable[int], *, grace: float) -> dict[int, int]:
    """Ask children to end (SIGTERM), wait `grace` seconds, then kill the rest. Gives their exit statuses."""
    left = {pid for pid in pids if pid}
    statuses: dict[int, int] = {}
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        for pid in left:
            send(pid, number)
        deadline = time.monotonic() + seconds
        while left and time.monotonic() < deadline:
            for pid in tuple(left):
                status = reap(pid)
                if status is not None:
                    statuses[pid] = status
                    left.discard(pid)
            if left:
                time.sleep(0.01)
    return statuses


class Signals:
    """Signals as something to wait for: they interrupt nothing, they are read. One per process, main thread only."""

    def __init__(self, *numbers: int) -> None:
        self._reader, self._writer = os.pipe()
        for end_ in (self._reader, self._writer):
            os.set_blocking(end_, False)
        for number in numbers:
            signal.signal(number, _noted)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def poke(self) -> None:
        """Make `wait` return, from any thread."""
        try:
            os.write(self._writer, b"\0")
        except BlockingIOError:
            return  # a full pipe already wakes

    def wait(self, timeout: float, *more: int) -> tuple[set[int], set[int]]:
        """(signals that came, descriptors of `more` that are readable) within `timeout` seconds."""
        poll = select.poll()  # not select(), which knows descriptors up to 1023 only
        for descriptor in (self._reader, *more):
            poll.register(descriptor, select.POLLIN)
        readable = {descriptor for descriptor, _ in poll.poll(math.ceil(max(0.0, timeout) * 1000))}
        came: set[int] = set()
        if self._reader in readable:
            try:
                came = set(os.read(self._reader, 4096)) - {0}
            except BlockingIOError:
                came = set()
        return came, readable - {self._reader}

    def close(self) -> None:
        """Give the descriptors back."""
        signal.set_wakeup_fd(-1)
        os.close(self._reader)
        os.close(self._writer)


def _noted(_number: int, _frame: object) -> None:
    """The wake-up descriptor has it."""
