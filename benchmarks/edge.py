"""A bare machine becomes a worker of a plane: how long until it takes runs, and how long a run placed there takes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub.testing.demo.site import Site, until

from benchmarks.row import Row, median, percentile
from benchmarks.tasks import without_settings

FLOWS = str(Path(__file__).with_name("flows.py"))


def measure(quick: bool) -> list[Row]:
    """Fresh homes, joined and started again; runs placed by a label, one after the other."""
    machines, runs = (1, 10) if quick else (3, 40)
    first, again, took = [], [], []
    with Site({}, command=("web",)) as plane:
        plane.start()
        for number in range(machines):
            with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder:
                token = plane.json("sites", "token")["token"]
                env = without_settings() | {"HUB_HOME": f"{folder}/edge", "HUB_SYNC_JOIN_TOKEN": token}
                _run(env, "deploy", f"{FLOWS}:one_task", "--name", "one")
                name = f"edge-{number}"
                with _worker(plane, env, name) as seconds:
                    first.append(seconds)
                    took += [_placed(plane, name) for _ in range(runs)]
                with _worker(plane, env, name) as seconds:
                    again.append(seconds)
    return [
        Row("hub worker --plane on a bare machine, until it takes runs", median(first), "s", 10),
        Row("the same, started again", median(again), "s", 10),
        Row("run placed on it, until the plane shows its end, p50", median(took) * 1000, "ms"),
        Row("run placed on it, until the plane shows its end, p99", percentile(took, 0.99) * 1000, "ms"),
    ]


def _run(env: dict[str, str], *words: str) -> None:
    subprocess.run([sys.executable, "-m", "hub.cli", *words], env=env, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def _worker(plane: Site, env: dict[str, str], name: str) -> Iterator[float]:
    """A worker that offers itself; gives the seconds that took."""
    words = ["worker", "--plane", plane.url, "--name", name, "-l", f"machine={name}"]
    before, began = _heard(plane, name), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "hub.cli", *words], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        until("the machine to offer itself", lambda: _heard(plane, name) > before, seconds=60)
        yield time.perf_counter() - began
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _heard(plane: Site, name: str) -> str:
    """When a site that takes runs was heard last; nothing where there is none."""
    found = [site for site in plane.client.page("/sites")[0] if site["name"] == name and site["takes_runs"]]
    return str(found[0]["last_seen_at"] or "") if found else ""


def _placed(plane: Site, name: str) -> float:
    began = time.perf_counter()
    placed = plane.client.post("/sites/runs", {"deployment": "one", "labels": {"machine": name}})
    until("the run to end", lambda: _is_over(plane, placed), seconds=60)
    return time.perf_counter() - began


def _is_over(plane: Site, placed: dict[str, Any]) -> bool:
    answer = plane.http.get(f"{plane.url}/api/v1/sites/{placed['site']}/runs/{placed['run_id']}")
    return answer.status_code == 200 and answer.json()["state_type"] == "COMPLETED"
