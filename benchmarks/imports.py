"""What it costs to import a flow, and to ask the command line for help."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.fresh import seconds
from benchmarks.row import Row, median


def measure(quick: bool) -> list[Row]:
    """Fresh processes; medians."""
    times = 7 if quick else 21
    hub = str(Path(sys.executable).with_name("hub"))
    python = median(seconds([sys.executable, "-c", "pass"], times)) * 1000
    imported = median(seconds([sys.executable, "-c", "from hub import flow, task"], times)) * 1000
    rows = [Row("from hub import flow, task", imported, "ms", 60, python, "interpreter")]
    for option in ("--help", "--version"):
        taken = median(seconds([hub, option], times)) * 1000
        rows.append(Row(f"hub {option}", taken, "ms", 250, python, "interpreter"))
    return rows
