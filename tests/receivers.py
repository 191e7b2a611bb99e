"""A real HTTP server that takes webhooks: what it got, and what it is to answer."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


@dataclass(frozen=True)
class Got:
    """A request."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`answer` says what the request of a number (from 1) gets: (status, headers, body)."""

    port: int
    got: list[Got] = field(default_factory=list)
    answer: Callable[[int], tuple[int, dict[str, str], bytes]] = lambda _number: (204, {}, b"")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@contextmanager
def receiver(*statuses: int, **headers: str) -> Iterator[Receiver]:
    """Answers with these statuses in turn, the last one for ever."""
    made = Receiver(0)
    if statuses:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        made.answer = lambda number: (statuses[min(number, len(statuses)) - 1], named, b"")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            seen = {name.lower(): value for name, value in self.headers.items()}
            made.got.append(Got(self.path, seen, body))
            status, more, said = made.answer(len(made.got))
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def holds(key: dict[str, str], headers: dict[str, str], body: bytes) -> bool:
    """Verify as the specification says it, with nothing of the hub's."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    for item in headers["webhook-signature"].split(" "):
        scheme, _, text = item.partition(",")
        raw = base64.b64decode(text)
        if scheme != key["scheme"]:
            continue
        if scheme == "v1":
            secret = base64.b64decode(key["key"].removeprefix("whsec_"))
            if hmac.compare_digest(hmac.new(secret, signed, hashlib.sha256).digest(), raw):
                return True
        else:
            public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key["key"].removeprefix("whpk_")))
            try:
                public.verify(raw, signed)
            except Exception:
                continue
            return True
    return False
