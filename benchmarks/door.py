"""Webhooks a second that are verified, deduplicated and on disk before they are answered, on 32 connections: by one
process, by two on one port, and while ten automations fire for each."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub.testing.demo.site import Site, free_port

from benchmarks.row import Row
from benchmarks.throughput import PLACES, everywhere

FLOWS = str(Path(__file__).with_name("flows.py"))
ROOT = Path(__file__).parents[1]
SECRET = "benchmark-secret-of-32-characters"


def measure(quick: bool) -> list[Row]:
    """On SQLite and on PostgreSQL: the floor, the door alone, the whole hub with ten automations on each request; one
    after the other with the same load generator."""
    seconds = 4.0 if quick else 10.0
    bare = _floor("bare", "", seconds)
    return everywhere(lambda place: _rows(place, seconds, bare))


def _rows(place: str, seconds: float, bare: dict[str, Any]) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder, PLACES[place]() as settings:
        where = settings.get("database_url", f"{folder}/floor.db")
        floor = _floor(place.lower(), where, seconds)
    named = (floor["rate"], "bare FULL group commit" if place == "SQLite" else "bare group commit")
    rows = []
    for what, command, rules in _HUBS:
        with PLACES[place]() as settings:
            found = _door(seconds, settings, command, rules)
        more, slowest = f"bare Starlette {bare['rate']:,.0f}/s", f"p50 {found['p50']:.1f} ms"
        title = f"webhooks accepted a second, {place}{what}"
        rows.append(Row(title, found["rate"], "/s", None, *named, "more", budget_ratio=0.6, note=more))
        title = f"webhook accepted, p99, {place}{what}"
        rows.append(Row(title, found["p99"], "ms", 25, floor["p99"], named[1], note=slowest))
    return rows


_HUBS: tuple[tuple[str, tuple[str, ...], int], ...] = (
    ("", ("web", "--door"), 0),
    (", 2 processes", ("web", "--door", "--processes", "2"), 0),
    (", 10 automations", ("up",), 10),
)


def _door(seconds: float, settings: dict[str, str], command: tuple[str, ...], rules: int) -> dict[str, Any]:
    with Site(settings, command=command) as site:
        source = site.prepare("webhooks", "create", "bench", "--preset", "github", "--rate", "1000000")
        site.start()
        if rules:
            automate(site, rules)
        found = load(site.port, "/in/" + str(source["url"]).rpartition("/in/")[2], seconds, str(source["secret"]))
    wrong = {status for status in found["statuses"] if not status.startswith("2")}
    if wrong:
        raise RuntimeError(f"the door answered {found['statuses']}")
    return found


def automate(site: Site, count: int) -> None:
    """So many automations, each of which makes a run of every push. The runs wait in a paused queue: what is measured
    is the hub, not so many flows on the same processors."""
    site.run("queues", "set", "waiting", "--paused")
    site.run("deploy", f"{FLOWS}:one_task", "--name", "waiting", "--queue", "waiting")
    for number in range(count):
        site.run("automations", "create", f"rule-{number}", "--on", "github.push", "--run", "waiting")


def _floor(mode: str, where: str, seconds: float) -> dict[str, Any]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.floor_web", mode, str(port), where, SECRET]
    with _process(command, port):
        return load(port, "/in/floor", seconds, SECRET)


def load(port: int, path: str, seconds: float, secret: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.load", str(port), path, "32", str(seconds), secret]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds + 60)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def _process(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, cwd=ROOT, env=dict(os.environ), stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)
