"""Lines a second that reach a run's log, from three threads of one flow on SQLite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.row import Row, median

_SCRIPT = """
import json, sys, time
from benchmarks.flows import writes_lines
each, times = map(int, sys.argv[1:])
writes_lines(10)
found = []
for _ in range(times):
    began = time.perf_counter()
    writes_lines(each)
    found.append(3 * each / (time.perf_counter() - began))
print(json.dumps(found))
"""


def measure(quick: bool) -> list[Row]:
    """The whole flow, from its call until every line is committed."""
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT, "10000", "3" if quick else "7"],
            env={**environment, "HUB_HOME": folder}, cwd=Path(__file__).parents[1], capture_output=True, text=True,
            timeout=600,
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found = json.loads(done.stdout.splitlines()[-1])
    return [Row("log lines a second, three threads", median(found), "/s", 10_000, better="more")]
