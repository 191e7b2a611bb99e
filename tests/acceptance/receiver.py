"""A real `hub web` whose door strangers attack, and what must be true of it after every request."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub.runtime.presets import installed
from hub.settings import load_settings
from hub.store import Store, open_hub, receipts
from hub.testing.demo.site import free_port
from hub.types import SECOND, now_us
from hub.webhooks.request import WebhookRequest, header_pairs
from hub.webhooks.signing import sign
from tests.planes.doors import Made, make

PUSH = b'{"ref":"refs/heads/main","after":"abc"}'
EVENT = {"X-GitHub-Event": "push", "Content-Type": "application/json"}
READ_TIMEOUT_S = 1.5
MEMORY = 160 * 1024 * 1024
"""Bytes that the process may hold more than at its start, whatever is sent to it."""


@dataclass
class Answer:
    """What came back on a connection: its first status (0: none), and everything that was said."""

    said: bytes

    @property
    def status(self) -> int:
        return int(self.said.split(b" ")[1]) if self.said.startswith(b"HTTP/1.1 ") else 0

    @property
    def body(self) -> bytes:
        return self.said.partition(b"\r\n\r\n")[2]


@dataclass
class Receiver:
    """The process, its store, and sources to knock on."""

    process: subprocess.Popen[bytes]
    port: int
    store: Store
    log: Path
    sources: dict[str, Made] = field(default_factory=dict)
    memory_at_start: int = 0
    _count: int = 0

    def source(self, preset: str, **more: Any) -> Made:
        """A source of that preset (and these settings), made when it is first asked for."""
        name = "-".join([preset, *(f"{value}" for value in more.values() if isinstance(value, int | str))]).lower()
        name = "".join(letter if letter.isalnum() else "-" for letter in name)[:40]
        if name not in self.sources:
            self.sources[name] = make(self.store, preset, name=name, rate_per_minute=100_000, **more)
        return self.sources[name]

    def head(self, source: Made, headers: Mapping[str, str] | str = "", method: str = "POST", path: str = "") -> bytes:
        """The first line and headers of a request, ready for a body."""
        lines = (
            headers if isinstance(headers, str) else "".join(f"{name}: {text}\r\n" for name, text in headers.items())
        )
        return f"{method} {path or source.path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n{lines}\r\n".encode(
            "latin-1"
        )

    def signed(
        self, source: Made, body: bytes, headers: Mapping[str, str] | None = None, **more: Any
    ) -> dict[str, str]:
        """The headers of a request that the source's provider would send, with a delivery id of its own."""
        self._count += 1
        ident = f"delivery-{self._count}-{os.getpid()}"
        asked = {"X-GitHub-Delivery": ident, **EVENT, **(headers or {})}
        request = WebhookRequest("POST", "", header_pairs(asked), body)
        options = {"now": now_us(), "delivery_id": ident, "options": source.options, **more}
        secret = options.pop("secret", source.secret)
        return dict(sign(installed().get(source.preset), secret, request, **options).headers)

    def send(self, source: Made, body: bytes, headers: Mapping[str, str] | None = None, **more: Any) -> Answer:
        """A whole signed request; `headers` go over those of the signature."""
        extra = more.pop("over", {})
        given = {**self.signed(source, body, headers, **more), "Content-Length": str(len(body)), **extra}
        return self.talk(self.head(source, given) + body)

    def talk(self, data: bytes, *, seconds: float = 20) -> Answer:
        """Send bytes as they are and read until the hub closes."""
        said = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(data)
            with contextlib.suppress(ConnectionError):
                while chunk := connection.recv(65_536):
                    said += chunk
        return Answer(said)

    def kept(self) -> list[dict[str, Any]]:
        """All receipts, oldest first."""
        with self.store.read() as tx:
            found = tx.conn.execute(receipts.TABLE.select().order_by(receipts.TABLE.c.id)).mappings().all()
        return [dict(row) for row in found]

    def accepted(self) -> int:
        """How many requests were taken in."""
        return sum(row["verdict"] == "accepted" for row in self.kept())

    def check(self) -> None:
        """It goes on as if nothing had been: alive, no traceback, no more memory than a bound, and open."""
        assert self.process.poll() is None, self.log.read_text()
        assert "Traceback" not in self.log.read_text()
        assert memory(self.process.pid) - self.memory_at_start < MEMORY
        before = self.accepted()
        assert self.send(self.source("github"), PUSH).status == 202
        assert self.accepted() == before + 1


@contextlib.contextmanager
def receiving(folder: Path) -> Iterator[Receiver]:
    """Start `hub web` on a new home and stop it afterwards."""
    home, log = folder / "home", folder / "web.log"
    home.mkdir(parents=True)
    store = open_hub(load_settings({"home": str(home)}))
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    env |= {
        "HUB_HOME": str(home), "HUB_WEB_PORT": str(port), "HUB_DOOR_READ_TIMEOUT": str(READ_TIMEOUT_S),
        "HUB_DOOR_REJECTED_PER_MINUTE": "100000", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "hub.cli", "web"], env=env, stdout=out, stderr=out)
    try:
        _wait_until_it_answers(process, port, log)
        receiver = Receiver(process, port, store, log)
        assert receiver.send(receiver.source("github"), PUSH).status == 202
        receiver.memory_at_start = memory(process.pid)
        yield receiver
    finally:
        process.kill()
        process.wait(20)
        store.close()


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError(f"hub web does not answer:\n{log.read_text()}")


def memory(pid: int) -> int:
    """Resident bytes of a process; 0 where there is no /proc."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def long_ago(seconds: int) -> int:
    """A moment that many seconds before now, in microseconds."""
    return now_us() - seconds * SECOND
