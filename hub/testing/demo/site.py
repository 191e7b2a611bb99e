"""A hub of its own for the demo: real processes in a temporary home, asked through commands and the API."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx2

from hub.client import Client
from hub.errors import HubError, UnavailableError

T = TypeVar("T")
_START_S = 30.0


class Site:
    """Starts `hub up` (or another `command`) in a temporary home and ends it.

    `settings` are HUB_ variables without the prefix, in small letters. `within` are words that the command begins
    with, for one on a host of its own.
    """

    def __init__(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        command: tuple[str, ...] = ("up",),
        within: tuple[str, ...] = (),
    ) -> None:
        self._command = command
        self._within = within
        self._folder = tempfile.TemporaryDirectory(prefix="hub-demo-", ignore_cleanup_errors=True)
        self.home = Path(self._folder.name) / "home"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = {"HUB_HOME": str(self.home), "HUB_WEB_PORT": str(self.port)}
        self._settings |= {f"HUB_{name.upper()}": value for name, value in (settings or {}).items()}
        self._process: subprocess.Popen[bytes] | None = None
        self.client = Client(self.url)
        self.http = httpx2.Client(timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.client.close()
        self.http.close()
        self.stop()
        self._folder.cleanup()

    def start(self) -> float:
        """Start everything and wait for the first healthy answer; gives the seconds it took."""
        began = time.monotonic()
        self.home.parent.mkdir(exist_ok=True)
        with (self.home.parent / "up.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._within, sys.executable, "-m", "hub.cli", *self._command],
                env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        until("the hub to answer", self._ready, seconds=_START_S)
        return time.monotonic() - began

    def set(self, **settings: str) -> None:
        """Change settings, for what is started from now on."""
        self._settings |= {f"HUB_{name.upper()}": value for name, value in settings.items()}

    @property
    def pid(self) -> int:
        """Process id of the supervisor; 0 before the start."""
        return self._process.pid if self._process is not None else 0

    def stop(self) -> int | None:
        """Stop it in good order; gives its exit code."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            return self._process.wait(timeout=10)

    def wait(self) -> None:
        """Wait until it ends by itself or the caller is interrupted."""
        if self._process is not None:
            self._process.wait()

    def run(self, *words: str, stdin: str = "") -> str:
        """Run a command of `hub` against this hub and give what it printed. Raises HubError when it fails."""
        return self._run(self._environment() | {"HUB_API_URL": self.url}, words, stdin)

    def json(self, *words: str) -> Any:
        """As `run` with --json, read."""
        return json.loads(self.run(*words, "--json"))

    def prepare(self, *words: str) -> Any:
        """Run a command with --json before the start, on the store in the home, and read what it printed."""
        return json.loads(self._run(self._environment(), (*words, "--json"), ""))

    def _run(self, environment: Mapping[str, str], words: tuple[str, ...], stdin: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "hub.cli", *words],
            env=environment, input=stdin, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        if done.returncode:
            raise HubError(
                f"`hub {' '.join(words)}` failed ({done.returncode}): {(done.stderr or done.stdout).strip()}"
            )
        return done.stdout

    def log(self, lines: int = 15) -> str:
        """The last lines that the processes wrote."""
        try:
            return "\n".join((self.home.parent / "up.log").read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def _environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
        return own | self._settings

    def _ready(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise UnavailableError(f"`hub up` ended with {self._process.returncode}:\n{self.log()}")
        try:
            return self.http.get(f"{self.url}/healthz", timeout=1).status_code == 200
        except httpx2.TransportError:
            return False


def until(what: str, look: Callable[[], T | None], *, seconds: float = 20.0) -> T:
    """Look again and again until there is something. Raises UnavailableError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise UnavailableError(f"waited {seconds:g} s for {what}")
        time.sleep(0.02)
    return found


def free_port() -> int:
    """A port of loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
