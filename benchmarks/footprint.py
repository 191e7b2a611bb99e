"""What `hub up` costs: time to the first healthy answer, memory and CPU while nothing happens."""

from __future__ import annotations

import os
import time
from pathlib import Path

from hub.testing.demo.site import Site

from benchmarks.row import Row, median

_TICKS = os.sysconf("SC_CLK_TCK")


def measure(quick: bool) -> list[Row]:
    """Starts on a fresh home each time; memory is the proportional set size of the whole process tree."""
    starts = []
    for _ in range(1 if quick else 3):
        with Site() as site:
            starts.append(site.start())
    with Site() as site:
        starts.append(site.start())
        time.sleep(5)
        pids = tree(site.pid)
        seconds = 10 if quick else 60
        before, began = cpu(pids), time.monotonic()
        time.sleep(seconds)
        busy = (cpu(pids) - before) / (time.monotonic() - began) * 100
        memory = sum(pss(pid) for pid in pids) / 1024
    note = f"{len(pids)} processes"
    return [
        Row("hub up to first healthy answer", median(starts), "s", 2),
        Row("hub up, idle memory (PSS)", memory, "MB", 220, note=note),
        Row("hub up, idle CPU", busy, "%", 1, note=f"over {seconds} s"),
    ]


def tree(root: int) -> list[int]:
    """A process and everything below it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, line = [], [root]
    while line:
        pid = line.pop()
        found.append(pid)
        line += parents.get(pid, [])
    return found


def pss(pid: int) -> int:
    """Proportional set size in KiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def cpu(pids: list[int]) -> float:
    """CPU seconds that the processes have used."""
    used = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used += int(fields[11]) + int(fields[12])
    return used / _TICKS
