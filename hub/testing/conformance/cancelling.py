"""Whether what a plugin does at a service ends when its run is cancelled while the service is silent.

A process of its own calls it; every connection of Python's leads to a port that takes connections and says nothing.
Once there is one, the process is told to stop as a cancelled task is: by a signal that raises in its main thread.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from hub.channels import Outgoing
from hub.testing.conformance import examples, secrecy
from hub.testing.conformance.rules import Broken, NotHere
from hub.testing.conformance.subject import Subject

WITHIN_S = 5.0
_PATIENCE_S = 20.0


def ends_when_it_is_cancelled(subject: Subject) -> None:
    """C09: Cancelled while a service is silent, the checks of its connections and its channels end within 5 s."""
    names = [name for name, _ in calls(subject, 1)]
    if not names:
        raise NotHere("it reaches no service by a connection or a channel")
    for number, name in enumerate(names):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            child = _started(subject.place, listener.getsockname()[1], number)
            held: list[socket.socket] = []
            try:
                _look(child, listener, held, name)
            finally:
                child.kill()
                child.wait()
                for one in held:
                    one.close()


def _started(place: str, port: int, number: int) -> subprocess.Popen[bytes]:
    env = {variable: value for variable, value in os.environ.items() if not variable.startswith("HUB_")}
    env["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", __name__, place, str(port), str(number)], env=env,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _look(child: subprocess.Popen[bytes], listener: socket.socket, held: list[socket.socket], name: str) -> None:
    def over() -> bool:
        if select.select([listener], [], [], 0.02)[0]:
            held.append(listener.accept()[0])
        return child.poll() is not None

    _until(lambda: over() or held, _PATIENCE_S)
    if not held:
        if child.poll() not in (None, 0):
            raise Broken(f"{name} cannot be called in a process of its own, which ended with {child.poll()}")
        return  # it reaches nothing here: then nothing keeps it
    if _until(over, 0.5):  # it has a moment to begin to wait
        return
    child.send_signal(signal.SIGUSR1)
    if not _until(over, WITHIN_S):
        raise Broken(
            f"{name} goes on for over {WITHIN_S:g} s after it was cancelled while its service was silent: let what"
            " is raised in it pass (catch Exception, not BaseException), and wait in Python"
        )


def _until(holds: Callable[[], Any], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
    return bool(holds())


def calls(subject: Subject, port: int) -> list[tuple[str, Callable[[], Any]]]:
    """What reaches services, each towards this port of ours, as far as settings say where."""
    found: list[tuple[str, Callable[[], Any]]] = []
    if subject.has("hub_connection_kinds"):
        for kind in subject.connections:
            if kind.check is not None:
                settings = examples.settings_of(kind.settings, examples.unreachable(kind.settings, port))
                found.append((f"the check of {kind.name}", partial(kind.check, settings)))
    if subject.has("hub_channel_kinds"):
        for channel in subject.channels:
            message = Outgoing(secrecy.address_of(channel), "A title", "A text", ident="conformance", key="conformance")
            found.append((f"{channel.scheme}://", partial(channel.send, message)))
    return found


class _Cancelled(BaseException):
    pass


def _main(place: str, port: int, number: int) -> NoReturn:
    import importlib  # noqa: PLC0415 - of the child alone

    def stop(*_given: object) -> None:
        raise _Cancelled

    _, call = calls(Subject(importlib.import_module(place)), port)[number]
    real = socket.socket.connect
    there = ("127.0.0.1", port)
    socket.socket.connect = lambda self, _address: real(self, there)  # type: ignore[method-assign]
    found = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", there)]
    socket.getaddrinfo = lambda *_given, **_more: found  # type: ignore[assignment]
    signal.signal(signal.SIGUSR1, stop)
    with contextlib.suppress(BaseException):
        call()
    os._exit(0)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
