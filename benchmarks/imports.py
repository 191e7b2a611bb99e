"""What it costs to import a flow, and to ask the command line for help."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.row import Row, median


def measure(quick: bool) -> list[Row]:
    """Fresh processes; medians."""
    times = 7 if quick else 21
    hub = str(Path(sys.executable).with_name("hub"))
    python = median(_seconds([sys.executable, "-c", "pass"], times)) * 1000
    imported = median(_seconds([sys.executable, "-c", "from hub import flow, task"], times)) * 1000
    rows = [Row("from hub import flow, task", imported, "ms", 60, python, "interpreter")]
    for option in ("--help", "--version"):
        rows.append(
            Row(f"hub {option}", median(_seconds([hub, option], times)) * 1000, "ms", 250, python, "interpreter")
        )
    return rows


def _seconds(command: list[str], times: int) -> list[float]:
    found = []
    for _ in range(times + 1):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
        found.append(time.perf_counter() - began)
    return found[1:]
