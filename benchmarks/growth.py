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
how, few, many = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
flows.one_after_another(100)
short = [flows.growing(how, few) for _ in range(7)]
long = flows.growing(how, many)
# Machines change their pace within seconds: those after it count as much as those before.
print(json.dumps(short + [flows.growing(how, few) for _ in range(7)] + [long]))
"""
_HOW = {"called": "called one by one", "submitted": "submitted, results dropped", "mapped": "mapped over a generator"}


def measure(quick: bool) -> list[Row]:
    """1,000 and 100,000 tasks in one flow, in three ways; the memory is what the process has more at the end."""
    few, many = 1_000, 20_000 if quick else 100_000
    return [row for how in _HOW for row in _rows(how, few, many)]


def _rows(how: str, few: int, many: int) -> list[Row]:
    *short, long = _run(how, few, many)
    told, note = f"{many:,} tasks {_HOW[how]}", "after the first 10,000, which fill the caches"
    floor = median([each for each, _ in short]) * 1e6
    return [
        Row(f"{told}: each", long[0] * 1e6, "µs", None, floor, f"of {few:,}", budget_ratio=1.2),
        Row(f"{told}: memory growth", long[1], "MB", 10, note=note),
    ]


def _run(how: str, few: int, many: int) -> list[tuple[float, float]]:
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder:
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT, how, str(few), str(many)],
            env=without_settings() | {"HUB_HOME": folder}, cwd=Path(__file__).parents[1], capture_output=True,
            text=True, timeout=200,
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return [(each, grown) for each, grown in found]
