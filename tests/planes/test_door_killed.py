"""Web killed with SIGKILL right after a 202: the receipt is there, and the same request starts nothing new."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from hub.testing.demo.site import free_port
from tests.processes import shared_store

from .doors import EVENT, PUSH, Made, effects, make, rows


@contextmanager
def hub_web(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The real command, in a process group of its own."""
    command = [sys.executable, "-m", "hub.cli", "web", "--door", "--port", str(port)]
    process = subprocess.Popen(command, env=dict(os.environ), stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            try:
                if httpx2.get(f"http://127.0.0.1:{port}/healthz", timeout=5).is_success:
                    break
            except httpx2.TransportError:
                time.sleep(0.05)
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.long("sqlite")
def test_what_was_answered_202_outlives_a_kill(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = shared_store(kind, request, monkeypatch, tmp_path)
    source = make(store)
    port = free_port()

    def knock(number: int) -> str:
        answer = _send(port, source, number)
        assert answer.status_code == 202
        return str(answer.json()["receipt"])

    with hub_web(port) as process:
        answered = [knock(number) for number in range(5)]
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    assert [row["id"] for row in rows(store)] == answered
    assert sorted(effects(store)) == sorted(answered)
    with hub_web(port):
        assert [knock(number) for number in range(5)] == answered
    assert len(effects(store)) == len(rows(store)) == 5
    store.close()


def _send(port: int, source: Made, number: int) -> httpx2.Response:
    signed = source.signed(PUSH, EVENT | {"X-GitHub-Delivery": f"d-{number}"})
    url = f"http://127.0.0.1:{port}{source.path}"
    return httpx2.post(url, content=signed.body, headers=dict(signed.headers), timeout=20)
