"""Webhooks a second that are verified, deduplicated and on disk before they are answered, on 32 connections."""

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

ROOT = Path(__file__).parents[1]
SECRET = "benchmark-secret-of-32-characters"


def measure(quick: bool) -> list[Row]:
    """The door alone, then the two floors, one after the other with the same load generator."""
    seconds = 4.0 if quick else 10.0
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder:
        bare = _floor("bare", folder, seconds)
        group = _floor("group", folder, seconds)
    door = _door(seconds)
    wrong = {status for status in door["statuses"] if not status.startswith("2")}
    if wrong:
        raise RuntimeError(f"the door answered {door['statuses']}")
    return [
        Row(
            "webhooks accepted a second", door["rate"], "/s", None, group["rate"], "bare FULL group commit", "more",
            budget_ratio=0.6, note=f"bare Starlette {bare['rate']:,.0f}/s",
        ),
        Row(
            "webhook accepted, p99", door["p99"], "ms", 25, group["p99"], "bare FULL group commit",
            note=f"p50 {door['p50']:.1f} ms",
        ),
    ]  # fmt: skip


def _door(seconds: float) -> dict[str, Any]:
    with Site(command=("web", "--door")) as site:
        source = site.prepare("webhooks", "create", "bench", "--preset", "github", "--rate", "1000000")
        site.start()
        return _load(site.port, "/in/" + str(source["url"]).rpartition("/in/")[2], seconds, str(source["secret"]))


def _floor(mode: str, folder: str, seconds: float) -> dict[str, Any]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.floor_web", mode, str(port), f"{folder}/{mode}.db", SECRET]
    with _process(command, port):
        return _load(port, "/in/floor", seconds, SECRET)


def _load(port: int, path: str, seconds: float, secret: str) -> dict[str, Any]:
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
