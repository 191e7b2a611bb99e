"""The web process as a process: how it starts, what it bears, how it ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

MAIN = """
import json, sys
from hub.settings import load_settings
from hub.store import open_hub
from hub.web import protocol, serve
from hub.web.api import op
settings, options = load_settings(json.loads(sys.argv[1])), json.loads(sys.argv[2])
protocol.HEAD_SECONDS, op.BODY_SECONDS = options.pop("head_seconds", 10), 1.0
store = open_hub(settings)
store.migrate()
sys.exit(serve.serve(settings, store=store, ready=lambda url: print(url, flush=True), **options))
"""
Start = Callable[..., tuple[str, "subprocess.Popen[str]"]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start web processes; gives the address and the process."""
    started: list[subprocess.Popen[str]] = []

    def begin(settings: dict[str, object] | None = None, **options: object) -> tuple[str, subprocess.Popen[str]]:
        given = {"home": str(tmp_path / "home"), "web_port": 0, "plugins": "none", **(settings or {})}
        command = [sys.executable, "-c", MAIN, json.dumps(given), json.dumps(options)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return process.stdout.readline().strip(), process

    yield begin
    for process in started:
        process.kill()
        process.communicate(timeout=20)


def talk(url: str, data: bytes, *, seconds: float = 10) -> bytes:
    """Send raw bytes and read until the hub closes."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=seconds) as connection:  # type: ignore[arg-type]
        received = b""
        try:
            connection.sendall(data)
            while chunk := connection.recv(65536):
                received += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass
        return received


def test_it_answers_and_ends_cleanly_on_sigterm(start: Start) -> None:
    url, process = start()
    assert httpx2.get(f"{url}/healthz").json() == {"status": "ok"}
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_open_stream_does_not_hold_up_the_end(start: Start, number: int) -> None:
    url, process = start()
    with httpx2.stream("GET", f"{url}/api/v1/stream", timeout=60) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 1000"
        process.send_signal(number)
        assert "event: bye" in list(lines)  # it would last for ever
    assert process.wait(timeout=60) == 0


def test_the_door_alone_has_no_console(start: Start) -> None:
    url, _ = start(door_only=True)
    assert httpx2.get(f"{url}/healthz").status_code == 200
    assert httpx2.get(f"{url}/api/v1/runs").status_code == 404


def test_a_head_that_is_too_large_is_refused(start: Start) -> None:
    url, _ = start()
    two_megabytes = b"x" * 2_000_000
    assert talk(url, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + two_megabytes).startswith(b"HTTP/1.1 431 ")
    assert talk(url, b"GET /" + two_megabytes).startswith(b"HTTP/1.1 431 ")
    many = b"".join(b"x-%d: y\r\n" % number for number in range(10_000))
    answer = talk(url, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n" + many + b"\r\nabc")
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"head-too-large" in answer
    fits = talk(url, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: " + b"y" * 30_000 + b"\r\n\r\n")
    assert fits.startswith(b"HTTP/1.1 200 ")


def test_a_head_that_does_not_come_is_not_waited_for(start: Start) -> None:
    url, _ = start(head_seconds=0.3)
    assert b"408" in talk(url, b"")
    assert b"408" in talk(url, b"GET /healthz HTTP/1.1\r\nHost: loc")
    second = talk(url, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /hea")
    assert second.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in second


def test_a_body_that_does_not_come_or_never_ends_is_refused(start: Start) -> None:
    url, _ = start()
    head = b"PUT /api/v1/queues/q HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    assert b" 408 " in talk(url, head + b"Content-Length: 10\r\n\r\nabc").split(b"\r\n")[0]
    assert b" 413 " in talk(url, head + b"Content-Length: 99999999\r\n\r\nabc").split(b"\r\n")[0]
    endless = b"".join(b"8000\r\n" + b"x" * 0x8000 + b"\r\n" for _ in range(64))
    assert b" 413 " in talk(url, head + b"Transfer-Encoding: chunked\r\n\r\n" + endless).split(b"\r\n")[0]
    assert b" 408 " in talk(url, head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n").split(b"\r\n")[0]


def test_a_sender_that_goes_away_in_the_middle_is_no_error_of_ours(start: Start) -> None:
    url, process = start()
    parts = urlsplit(url)
    for path in ("PUT /api/v1/queues/q", "POST /sync/v1/sessions", "POST /in/nobody-knows-this-token"):
        with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:  # type: ignore[arg-type]
            connection.sendall(f"{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc".encode())
    assert httpx2.get(f"{url}/healthz").status_code == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()


NONSENSE = (
    b"\x00\x01\x02\x03\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"BREW /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://[ HTTP/1.1\r\nHost: a\r\n\r\n",
)


def test_nonsense_is_answered_and_the_hub_goes_on(start: Start) -> None:
    url, process = start()
    for request in NONSENSE:
        assert b" 400 " in talk(url, request).split(b"\r\n")[0], request
    assert httpx2.get(f"{url}/healthz").status_code == 200
    assert process.poll() is None
