"""The example in several languages against a real HTTP server: a busy moment, a file of orders, a result."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hub.errors import ProgramFailed
from hub.runtime.loader import load_flow

EXAMPLE = Path(__file__).parents[2] / "examples/polyglot.py"


class _Api(BaseHTTPRequestHandler):
    busy = True

    def do_GET(self) -> None:
        busy, type(self).busy = type(self).busy, False
        body = b"" if busy else json.dumps({"EUR": 1.0, "USD": 0.5}).encode()
        self.send_response(429 if busy else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[int]:
    """The port of an API that is busy once."""
    _Api.busy = True
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Api)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def test_an_api_a_program_and_python_make_one_pipeline(api: int, tmp_path: Path) -> None:
    (tmp_path / "2026-11-26.csv").write_text("1,EUR,10.5\n2,USD,4\n3,EUR,1.5\n")
    polyglot = load_flow(f"{EXAMPLE}:polyglot")
    assert polyglot(port=api, folder=str(tmp_path)) == 14.0
    assert json.loads((tmp_path / "2026-11-26.json").read_text()) == {"worth": 14.0}
    assert not _Api.busy, "the busy answer was met and retried"
    with pytest.raises(ProgramFailed, match="exit code 2"):
        polyglot(port=api, folder=str(tmp_path), day="2026-11-27")
