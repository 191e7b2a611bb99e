"""`hub cache` and what it says."""

from __future__ import annotations

from pathlib import Path

from hub.runtime import inline
from tests.unit.cli.conftest import Shell

FLOW = """
from hub import flow, task
from hub.cache_policies import INPUTS

@task(cache_policy=INPUTS)
def double(n: int) -> int:
    return 2 * n

@flow
def whole(n: int = 1) -> int:
    return double(n) + double(n + 1)
"""


def test_cached_results_are_listed_and_cleared(hub: Shell, tmp_path: Path) -> None:
    file = tmp_path / "doubles.py"
    file.write_text(FLOW)
    assert "Nothing is cached" not in hub("cache", "ls")
    hub("run", f"{file}:whole")
    hub("run", f"{file}:whole")
    inline.forget()
    listed = hub.json("cache", "ls", "--task", "double")
    assert [(row["task_name"], row["hits"], row["state"]) for row in listed] == [("double", 1, "ready")] * 2
    assert "Would remove 2 entries" in hub("cache", "clear", "--dry-run")
    assert "cannot be undone" in hub("cache", "clear", code=2)
    assert hub.json("cache", "clear", "--key", listed[0]["key"], "--yes")["entries"] == 1
    assert "Removed 0 entries" in hub("cache", "clear", "--expired", "--yes")
    assert "Removed 1 entries" in hub("cache", "clear", "--yes")
    assert hub.json("cache", "ls") == []
