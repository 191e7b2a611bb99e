"""The promises made outside, on real processes: a 202 holds, a plugin harms nobody, the door faces the world alone."""

from __future__ import annotations

import http.client
import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from hub.store import runs

from .conftest import SCOPE, Site, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
SECRET = "acceptance-secret"


def hub(site: Site, *words: str) -> Any:
    """Run a `hub` command on the site, and give the JSON it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "hub.cli", *words],
        env=site.env, cwd=site.home.parent, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr + site.logs()
    return json.loads(done.stdout) if "--json" in words else done.stdout


def address(site: Site) -> str:
    """Where the site's web process listens."""

    def look() -> Any:
        return re.search(r"http://127\.0\.0\.1:\d+", site.logs())

    return str(wait_until(look, what="the address is printed")[0])


def make_door(site: Site) -> str:
    """A source and an automation that starts `quick`; gives the path of the source."""
    site.deploy("quick")
    # In this preset the secret itself travels: what is signed is tested with the presets.
    made = hub(site, "webhooks", "create", "outside", "--preset", "token", "--secret", SECRET, "--json")
    mapping = ("-p", f"folder={site.folder}", "-p", "key==body.key")
    hub(site, "automations", "create", "go", "--on", "token.*", "--run", "quick", *mapping)
    return "/in/" + str(made["url"]).rpartition("/in/")[2]


def headers(host: str = "") -> dict[str, str]:
    given = {"X-Webhook-Token": SECRET, "Authorization": f"Bearer {SECRET}", "content-type": "application/json"}
    return given | ({"Host": host} if host else {})


def runs_of(site: Site) -> list[dict[str, Any]]:
    with site.store.read() as tx:
        return runs.listing(tx, SCOPE, limit=50).items


def test_a_web_process_killed_right_after_its_202_has_lost_nothing(site: Site) -> None:
    site.up()
    url = address(site) + make_door(site)
    for number in range(3):
        answer = httpx2.post(url, content=json.dumps({"key": f"k{number}"}), headers=headers(), timeout=20)
        (web, *_) = site.pids("web")
        site.kill("web")
        assert answer.status_code == 202, answer.text
        found = wait_until(lambda count=number + 1: _when(runs_of(site), count), 40, site.logs())
        wait_until(lambda old=web: [pid for pid in site.pids("web") if pid != old], 30, "another web process")
        wait_until(lambda: _answers(url), 30, "the web process answers again")
    site.wait_ended([run["id"] for run in found])
    assert [site.marks(f"second-k{number}") for number in range(3)] == [1, 1, 1]
    assert len(runs_of(site)) == 3


def _when(found: list[Any], count: int) -> list[Any]:
    return found if len(found) >= count else []


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url.partition("/in/")[0] + "/healthz", timeout=2).status_code == 200
    except httpx2.HTTPError:
        return False


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("raise", "told to raise"),
        ("hang", "did not end within"),
        ("import_error", "told to fail at its import"),
    ],
)
def test_a_plugin_that_misbehaves_harms_no_run_and_is_named(
    make_site: Callable[..., Site], mode: str, said: str
) -> None:
    site = make_site(ECHO_MODE=mode)
    site.up()
    site.deploy("quick")
    site.wait_ended([site.run("quick", "a")])
    assert site.marks("second-a") == 1

    def trouble() -> str:
        (row,) = [row for row in hub(site, "plugins", "ls", "--json") if row["name"] == "echo"]
        return f"{row['problem']} {row['last_error']}"

    assert wait_until(lambda: said in trouble() and trouble(), 60, site.logs())


@pytest.mark.long("raise", "hang")
@pytest.mark.parametrize("mode", ["raise", "hang", "import_error"])
def test_the_demo_passes_with_a_plugin_that_misbehaves(site: Site, mode: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hub.cli", "demo"],
        env={**site.env, "ECHO_MODE": mode}, capture_output=True, text=True, timeout=150, cwd=site.home.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def reverse_proxy(target: str) -> Iterator[str]:
    """A real proxy that keeps the Host it was called by, as most are set up."""
    place = target.removeprefix("http://")

    class Handler(http.server.BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            onward = http.client.HTTPConnection(place, timeout=20)
            onward.request(self.command, self.path, body, dict(self.headers.items()))
            answer = onward.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            onward.close()

        do_GET = do_POST = _pass_on

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_through_a_proxy_a_foreign_host_reaches_the_door_and_nothing_else(site: Site) -> None:
    site.up()
    path = make_door(site)
    with reverse_proxy(address(site)) as outside:
        sent = httpx2.post(outside + path, content=b'{"key": "far"}', headers=headers("hooks.example.com"), timeout=20)
        refused = [
            httpx2.get(outside + page, headers={"Host": "hooks.example.com"}, timeout=20).status_code
            for page in ("/", "/ui", "/ui/runs", "/api/v1/runs", "/api/v1/openapi.json")
        ]
    assert sent.status_code == 202
    assert refused == [421] * 5
    site.wait_marks("second-far")
