"""`python -m benchmarks [--quick] [--json FILE] [row ...]`: measure and print a table."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
import time
import traceback
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.row import Row, figure

MODULES = {
    "imports": "importing a flow, --help, --version",
    "tasks": "no-op tasks on SQLite and PostgreSQL, flow of 1,000, 10,000 mapped",
    "growth": "100,000 tasks in one flow: what each costs, what memory they leave",
    "logs": "lines of a run's log a second",
    "mapped": "10,000 tasks spread over Celery workers",
    "footprint": "hub up: start, memory, idle CPU",
    "latency": "webhook sent to first line of the flow",
    "throughput": "short runs a second",
    "automations": "one event against 1,000 automations",
    "door": "durable webhooks a second on 32 connections",
    "drain": "a run that an automation makes of a webhook, until the last is there",
    "burst": "20,000 webhooks on 64 connections until the last of their runs has ended",
    "link": "a site reports to a plane: backlog, lag, cost",
    "herd": "200 sites come back to their plane at once",
    "edge": "a bare machine becomes a worker of a plane",
    "history": "the run list of a long history",
    "hooks": "asking 20 plugins that do nothing",
    "plugins": "listing 100 installed plugins",
    "install": "installed size and packages",
    "peers": "the same flow in Prefect, where HUB_BENCH_PREFECT_PYTHON names an interpreter that has it",
}


def main() -> int:
    """Measure what was asked for; exit 1 when a measurement broke (a missed budget is shown, not an error)."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"which: {', '.join(MODULES)}; all without")
    parser.add_argument("--quick", action="store_true", help="fewer repeats and a shorter history")
    parser.add_argument("--json", type=Path, help="write the rows to this file too")
    options = parser.parse_args()
    unknown = set(options.rows) - set(MODULES)
    if unknown:
        parser.error(f"there is no row {', '.join(sorted(unknown))}; there are {', '.join(MODULES)}")
    rows, broken = _measure(options.rows or list(MODULES), options.quick)
    _print(rows)
    if options.json:
        options.json.write_text(json.dumps([row.document() for row in rows], indent=2) + "\n")
    for name in broken:
        print(f"{name} could not be measured", file=sys.stderr)
    return 1 if broken else 0


def _measure(names: list[str], quick: bool) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    broken: list[str] = []
    for name in names:
        began = time.monotonic()
        print(f"{name}: {MODULES[name]} ...", file=sys.stderr, flush=True)
        try:
            rows += importlib.import_module(f"benchmarks.{name}").measure(quick)
        except Exception:  # noqa: BLE001 - the other rows are still measured
            traceback.print_exc()
            broken.append(name)
        except KeyboardInterrupt:  # what was measured by then is worth showing
            return rows, [*broken, *names[names.index(name) :]]
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return rows, broken


def _print(rows: list[Row]) -> None:
    table = Table(title=f"Python {platform.python_version()}, {platform.machine()}", box=None, pad_edge=False)
    for title in ("what", "measured", "floor", "ratio", "budget", "met", "note"):
        table.add_column(title, justify="right" if title in ("measured", "floor", "ratio", "budget") else "left")
    for row in rows:
        floor = f"{figure(row.floor, row.unit)} ({row.floor_name})" if row.floor else "-"
        word = {True: "[green]yes[/]", False: "[red]no[/]", None: "-"}[row.met]
        ratio = f"{row.ratio:.2f}" if row.ratio else "-"
        table.add_row(row.name, figure(row.value, row.unit), floor, ratio, _budget(row), word, row.note)
    Console(width=None if sys.stdout.isatty() else 220, highlight=False).print(table)


def _budget(row: Row) -> str:
    sign = "over" if row.better == "more" else "under"
    if row.budget_ratio is not None:
        return f"{sign} {row.budget_ratio:.0%} of the floor"
    return "-" if row.budget is None else f"{sign} {figure(row.budget, row.unit)}"


if __name__ == "__main__":
    sys.exit(main())
