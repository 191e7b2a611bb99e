"""The same flow in Prefect, where there is an interpreter that has it, beside ours in the same run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from typing import Any

from benchmarks.row import Row, median
from benchmarks.tasks import without_settings

VARIABLE = "HUB_BENCH_PREFECT_PYTHON"
_LIMIT_S = 240.0
OURS = """
from benchmarks.flows import mapped, one_after_another as called
version = ""
"""
_PREFECT = """
from prefect import __version__ as version, flow, task

@task
def nothing(number):
    return number

@flow
def called(count):
    for number in range(count):
        nothing(number)

@flow
def mapped(count):
    return len(nothing.map(range(count)).result())
"""
# Warm first: neither the imports nor the start of a server are measured.
_MEASURE = """
import json, sys, time
count, times = map(int, sys.argv[1:])
found = {"version": version}
for name, one in (("called", called), ("mapped", mapped)):
    one(10)
    found[name] = []
    for _ in range(times):
        began = time.perf_counter()
        one(count)
        found[name].append(time.perf_counter() - began)
print(json.dumps(found))
"""


def measure(quick: bool) -> list[Row]:
    """A flow of 1,000 no-op tasks called one by one, then mapped, on SQLite; each as it comes, with its defaults."""
    python = os.environ.get(VARIABLE)
    if not python:
        print(f"Prefect is left out: {VARIABLE} names no interpreter that has it", file=sys.stderr)
        return []
    count = 200 if quick else 1_000
    theirs = timed(python, _PREFECT, count, 1)
    ours = timed(sys.executable, OURS, count, 3)
    ways = {"called": f"flow of {count:,} tasks", "mapped": f"flow of {count:,} mapped tasks"}
    return [
        Row(f"Prefect: {told}", median(theirs[way]), "s", None, median(ours[way]), "Hubspoke", note=theirs["version"])
        for way, told in ways.items()
    ]


def timed(python: str, flows: str, count: int, times: int, limit: float = _LIMIT_S) -> dict[str, Any]:
    """Seconds of each turn, by the way of calling. Raises RuntimeError when it fails or takes over `limit` seconds."""
    with tempfile.TemporaryDirectory(prefix="hub-bench-", ignore_cleanup_errors=True) as folder:
        try:
            process = subprocess.Popen(
                [python, "-c", flows + _MEASURE, str(count), str(times)],
                env=_environment(folder), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise RuntimeError(f"{python} (from {VARIABLE}) could not be started: {error}") from None
        with process:
            out, error_text = _ended(process, limit)
    if process.returncode:
        raise RuntimeError(f"{python} ended with {process.returncode}: {error_text[-2000:].strip()}")
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def _ended(process: subprocess.Popen[str], limit: float) -> tuple[str, str]:
    try:
        return process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{process.args[0]} took longer than {limit:g} s") from None
    finally:
        with suppress(ProcessLookupError):  # a server of its own may be left
            os.killpg(process.pid, signal.SIGKILL)


def _environment(folder: str) -> dict[str, str]:
    mine = without_settings()
    kept = {name: value for name, value in mine.items() if not name.startswith(("PREFECT_", "PYTHON"))}
    return kept | {
        "HUB_HOME": folder,
        "PREFECT_HOME": folder,
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
