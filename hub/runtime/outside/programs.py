"""Running a program: its lines to the log, its output kept within bounds, its end told."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from hub.errors import ProgramFailed
from hub.runtime.outside.guard import Guard
from hub.runtime.outside.setting import INFO, WARNING, Setting

_LINE = 64 * 1024
_TAIL_LINES = 20
_TAIL_CHARS = 2_000
_DRAIN_S = 1.0
_READ = 256 * 1024


@dataclass(frozen=True)
class Started:
    """What to start. `secrets` are blacked out in the log; `keep` says what of the output is wanted."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str | None = None
    stdin: bytes = b""
    secrets: Sequence[str] = ()
    keep: str = "none"
    """`all` of standard output, its `last` line, or `none`."""
    max_output: int = 0
    log_output: bool = True


@dataclass
class Ended:
    """How it ended: the exit code (minus a signal's number), what was kept, the last lines of standard error."""

    code: int
    output: bytes = b""
    tail: list[str] = field(default_factory=list)


class TooMuch(Exception):
    """A program wrote more than may be kept."""


def run(started: Started, setting: Setting, guard: Guard) -> Ended:
    """Run it to its end. Raises ProgramFailed when it cannot start, TooMuch, and what `setting.go_on` raises.

    Whatever it raises, the program and its group are ended first.
    """
    process = _start(started)
    try:
        guard.watch(process)
        ended = _Reader(started, setting, process).read()
        guard.dismiss()
    except BaseException:
        guard.end(process)
        raise
    else:
        return ended
    finally:
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)


def _start(started: Started) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(started.argv), env=dict(started.env), cwd=started.cwd, stdin=subprocess.PIPE, bufsize=0,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError, UnicodeError) as error:
        told = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        hint = "Large values belong in stdin or in a file." if "rgument list" in told else ""
        place = f" in {started.cwd}" if started.cwd and not os.path.isdir(started.cwd) else ""
        raise ProgramFailed(f"the program cannot be started{place}: {told}", hint=hint) from None


class _Lines:
    """Splits a stream into lines; very long ones are cut into several."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > _LINE:
            lines.append(self._rest[:_LINE])
            self._rest = self._rest[_LINE:]
        for line in lines:
            self._line(line)

    def end(self) -> None:
        if self._rest:
            self._line(self._rest)
            self._rest = b""

    def _line(self, line: bytes) -> None:
        # A progress bar is rewritten in place: what it shows last is what counts.
        text = line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "replace").rstrip()
        if text:
            self._tell(text)


class _Reader:
    def __init__(self, started: Started, setting: Setting, process: subprocess.Popen[bytes]) -> None:
        self._started = started
        self._setting = setting
        self._process = process
        self._tail: list[str] = []
        self._kept: list[bytes] = []
        self._size = 0
        self._unsent = memoryview(b"\n" + started.stdin)
        self._out = _Lines(self._said)
        self._err = _Lines(self._warned)

    def read(self) -> Ended:
        """Read until it has ended."""
        with selectors.DefaultSelector() as selector:
            for pipe, what in ((self._process.stdout, self._read_out), (self._process.stderr, self._read_err)):
                self._add(selector, pipe, selectors.EVENT_READ, what)
            self._add(selector, self._process.stdin, selectors.EVENT_WRITE, self._write)
            self._until_ended(selector)
        self._out.end()
        self._err.end()
        return Ended(self._process.wait(), b"".join(self._kept), self._tail)

    def _add(self, selector: selectors.BaseSelector, pipe: IO[bytes] | None, events: int, what: Any) -> None:
        assert pipe is not None
        os.set_blocking(pipe.fileno(), False)
        selector.register(pipe, events, what)

    def _until_ended(self, selector: selectors.BaseSelector) -> None:
        gone: float | None = None
        while selector.get_map():
            for key, _ in selector.select(self._setting.wait_s()):
                if not key.data(key.fileobj):
                    selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
            self._setting.go_on()
            if gone is None and self._process.poll() is not None:
                gone = time.monotonic()
                self._sweep()
            if gone is not None and time.monotonic() - gone > _DRAIN_S:
                return
        while self._process.poll() is None:
            self._setting.go_on()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self._setting.wait_s())
        if gone is None:
            self._sweep()

    def _sweep(self) -> None:
        """End what the program left in its group: it would hold the pipes open, and nobody would ever end it."""
        # Right after its end, so that no other group can have its number.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _write(self, pipe: IO[bytes]) -> bool:
        try:
            self._unsent = self._unsent[os.write(pipe.fileno(), self._unsent[:_READ]) :]
        except BlockingIOError:
            return True
        except OSError:  # it does not read any more, which is its own affair
            return False
        return bool(self._unsent)

    def _read_out(self, pipe: IO[bytes]) -> bool:
        data = self._read(pipe)
        if data:
            self._keep(data)
            if self._started.log_output:
                self._out.feed(data)
        return data != b""

    def _read_err(self, pipe: IO[bytes]) -> bool:
        data = self._read(pipe)
        if data:
            self._err.feed(data)
        return data != b""

    def _read(self, pipe: IO[bytes]) -> bytes | None:
        try:
            return os.read(pipe.fileno(), _READ)
        except BlockingIOError:
            return None

    def _keep(self, data: bytes) -> None:
        if self._started.keep == "none":
            return
        self._kept.append(data)
        self._size += len(data)
        if self._started.keep == "last" and self._size > _LINE:
            whole = b"".join(self._kept)
            # The line before it is kept too: the last one may be empty so far.
            cut = whole.rstrip().rfind(b"\n") + 1
            self._kept, self._size = [whole[cut:]], len(whole) - cut
        if self._size > self._started.max_output:
            raise TooMuch

    def _said(self, line: str) -> None:
        self._setting.log(INFO, self._masked(line))

    def _warned(self, line: str) -> None:
        line = self._masked(line)
        self._tail = [*self._tail[-_TAIL_LINES + 1 :], line[:_TAIL_CHARS]]
        self._setting.log(WARNING, line)

    def _masked(self, line: str) -> str:
        for secret in self._started.secrets:
            line = line.replace(secret, "***")
        return line


def told(lines: Sequence[str]) -> str:
    """The last lines of standard error for a message."""
    return "\n".join(lines)[-_TAIL_CHARS:]


def signal_name(number: int) -> str:
    """A signal's name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
