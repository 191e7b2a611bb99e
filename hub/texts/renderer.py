"""Rendering a user's template in a process that can be ended, from the process that sends or shows the text.

A thread cannot be ended and a fork of a process with threads cannot be trusted, so the renderer is a fresh interpreter:
started when there is a template to render, used again and again, replaced when a template has ended it, gone after a
minute without work. It is given no environment, so that no secret is in it.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

from hub.errors import TemplateError, UnavailableError
from hub.texts.formats import Format
from hub.texts.framing import LENGTH
from hub.texts.limits import CPU_S, MAX_OUTPUT

WALL_S = 30.0
"""Seconds that a text may take all in all; the machine may be busy."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a template printed; `is_cut` when it was longer than any text may be."""

    text: str
    """Written in its format."""
    is_cut: bool


def render(
    template: str,
    variables: Mapping[str, Any],
    *,
    form: Format,
    shape: Mapping[str, Any],
    written: Mapping[str, str] | None = None,
    name: str = "the template",
) -> Rendering:
    """Render a template in the renderer of this process; `shape` says what the variables have (`grammar.Shape`).

    `written` are further variables: texts that are written in the format already, printed as they are.
    Raises TemplateError, which names the template, the line and the mistake; UnavailableError when no renderer starts.
    """
    request = {"form": form, "template": template, "variables": variables, "shape": shape, "written": written or {}}
    answer = _mine().ask(request)
    if "error" in answer:
        where = f"{name}, line {answer['line']}" if answer["line"] else name
        raise TemplateError(f"{where}: {answer['error']}", hint="docs/alerts.md lists what templates have.")
    return Rendering(answer["text"], answer["is_cut"])


class Renderer:
    """One process that renders, started when it is needed. Safe to use from several threads."""

    def __init__(self, *, cpu_s: float = CPU_S, wall_s: float = WALL_S) -> None:
        self.pid = os.getpid()
        self._cpu_s = cpu_s
        self._wall_s = wall_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request; an error where the renderer was ended by it. Raises UnavailableError."""
        body = json.dumps(request).encode()
        with self._lock:
            for _ in range(2):  # somebody else may have ended the first one, or want of work
                try:
                    return self._try(LENGTH.pack(len(body)) + body)
                except TimeoutError:
                    self._end()
                    return {"error": f"it took longer than {self._wall_s:g} s", "line": 0}
                except (BrokenPipeError, EOFError):
                    code = self._ended()
                    if code == -signal.SIGPROF:
                        return {"error": f"it computes for longer than {self._cpu_s:g} s", "line": 0}
        if code < 0:
            return {"error": f"it ended its renderer ({signal.Signals(-code).name})", "line": 0}
        raise UnavailableError("the renderer of texts does not start", hint="Its error is in the log of the hub.")

    @property
    def child(self) -> int | None:
        """The process id of the renderer, while there is one."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """End the process; the next request starts another."""
        with self._lock:
            self._end()

    def disown(self) -> None:
        """In a forked child: leave the process to the parent, whose it is."""
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                _close(pipe)
            self._process.returncode = 0  # nobody waits for it here
            self._process = None

    def _try(self, message: bytes) -> dict[str, Any]:
        """Raises TimeoutError, and BrokenPipeError or EOFError where the process has ended."""
        process = self._process = self._process or _start(self._cpu_s)
        assert process.stdin is not None
        assert process.stdout is not None
        end = time.monotonic() + self._wall_s
        _write(process.stdin.fileno(), message, end)
        size = LENGTH.unpack(_read(process.stdout.fileno(), LENGTH.size, end))[0]
        return dict(json.loads(_read(process.stdout.fileno(), size, end)))

    def _ended(self) -> int:
        """How the process that closed its pipe has ended."""
        process = self._process
        assert process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        code = process.returncode
        self._end()
        return 0 if code is None else int(code)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        _close(process.stdin)
        _close(process.stdout)


_shared: Renderer | None = None
_guard = threading.Lock()


def _mine() -> Renderer:
    """The renderer of this process; a forked child makes its own."""
    global _shared
    with _guard:
        if _shared is not None and _shared.pid != os.getpid():
            _shared.disown()
            _shared = None
        if _shared is None:
            _shared = Renderer()
            atexit.register(_shared.close)
        return _shared


def _start(cpu_s: float) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    process = subprocess.Popen(
        [sys.executable, "-P", "-s", "-m", "hub.texts.child", str(cpu_s)], cwd="/", env={"PYTHONPATH": path},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, bufsize=0,
    )  # fmt: skip
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        os.set_blocking(pipe.fileno(), False)
    return process


def _write(to: int, message: bytes, end: float) -> None:
    """Raises TimeoutError and BrokenPipeError."""
    rest = memoryview(message)
    while rest:
        if not select.select([], [to], [], max(end - time.monotonic(), 0))[1]:
            raise TimeoutError
        rest = rest[os.write(to, rest) :]


def _read(source: int, size: int, end: float) -> bytes:
    """So many bytes. Raises TimeoutError and EOFError."""
    if size > 16 * MAX_OUTPUT:
        raise EOFError
    found = b""
    while len(found) < size:
        if not select.select([source], [], [], max(end - time.monotonic(), 0))[0]:
            raise TimeoutError
        piece = os.read(source, size - len(found))
        if not piece:
            raise EOFError
        found += piece
    return found


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        with contextlib.suppress(OSError):
            pipe.close()
