"""The ETL example against a real HTTP server: pages, a busy moment, dirty rows, a database."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hub.runtime.loader import load_flow

EXAMPLE = Path(__file__).parents[2] / "examples/etl.py"
PAGES: list[list[dict[str, Any]]] = [
    [
        {"id": 1, "customer": "Ada", "amount": "10.5", "updated": "2026-01-01"},
        {"id": 1, "customer": "Ada", "amount": "12.5", "updated": "2026-01-02"},
        {"id": 2, "customer": "Grace", "amount": "free", "updated": "2026-01-01"},
    ],
    [
        {"id": 3, "customer": "Ada", "amount": 7.5, "updated": "2026-01-03"},
        {"id": 4, "customer": "Grace", "amount": 1, "updated": "2026-01-03"},
    ],
    [],
]


class _Api(BaseHTTPRequestHandler):
    busy = True

    def do_GET(self) -> None:
        page = int(parse_qs(urlsplit(self.path).query)["page"][0])
        if page == 2 and type(self).busy:
            type(self).busy = False
            self.send_error(503)
            return
        body = json.dumps(PAGES[page - 1]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[str]:
    """The address of an API that is busy once."""
    _Api.busy = True
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Api)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/orders"
    finally:
        server.shutdown()
        server.server_close()


def test_it_loads_totals_and_a_second_run_leaves_the_same(api: str, tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="the example uses pandas, which is not installed")
    database = tmp_path / "orders.sqlite3"
    etl = load_flow(f"{EXAMPLE}:etl")
    for _ in range(2):
        assert etl(url=api, database=str(database)) == 2
        with closing(sqlite3.connect(database)) as connection:
            rows = connection.execute("SELECT customer, orders, amount FROM totals ORDER BY customer").fetchall()
        assert rows == [("Ada", 2, 20.0), ("Grace", 1, 1.0)]
    assert not _Api.busy, "the busy answer was met and retried"
