"""The price of a journaled task, beside the price of the commits it cannot do without."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.row import Row, median

POSTGRES = os.environ.get("HUB_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test")
_SCRIPT = """
import json, resource, sys, time
from benchmarks.flows import mapped, one_after_another
count, times, many = map(int, sys.argv[1:])
one_after_another(10)
found = []
for _ in range(times):
    began = time.perf_counter()
    each = one_after_another(count)
    found.append((each, time.perf_counter() - began))
began = time.perf_counter()
back = mapped(many) if many else 0
wall = time.perf_counter() - began
print(json.dumps({"runs": found, "mapped": wall, "back": back,
                  "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def measure(quick: bool) -> list[Row]:
    """1,000 no-op tasks in a loop, the whole flow, and 10,000 mapped; the first call is thrown away."""
    count, times, many = 1000, 3 if quick else 7, 2_000 if quick else 10_000
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder:
        floor = _sqlite_floor(Path(folder), count, times)
        found = _run(folder, [count, times, many])
    each = median([run[0] for run in found["runs"]]) * 1e6
    whole = median([run[1] for run in found["runs"]])
    scaled = "" if many == 10_000 else f"measured with {many:,}, scaled"
    rows = [
        Row("task journaled on SQLite", each, "µs", 100, floor * 1e6, "two commits"),
        Row("flow of 1,000 tasks", whole, "s", 0.3, floor * count, "two commits each"),
        Row(
            "10,000 mapped, in process",
            found["mapped"] * 10_000 / many,
            "s",
            3,
            floor * 10_000,
            "two commits each",
            note=scaled,
        ),
        Row("10,000 mapped, memory", found["rss"], "MB", 300),
    ]
    return rows + _postgres(count, times)


def _postgres(count: int, times: int) -> list[Row]:
    try:
        import psycopg

        admin = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except Exception as error:  # noqa: BLE001 - no server, no driver: the row is left out and says so
        print(f"PostgreSQL is left out: {error}", file=sys.stderr)
        return []
    name = f"hub_bench_{os.getpid()}"
    url = POSTGRES.rsplit("/", 1)[0] + f"/{name}"
    with admin, tempfile.TemporaryDirectory(prefix="hub-bench-") as folder:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                floor = _postgres_floor(connection, count)
            found = _run(folder, [count, times, 0], {"HUB_DATABASE_URL": url})
        finally:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    each = median([run[0] for run in found["runs"]])
    return [Row("task journaled on PostgreSQL", each * 1e6, "µs", 500, floor * 1e6, "one autocommit")]


def _run(folder: str, arguments: list[int], settings: dict[str, str] | None = None) -> dict[str, Any]:
    environment = without_settings() | {"HUB_HOME": folder, **(settings or {})}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *map(str, arguments)],
        env=environment, cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def without_settings() -> dict[str, str]:
    """The environment without the hub's settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}


def _sqlite_floor(folder: Path, count: int, times: int) -> float:
    """Seconds for two commits as a task needs them: insert, then update."""
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; CREATE TABLE t (id TEXT PRIMARY KEY, s TEXT, b TEXT)"
    )
    found = []
    for turn in range(times + 1):
        began = time.perf_counter()
        for number in range(count):
            connection.execute("INSERT INTO t VALUES (?, 'RUNNING', ?)", (f"{turn}-{number}", "x" * 200))
            connection.execute("UPDATE t SET s = 'COMPLETED' WHERE id = ?", (f"{turn}-{number}",))
        found.append((time.perf_counter() - began) / count)
    connection.close()
    return median(found[1:])


def _postgres_floor(connection: Any, count: int) -> float:
    """Seconds for one autocommitted insert."""
    connection.execute("CREATE TABLE floor (id TEXT PRIMARY KEY, s TEXT, b TEXT)")
    began = time.perf_counter()
    for number in range(count):
        connection.execute("INSERT INTO floor VALUES (%s, 'COMPLETED', %s)", (str(number), "x" * 200))
    return (time.perf_counter() - began) / count
