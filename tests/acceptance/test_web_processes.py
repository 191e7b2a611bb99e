"""`hub web --processes`: several web processes on one port, and what it is like when one of them is killed."""

from __future__ import annotations

import os
import signal
import sys

import httpx2
import pytest
from hub.testing.demo.site import free_port

from .conftest import Site, wait_until

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]


def status(url: str) -> int:
    """Of an answer on a connection of its own; 0 for none."""
    try:
        return httpx2.get(url, timeout=60).status_code
    except httpx2.HTTPError:
        return 0


def test_several_processes_serve_one_port_and_replace_what_is_killed(site: Site) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/api/v1/runs"
    hub = site.start("web", "--processes", "2", "--port", str(port))
    wait_until(lambda: status(url) == 200, what=site.logs())

    def serving() -> list[int]:
        return [*site.pids("web-1"), *site.pids("web-2")]

    first = wait_until(lambda: found if len(found := serving()) == 2 else None)
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    # Those who come meanwhile wait: the sockets are held open for the processes that follow.
    assert status(url) == 200, site.logs()
    after = wait_until(lambda: found if len(found := serving()) == 2 else None)
    assert not set(first) & set(after)
    assert {status(url) for _ in range(20)} == {200}
    second = site.start("web", "--processes", "2", "--port", str(port))
    assert second.wait(60) != 0
    assert f"port {port} on 127.0.0.1 is taken" in site.logs()
    hub.send_signal(signal.SIGTERM)
    assert hub.wait(30) == 0
    assert not site.processes()
