"""Servers that stand for a vendor's service: real HTTP on a free port, where an answer may be lost after its effect."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Asked:
    """A request. `target` is the path with the query; names of headers are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The path alone."""
        return urlsplit(self.target).path


@dataclass
class Answer:
    """What is answered; its length is told by itself."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def as_json(status: int, headers: Mapping[str, str], value: Any) -> Answer:
    """An answer of JSON; of None, an empty one."""
    body = b"" if value is None else json.dumps(value).encode()
    return Answer(status, {"content-type": "application/json", **headers}, body)


@contextmanager
def serving(answer: Callable[[Asked], Answer | None]) -> Iterator[str]:
    """Serve while the block runs; gives the address. Asks `answer` one request after the other; None: the connection
    is cut, and whoever has asked does not hear what came of it."""
    one_by_one = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with one_by_one:
                said = answer(Asked(self.command, self.path, headers, body))
            if said is None:
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(said.status)
            length = {} if said.status == 204 else {"content-length": str(len(said.body))}
            for name, value in {**length, **said.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(said.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_HEAD = do_DELETE = do_any

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (OSError, ValueError):
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
