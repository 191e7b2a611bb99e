"""What a run costs that an automation makes of a webhook: ten automations, a second of webhooks, and the time until all
their runs are there; beside plain inserts of the same rows."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from hub.store import open_store
from hub.testing.demo.site import Site

from benchmarks.door import automate, load
from benchmarks.row import Row

RULES = 10
PATIENCE_S = 900.0
WRITTEN = ("runs", "states", "events", "command_outcomes", "audit", "firings", "automation_actions")
"""Tables of which each run that an automation makes has a row."""
TOGETHER = 50
"""Runs in a transaction of the floor."""


def measure(quick: bool) -> list[Row]:
    """SQLite, embedded; the runs wait in a paused queue. Raises RuntimeError when it is not as many as meant."""
    with Site() as site:
        source = site.prepare("webhooks", "create", "bench", "--preset", "github", "--rate", "1000000")
        site.start()
        automate(site, RULES)
        path = "/in/" + str(source["url"]).rpartition("/in/")[2]
        load(site.port, path, 0.5 if quick else 1.0, str(source["secret"]))
        with _database(site.home / "hub.db") as db:
            meant = RULES * _count(db, "receipts")
            seconds, made = _drain(db, meant)
            floor, rows = _floor(db, min(made, 2_000))
    title = f"a run that an automation makes, {RULES} for each webhook, drained"
    note = f"{made:,} runs in {seconds:.1f} s after the last webhook, of {meant:,}"
    return [
        Row(
            title, seconds / made * 1e6, "µs", None, floor, f"{rows} plain inserts, {TOGETHER} runs a commit", note=note
        )
    ]


def _drain(db: sqlite3.Connection, meant: int) -> tuple[float, int]:
    """How long it takes until all runs are there, and how many were made in that time."""
    before, began = _count(db, "runs"), time.monotonic()
    while (there := _count(db, "runs")) < meant:
        if time.monotonic() > began + PATIENCE_S:
            raise RuntimeError(f"of {meant} runs {there} were made in {PATIENCE_S:.0f} s")
        time.sleep(0.1)  # asking is work too
    seconds = time.monotonic() - began
    time.sleep(0.5)
    if _count(db, "runs") != meant or before == meant:
        raise RuntimeError(f"{meant} runs were meant, {before} were there at once and {_count(db, 'runs')} in the end")
    return seconds, meant - before


def _floor(db: sqlite3.Connection, runs: int) -> tuple[float, int]:
    """Microseconds for the rows of a run in tables with the hub's indexes, and how many these are."""
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder:
        store = open_store(f"sqlite:///{folder}/floor.db")
        store.migrate()
        store.close()
        kinds = [_rows(db, table, runs) for table in WRITTEN]
        with _database(Path(folder) / "floor.db") as bare:
            bare.execute("PRAGMA synchronous=NORMAL")
            began = time.perf_counter()
            for at in range(0, runs, TOGETHER):
                bare.execute("BEGIN IMMEDIATE")
                for text, rows in kinds:
                    for row in islice(rows, at, at + TOGETHER):
                        bare.execute(text, row)
                bare.execute("COMMIT")
            took = time.perf_counter() - began
    return took / runs * 1e6, len(kinds)


def _rows(db: sqlite3.Connection, table: str, count: int) -> tuple[str, list[Any]]:
    """The last rows of a table, and the statement that inserts one of them."""
    found = db.execute(f"SELECT * FROM {table} ORDER BY rowid DESC LIMIT ?", (count,))
    marks = ",".join("?" * len(found.description))
    return f"INSERT INTO {table} VALUES ({marks})", found.fetchall()


def _count(db: sqlite3.Connection, table: str) -> int:
    return int(db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])


@contextmanager
def _database(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=15)) as db:
        yield db
