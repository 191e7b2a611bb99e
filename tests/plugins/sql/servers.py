"""Databases of their own for tests, on real servers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mariadb() -> Iterator[int]:
    """A server of MariaDB with the database `test`; gives its port."""
    if not shutil.which("mariadbd") or not shutil.which("mariadb-install-db"):
        if os.environ.get("HUB_TEST_REQUIRE_SERVICES") == "1":
            pytest.fail("mariadbd is not installed")
        pytest.skip("mariadbd is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="hub-maria-"))
    data = folder / "data"
    user = ["--user=root"] if os.getuid() == 0 else []
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", *user],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    server = subprocess.Popen(
        [
            "mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={folder}/socket", f"--port={port}",
            "--bind-address=127.0.0.1", f"--pid-file={folder}/pid", *user,
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _until_it_answers(server, port)
        yield port
    finally:
        server.kill()
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _until_it_answers(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail("mariadbd did not start")
