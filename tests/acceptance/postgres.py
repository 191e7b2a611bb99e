"""A PostgreSQL of the tests' own: to be restarted, or to take more connections than the shared one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from .conftest import wait_until


class Server:
    """A PostgreSQL of the test's own."""

    def __init__(self, folder: Path, *, connections: int = 100) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(shutil.which("initdb") or "initdb")]
        self._bin = found[-1].parent
        self._folder = folder
        self._connections = connections
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def _as_postgres(self, program: str, *words: str) -> None:
        command = [str(self._bin / program), *words]
        if os.getuid() == 0:  # PostgreSQL does not run as root
            command = ["runuser", "-u", "postgres", "--", *command]
        with (self._folder / "server.log").open("ab") as log:
            subprocess.run(command, check=True, timeout=90, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def make(self) -> None:
        if os.getuid() == 0:
            shutil.chown(self._folder, "postgres")
        self._as_postgres("initdb", "-D", f"{self._folder}/data", "-U", "postgres", "-A", "trust", "--no-sync")
        self.control("start")

    def control(self, how: str) -> None:
        """start, restart or stop; at once, as after a crash."""
        options = f"-p {self._port} -k {self._folder} -h 127.0.0.1 -c max_connections={self._connections}"
        mode = [] if how == "start" else ["-m", "immediate"]
        self._as_postgres("pg_ctl", "-D", f"{self._folder}/data", "-w", *mode, "-o", options, how)
        if how != "stop":
            wait_until(self._answers, what="the test's own PostgreSQL answers")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def started(*, connections: int = 100) -> Iterator[Server]:
    """Skips where PostgreSQL is not installed; fails there with HUB_TEST_REQUIRE_SERVICES=1."""
    # Not among pytest's folders: its socket's path must be short, and its user must reach it.
    folder = Path(tempfile.mkdtemp(prefix="hub-pg-", dir="/tmp"))
    folder.chmod(0o755)
    made = Server(folder, connections=connections)
    try:
        try:
            made.make()
        except FileNotFoundError as error:
            if os.environ.get("HUB_TEST_REQUIRE_SERVICES") == "1":
                raise
            pytest.skip(f"no PostgreSQL to start: {error}")
        try:
            yield made
        finally:
            made.control("stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
