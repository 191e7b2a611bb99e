"""A link to a plane: a backlog drained, how far the plane is behind, and what reporting a run costs the site."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from hub.settings import load_settings
from hub.store import open_hub, runs
from hub.testing.demo.site import Site, until
from hub.types import Scope, from_rfc3339, new_id

from benchmarks.footprint import cpu, tree
from benchmarks.outage import FLOWS
from benchmarks.row import Row, percentile

SCOPE = Scope()
SETTINGS = {"sync_longest_wait": "1"}


def measure(quick: bool) -> list[Row]:
    """50,000 events that came while the plane was away (5,000 in the short look); single runs, and many at once."""
    backlog, single, many = (5_000, 20, 200) if quick else (50_000, 60, 1_000)
    with Site(command=("web",)) as plane, Site(SETTINGS) as site:
        plane.start()
        site.start()
        site.run("deploy", f"{FLOWS}:one_task", "--name", "short")
        _reporting(site, 20)  # warm
        alone = _reporting(site, many)
        token = plane.json("sites", "create", "berlin")["token"]
        site.run("cloud", "connect", plane.url, token)
        until("the link", lambda: _lag(site) == 0)
        linked = _reporting(site, many)
        lags = [_behind(plane, site) for _ in range(single)]
        rate = _drained(plane, site, backlog)
    return [
        Row("link, backlog drained", rate, "events/s", note=f"{backlog:,} events"),
        Row("link, plane behind its site, p50", percentile(lags, 0.5), "ms", 300, note=f"{single} runs, one by one"),
        Row("link, plane behind its site, p99", percentile(lags, 0.99), "ms"),
        Row("link, CPU time at the site for a run", (linked - alone) * 1000, "ms", 1,
            note=f"{many:,} at once; upkeep: {linked * 1000:.1f} ms with a link, {alone * 1000:.1f} without"),
    ]  # fmt: skip


def _lag(site: Site) -> int:
    (link,) = site.client.get("/links")["items"]
    return int(link["lag"])


def _behind(plane: Site, site: Site) -> float:
    """Milliseconds from the end of a run until its plane shows it."""
    run = site.client.post("/deployments/short/runs", {})["id"]
    path = f"/sites/berlin/runs/{run}"

    def shown() -> bool:
        found = plane.http.get(f"{plane.url}/api/v1{path}")
        return found.is_success and found.json()["state_type"] == "COMPLETED"

    until("the plane to show the run", shown)
    now = time.time()
    ended: str = site.client.get(f"/runs/{run}")["ended_at"]
    return max(0.0, now * 1000 - from_rfc3339(ended) / 1000)


def _reporting(site: Site, count: int) -> float:
    """CPU seconds that upkeep, which carries links, needs for a run."""
    (upkeep,) = [pid for pid in tree(site.pid) if _name(pid) == "hub upkeep"]
    before, began = cpu([upkeep]), time.monotonic()
    ids = [site.client.post("/deployments/short/runs", {})["id"] for _ in range(count)]
    for run in ids:
        path = f"/runs/{run}"
        until("the run to end", lambda path=path: site.client.get(path)["state_type"] == "COMPLETED", seconds=300)  # type: ignore[misc]
    time.sleep(1)  # the last of them are reported
    used, took = cpu([upkeep]) - before, time.monotonic() - began
    # What it uses while nothing happens is not the runs'.
    before = cpu([upkeep])
    time.sleep(took)
    return max(0.0, used - (cpu([upkeep]) - before)) / count


def _name(pid: int) -> str:
    with open(f"/proc/{pid}/comm") as file:
        return file.read().strip()


def _drained(plane: Site, site: Site, backlog: int) -> float:
    """Events a second that a plane takes which was away."""
    os.killpg(plane.pid, signal.SIGKILL)
    plane.wait()
    store = open_hub(load_settings({"home": site.home}, environ={}))
    try:
        for beginning in range(0, backlog, 500):
            with store.write() as tx:
                for number in range(beginning, beginning + 500):
                    runs.create(tx, SCOPE, _row(number))
            if beginning % 5_000 == 0:
                store.wake(("stamp",))
    finally:
        store.close()
    until("all events to be stamped", lambda: _pause(1.0) or _lag(site) >= backlog, seconds=300)
    before = _lag(site)
    plane.start()
    until("the plane to take something", lambda: _lag(site) < before, seconds=60)
    began, first = time.monotonic(), _lag(site)
    until("the plane to have everything", lambda: _pause(0.2) or _lag(site) == 0, seconds=600)
    return first / (time.monotonic() - began)


def _pause(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _row(number: int) -> dict[str, Any]:
    return {
        "id": new_id(), "name": f"old-{number}", "flow_name": "old", "home": "inline", "attempt": 1,
        "state_type": "COMPLETED", "state_name": "Completed",
    }  # fmt: skip
