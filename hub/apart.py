"""Plugins in a process of their own (`isolation = "process"`), from where they cannot crash, block or leak into ours.

    ours                                     theirs (python -m hub.apart MODULE)
    Child.call(hook, arguments, limit)  -->  the function, with a context of its own
                                        <--  what it gave or raised, and the lines it logged

A child answers one call after the other; one that is over its time is killed, and the next call starts another. What
goes over the pipes is pickled: it is no wall against malice, which an installed package is past anyway.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import logging
import os
import pickle
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO, NoReturn

from hub.errors import HubError
from hub.redacting import redacted

log = logging.getLogger("hub.plugins")
FITS = frozenset(
    {
        "hub_startup", "hub_shutdown", "hub_health", "hub_presets", "hub_secret_resolve", "hub_webhook_verify",
        "hub_webhook_parse", "hub_webhook_sign", "hub_trigger_match", "hub_run_before", "hub_run_state",
        "hub_task_state", "hub_export_redact", "hub_alert_render", "hub_alert_sent", "hub_auth_authenticate",
        "hub_ui_panels", "hub_docs_pages", "hub_cli",
    }
)  # fmt: skip
"""Hooks whose answers are data. What others give (actions, connections, loops, ...) lives where it is used."""
START_S = 5.0
_HEAD = struct.Struct("!I")
_LARGEST = 64 * 1024 * 1024
_LONGEST_LINE = 2_000


class ApartError(Exception):
    """The child died, or could not be understood."""


class OverTimeError(Exception):
    """A hook was left behind."""


class Child:
    """One plugin's process, started when it is first needed and again after it has died. For one caller at a time."""

    def __init__(self, plugin: str, module: str) -> None:
        self.plugin = plugin
        self.module = module
        self.hooks: dict[str, tuple[str, ...]] = {}
        """The hooks that it implements, with the arguments they take."""
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._out: BinaryIO | None = None
        self._back = -1
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start it and learn which hooks it has. Raises ApartError, OverTimeError."""
        with self._lock:
            self._running(START_S)

    def call(self, hook: str, arguments: Mapping[str, Any], limit: float) -> Any:
        """What its function gives. Raises what that raised (as ApartError, a HubError as it is), OverTimeError."""
        end = time.monotonic() + limit
        if not self._lock.acquire(timeout=limit):
            raise OverTimeError(f"it did not end within {limit:.3g} s: another call has kept it busy")
        try:
            self._running(START_S)
            try:
                data = pickle.dumps((hook, dict(arguments)))
            except Exception as error:  # noqa: BLE001 - whatever an argument holds
                raise ApartError(f"its arguments cannot be sent to its process: {type(error).__name__}") from None
            self._send(data)
            kind, value = self._answer(max(end, time.monotonic() + 0.05), limit)
        finally:
            self._lock.release()
        if kind == "raised":
            raise value if isinstance(value, HubError) else ApartError(str(value))
        return value

    def end(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is None:
            return
        if self._owner == os.getpid():
            process.kill()
            process.wait()
        if self._out is not None:
            with contextlib.suppress(OSError):
                self._out.close()
        with contextlib.suppress(OSError):
            os.close(self._back)

    def _running(self, limit: float) -> None:
        if self._process is not None and self._owner == os.getpid() and self._process.poll() is None:
            return
        self.end()
        theirs, ours = os.pipe()
        back, out = os.pipe()
        command = [sys.executable, "-m", "hub.apart", self.module, str(theirs), str(out)]
        try:
            self._process = subprocess.Popen(
                command, pass_fds=(theirs, out), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )  # fmt: skip
        finally:
            os.close(theirs)
            os.close(out)
        self._owner, self._out, self._back = os.getpid(), os.fdopen(ours, "wb", buffering=0), back
        os.set_blocking(back, False)
        kind, value = self._answer(time.monotonic() + limit, limit)
        if kind != "hooks":
            self.end()
            raise ApartError(str(value))
        self.hooks = value

    def _send(self, data: bytes) -> None:
        assert self._out is not None
        try:
            self._out.write(_HEAD.pack(len(data)) + data)
        except OSError:
            raise ApartError(self._died()) from None

    def _answer(self, end: float, limit: float) -> tuple[str, Any]:
        while True:
            data = self._read(end, limit)
            try:
                kind, value = pickle.loads(data)  # noqa: S301 - from a process of ours, see above
            except Exception as error:  # noqa: BLE001 - a plugin may give what cannot be made here
                raise ApartError(
                    f"what it gave cannot be taken over from its process: {type(error).__name__}"
                ) from None
            if kind != "line":
                return kind, value
            level, text = value
            log.log(level, "plugin %s: %s", self.plugin, redacted(text))

    def _read(self, end: float, limit: float) -> bytes:
        (size,) = _HEAD.unpack(self._exactly(_HEAD.size, end, limit))
        if size > _LARGEST:
            self.end()
            raise ApartError(f"it gave more than {_LARGEST // 1024**2} MiB")
        return self._exactly(size, end, limit)

    def _exactly(self, size: int, end: float, limit: float) -> bytes:
        found = b""
        while len(found) < size:
            left = end - time.monotonic()
            ready = select.select([self._back], [], [], max(0.0, left))[0]
            if not ready:
                self.end()  # whatever it does, it does no longer
                raise OverTimeError(f"it did not end within {limit:.3g} s, and its process was killed")
            piece = os.read(self._back, size - len(found))
            if not piece:
                raise ApartError(self._died())
            found += piece
        return found

    def _died(self) -> str:
        process = self._process
        code = process.wait(5) if process is not None else None
        self.end()
        how = f"signal {-code}" if code is not None and code < 0 else f"exit {code}"
        return f"its process ended ({how})"


def materialised(function: Callable[..., Any], arguments: list[Any]) -> Any:
    """Run the implementation to its end: a generator must fail inside the guard, not where it is read."""
    value = function(*arguments)
    if value is None:
        return None
    if inspect.iscoroutine(value):
        value.close()
        raise TypeError("a hook must be a plain function, this one is async")
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping) else value


# --- theirs ---------------------------------------------------------------------------------------------------------


def main(module: str, asks: int, answers: int) -> NoReturn:
    """Import the plugin and answer calls until the other side is gone."""
    back = _Back(answers)
    _listen_to(back)
    source = os.fdopen(asks, "rb", buffering=0)
    try:
        functions = _functions(importlib.import_module(module))
    except BaseException as error:  # noqa: BLE001 - told to the other side
        back.say("failed", _sentence(error))
        os._exit(1)
    back.say("hooks", {name: _names(function) for name, function in functions.items()})
    asked: list[tuple[str, dict[str, Any]]] = []
    ready = threading.Semaphore(0)
    threading.Thread(target=_hear, args=(source, asked, ready), daemon=True).start()
    while True:
        ready.acquire()
        hook, given = asked.pop(0)
        back.answer(functions[hook], given)


def _hear(source: Any, asked: list[Any], ready: threading.Semaphore) -> NoReturn:
    """Take calls while the plugin works: that nobody is there any more must end it at once."""
    while True:
        head = _whole(source, _HEAD.size)
        asked.append(pickle.loads(_whole(source, _HEAD.unpack(head)[0])))  # noqa: S301 - from the process that started us
        ready.release()


def _whole(source: Any, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = source.read(size - len(found))
        if not piece:
            os._exit(0)
        found += piece
    return found


class _Back:
    """The way back; lines of several threads do not mix."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def say(self, kind: str, value: Any) -> None:
        data = pickle.dumps((kind, value))
        with self._lock:
            rest = memoryview(_HEAD.pack(len(data)) + data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    def answer(self, function: Any, given: dict[str, Any]) -> None:
        try:
            value = materialised(function, [given[name] for name in _names(function)])
            pickle.dumps(value)
        except HubError as error:
            return self.say("raised", error)
        except BaseException as error:  # noqa: BLE001 - SystemExit, too: it is told, and the process goes on
            return self.say("raised", _sentence(error))
        return self.say("gave", value)


class _Lines(logging.Handler):
    def __init__(self, back: _Back) -> None:
        super().__init__(logging.INFO)
        self._back = back

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        with contextlib.suppress(Exception):
            self._back.say("line", (record.levelno, record.getMessage()[:_LONGEST_LINE]))


class _Prints(io.TextIOBase):
    def __init__(self, back: _Back) -> None:
        self._back = back

    def write(self, text: str) -> int:
        """See TextIOBase."""
        for line in text.splitlines():
            if line.strip():
                self._back.say("line", (logging.INFO, line[:_LONGEST_LINE]))
        return len(text)


def _listen_to(back: _Back) -> None:
    root = logging.getLogger()
    root.handlers[:], root.level = [_Lines(back)], logging.INFO
    sys.stdout = sys.stderr = _Prints(back)


def _functions(module: Any) -> dict[str, Any]:
    return {
        name: value for name, value in vars(module).items()
        if name.startswith("hub_") and callable(value) and getattr(value, "hub_impl", None) is not None
    }  # fmt: skip


def _names(function: Any) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


def _sentence(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:500] if str(error) else type(error).__name__


def stand_ins(child: Child) -> Iterator[tuple[str, Any]]:
    """A stand-in for each function that it has, for who registers hooks: it is never called itself."""
    for hook, names in child.hooks.items():
        space: dict[str, Any] = {}
        exec(f"def {hook}({', '.join(names)}): raise NotImplementedError", space)  # noqa: S102 - names of parameters
        yield hook, space[hook]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
