"""Flows of very many tasks: what the last of them cost beside the first, in time and in memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.row import Row, median
from benchmarks.tasks import without_settings

_SCRIPT = """
import json, sys
from benchmarks import flows
how, few, many, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
flows.one_after_another(100)
# Machines change their pace within seconds: each long one has short ones before it and after.
short, long = [flows.growing(how, few) for _ in range(7)], []
for _ in range(times):
    long.append(flows.growing(how, many))
    short += [flows.growing(how, few) for _ in range(7)]
print(json.dumps([short, long]))
"""
_HOW = {"called": "called one by one", "submitted": "submitted, results dropped", "mapped": "mapped over a generator"}


def measure(quick: bool) -> list[Row]:
    """1,000 and 100,000 tasks in one flow, in three ways; the memory is what the process has more at the end."""
    few, many = 1_000, 20_000 if quick else 100_000
    return [row for how in _HOW for row in _rows(how, few, many, 1 if quick else 3)]


def _rows(how: str, few: int, many: int, times: int) -> list[Row]:
    short, long = _run(how, few, many, times)
    told, note = f"{many:,} tasks {_HOW[how]}", "after the first 10,000, which fill the caches"
    floor, taken = median([each for each, _ in short]) * 1e6, median([each for each, _ in long]) * 1e6
    return [
        Row(f"{told}: each", taken, "µs", None, floor, f"of {few:,}", budget_ratio=1.2),
        Row(f"{told}: memory growth", max(grown for _, grown in long), "MB", 10, note=note),
    ]


def _run(how: str, few: int, many: int, times: int) -> list[list[tuple[float, float]]]:
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder:
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT, how, str(few), str(many), str(times)],
            env=without_settings() | {"HUB_HOME": folder}, cwd=Path(__file__).parents[1], capture_output=True,
            text=True, timeout=400,
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return [[(each, grown) for each, grown in some] for some in found]
