"""A burst: so many webhooks as fast as 64 connections send them, each of which starts a run. Counts what came of them,
and the most memory that the hub's processes had."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub.testing.demo.site import Site, until

from benchmarks.footprint import pss, tree
from benchmarks.load import run as load
from benchmarks.row import Row
from benchmarks.throughput import PLACES, everywhere

FLOWS = str(Path(__file__).with_name("flows.py"))
CONNECTIONS = 64
DRAIN_S = 900.0


def measure(quick: bool) -> list[Row]:
    """On SQLite and on PostgreSQL with Redis. Raises RuntimeError when anything was lost or happened twice."""
    count = 2_000 if quick else 20_000
    return everywhere(lambda place: _rows(place, count))


def _rows(place: str, count: int) -> list[Row]:
    with PLACES[place]() as settings, Site(settings) as site:
        site.start()
        site.run("deploy", f"{FLOWS}:one_task", "--name", "one")
        source = site.json("webhooks", "create", "bench", "--preset", "github", "--rate", "1000000")
        site.run("automations", "create", "bench", "--on", "github.push", "--run", "one")
        site.run("deployments", "run", "one", "--wait")
        idle = _memory(site)
        address = "/in/" + str(source["url"]).rpartition("/in/")[2]
        with _watched(site) as most:
            began = time.monotonic()
            sent = asyncio.run(load(site.port, address, CONNECTIONS, 600, str(source["secret"]), count))
            runs = until(f"{count} runs to end", lambda: _all_ended(site, count + 1), seconds=DRAIN_S)
            drained = time.monotonic() - began
    _check(sent, runs, count)
    note = f"{count:,} at {sent['rate']:,.0f}/s, p99 {sent['p99']:.0f} ms"
    return [
        Row(f"burst on {CONNECTIONS} connections until every run had ended, {place}", drained, "s", note=note),
        Row(f"most memory (PSS) meanwhile, {place}", most() / 1024, "MB", note=f"before {idle / 1024:.0f} MB"),
    ]


def _check(sent: dict[str, Any], runs: dict[str, int], count: int) -> None:
    if sent["statuses"] != {"202": count}:
        raise RuntimeError(f"of {count} requests: {sent['statuses']}")
    if runs != {"COMPLETED": count + 1}:
        raise RuntimeError(f"{count} requests made {runs}")


def _all_ended(site: Site, count: int) -> dict[str, int] | None:
    """How many runs there are by state, once there are so many and all have ended."""
    time.sleep(1)  # asking is work too
    for state in ("SCHEDULED", "PENDING", "RUNNING"):
        if next(iter(site.client.items("/runs", {"state": state}, limit=1)), None) is not None:
            return None
    found = Counter(str(run["state_type"]) for run in site.client.items("/runs", limit=2 * count))
    return dict(found) if found.total() >= count else None


def _memory(site: Site) -> int:
    found = 0
    for pid in tree(site.pid):
        try:
            found += pss(pid)
        except OSError:
            continue  # it ended meanwhile
    return found


@contextmanager
def _watched(site: Site) -> Iterator[Callable[[], int]]:
    """Look at the memory twice a second; gives what tells the most there was."""
    seen, ended = [0], threading.Event()

    def look() -> None:
        while not ended.wait(0.5):
            seen.append(_memory(site))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: max(seen)
    finally:
        ended.set()
        thread.join()
