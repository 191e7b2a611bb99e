"""The crawl example on a site of the test's own: a limit, Retry-After, a kill after which no page is fetched again."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.acceptance.conftest import Site as Hub
from tests.acceptance.conftest import wait_until
from tests.acceptance.typed import EXAMPLES, given, hub, logged, rows, run_example, tasks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]
LINKS = {"/": ["a", "/b#top", "c"], "/a": ["/", "/slow", "http://elsewhere.invalid/"], "/b": ["/busy", "/gone"]}


class Pages(ThreadingHTTPServer):
    """A site of seven pages: one is busy the first time, one is gone, one answers when it is let. And a closed one."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.asked: list[tuple[str, float]] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.go = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def times(self) -> Counter[str]:
        return Counter(path for path, _ in self.asked)


class _Answer(BaseHTTPRequestHandler):
    server: Pages

    def do_GET(self) -> None:
        with self.server.lock:
            first = self.server.times()[self.path] == 0
            self.server.asked.append((self.path, time.monotonic()))
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
        if self.path == "/slow":
            self.server.go.wait(100)
        links = "".join(f'<p><a href="{link}">to it</a>' for link in LINKS.get(self.path, []))
        body = f"<html><title>Page {self.path}</title><body>{links}</body></html>".encode()
        with self.server.lock:
            self.server.at_once -= 1
        if self.path == "/busy" and first:
            self.send_response(429)
            self.send_header("Retry-After", "2")
            body = b"later"
        else:
            self.send_response({"/gone": 404, "/closed": 403}.get(self.path, 200))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            return  # who asked was killed

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def pages() -> Iterator[Pages]:
    server = Pages()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.go.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _titles(pages: Pages, *paths: str) -> dict[str, str]:
    return {**{f"{pages.url}{path}": f"Page /{path}" for path in paths}, f"{pages.url}gone": "(gone)"}


def test_it_keeps_to_the_limit_and_to_what_a_busy_site_says(site: Hub, pages: Pages) -> None:
    pages.go.set()
    hub(site, "limits", "create", "crawl", "--rate", "50/1s", "--slots", "1")
    found = run_example(site, "crawl.py:crawl", start=pages.url)
    assert found == _titles(pages, "", "a", "b", "c", "slow", "busy")
    assert pages.times() == {"/": 1, "/a": 1, "/b": 1, "/c": 1, "/slow": 1, "/busy": 2, "/gone": 1}
    assert pages.most_at_once == 1
    busy = [when for path, when in pages.asked if path == "/busy"]
    assert busy[1] - busy[0] > 1.9, "Retry-After said two seconds"
    (run,) = rows(site)
    assert "7 pages, 0 of this level could not be read" in logged(site, run["id"])
    assert set(tasks(site, run["id"]).values()) == {"Completed"}
    told = hub(site, "run", str(EXAMPLES / "crawl.py:crawl"), "-p", f"start={pages.url}closed", fails=True)
    assert "closed could be read" in told
    assert pages.times()["/closed"] == 1, "what is forbidden stays so"


def test_after_a_kill_it_fetches_no_page_again(site: Hub, pages: Pages) -> None:
    site.up("--slots", "1")
    hub(site, "deploy", str(EXAMPLES / "crawl.py:crawl"))
    hub(site, "deployments", "run", "crawl", *given({"start": pages.url}))
    (run,) = rows(site)
    fetched = {f"fetch {pages.url}{path}" for path in ("", "a", "b", "c", "busy", "gone")}
    done = lambda: {name for name, state in tasks(site, run["id"]).items() if state == "Completed"}  # noqa: E731
    wait_until(lambda: done() >= fetched and pages.times()["/slow"], 60, site.logs())
    before = pages.times()
    site.kill("runs")
    wait_until(lambda: site.row(run["id"])["attempt"] == 2 and pages.times()["/slow"] == 2, 60, site.logs())
    pages.go.set()
    site.wait_ended([run["id"]])
    assert json.loads(site.row(run["id"])["result"]) == _titles(pages, "", "a", "b", "c", "slow", "busy")
    assert pages.times() - before == {"/slow": 1}, "the page in the middle, and no other"
