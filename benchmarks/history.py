"""The newest 50 runs of a long history, asked for through the API."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from pathlib import Path

from hub.client import Client
from hub.client.inprocess import InProcess
from hub.settings import load_settings
from hub.store.opening import open_hub
from hub.store.tables import RunRow
from hub.store.tables.columns import JsonText
from hub.types import DEFAULT_WORKSPACE, now_us
from hub.web.app import build_app

from benchmarks.row import Row, median, percentile


def measure(quick: bool) -> list[Row]:
    """SQLite; the rows are copies of one, with ids in the order of time."""
    count = 200_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder:
        settings = load_settings({"home": folder, "log_level": "WARNING"}, environ={})
        store = open_hub(settings)
        store.migrate()
        try:
            floor = _fill(Path(folder, "hub.db"), count)
            with Client("http://127.0.0.1", transport=InProcess(build_app(settings, store))) as client:
                first, times = _ask(client, {})
                _, filtered = _ask(client, {"state": "FAILED"})
        finally:
            store.close()
    if len(first) != 50:
        raise RuntimeError(f"{len(first)} runs came back, not 50")
    note = f"{count:,} runs; p99 {percentile(times, 0.99):.1f} ms"
    return [
        Row("run list, 50 newest", median(times), "ms", 20, floor, "the bare query", note=note),
        Row("run list, 50 newest FAILED", median(filtered), "ms", 20, floor, "the bare query"),
    ]


def _ask(client: Client, query: dict[str, str]) -> tuple[list[object], list[float]]:
    times = []
    for _ in range(40):
        began = time.perf_counter()
        found, _cursor = client.page("/runs", {"limit": 50, **query})
        times.append((time.perf_counter() - began) * 1000)
    return list(found), times[5:]


def _fill(file: Path, count: int) -> float:
    """Write the history; gives the milliseconds of the bare query for 50 of it."""
    connection = sqlite3.connect(file, isolation_level=None)
    columns = [row[1:] for row in connection.execute("PRAGMA table_info(runs)")]
    now = now_us()
    values = {
        "id": "printf('%08x-%04x-7000-8000-%012x', (1792000000 + i) & 0xffffffff, i & 0xffff, i)",
        "workspace_id": f"'{DEFAULT_WORKSPACE}'",
        "name": "'run-' || i",
        "state_type": "CASE WHEN i % 10 = 0 THEN 'FAILED' ELSE 'COMPLETED' END",
        "state_name": "CASE WHEN i % 10 = 0 THEN 'Failed' ELSE 'Completed' END",
        "created_at": f"{now} - ({count} - i) * 1000000",
    }
    names, given = [], []
    for name, kind, required, default, _key in columns:
        if name in values:
            names.append(name)
            given.append(values[name])
        elif required and default is None:
            names.append(name)
            given.append(_blank(name, kind, now))
    connection.execute(
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
        f"INSERT INTO runs ({', '.join(names)}) SELECT {', '.join(given)} FROM n"
    )
    times = []
    for _ in range(20):
        began = time.perf_counter()
        sql = "SELECT * FROM runs WHERE workspace_id = ? ORDER BY id DESC LIMIT 50"
        connection.execute(sql, (DEFAULT_WORKSPACE,)).fetchall()
        times.append((time.perf_counter() - began) * 1000)
    connection.close()
    return median(times)


def _blank(name: str, kind: str, now: int) -> str:
    if name.endswith("_at"):
        return str(now)
    if isinstance(RunRow.__table__.c[name].type, JsonText):
        empty = RunRow.model_fields[name].get_default(call_default_factory=True)
        return f"'{json.dumps(empty)}'"
    return "0" if any(word in kind.upper() for word in ("INT", "BOOL", "FLOAT")) else "''"
