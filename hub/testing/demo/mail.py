"""A mailbox on loopback: as much of an SMTP server as it takes to receive an alert."""

from __future__ import annotations

import email
import email.policy
import queue
import socketserver
import threading
from email.message import EmailMessage
from typing import Self

_LIMIT = 1_000_000


class Mailbox:
    """Receives mail on `port` of `host` while it is open; 0 takes a free one."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._mail: queue.Queue[EmailMessage] = queue.Queue(100)
        self._server = socketserver.ThreadingTCPServer((host, port), _Session)
        self._server.daemon_threads = True
        self._server.mail = self._mail  # type: ignore[attr-defined]
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="hub-demo-mail", daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def next(self, timeout: float) -> EmailMessage | None:
        """The next mail; None when none arrives within `timeout` seconds."""
        try:
            return self._mail.get(timeout=timeout)
        except queue.Empty:
            return None


class _Session(socketserver.StreamRequestHandler):
    timeout = 30

    def handle(self) -> None:
        self._say("220 hub demo")
        while line := self.rfile.readline(4096):
            verb = line[:4].upper().strip()
            if verb == b"QUIT":
                return self._say("221 bye")
            if verb == b"DATA":
                self._say("354 go on")
                self._receive()
            self._say("250 hub-demo" if verb in (b"HELO", b"EHLO") else "250 ok")
        return None

    def _receive(self) -> None:
        lines: list[bytes] = []
        size = 0
        while (line := self.rfile.readline(8192)) not in (b".\r\n", b".\n", b""):
            size += len(line)
            if size <= _LIMIT:
                lines.append(line[1:] if line.startswith(b"..") else line)
        message = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
        self.server.mail.put(message)  # type: ignore[attr-defined]

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")
