"""`hub results`: what a person sees of results and their lineage."""

from __future__ import annotations

import pickle
from pathlib import Path

from hub.runtime import inline
from tests.unit.cli.conftest import Shell

FLOW = """
from hub import flow, task

@task
def rows(n: int) -> list[int]:
    return list(range(n))

@task(result_store="local")
def total(numbers: list[int]) -> int:
    return sum(numbers)

@task(result_serializer="pickle")
def odd() -> object:
    return {1, 2}

@flow
def whole() -> int:
    odd()
    return total(rows.submit(4).result()) + total.submit(rows.submit(3)).result()
"""


def test_results_are_listed_shown_printed_and_collected(hub: Shell, tmp_path: Path) -> None:
    file = tmp_path / "sums.py"
    file.write_text(FLOW)
    hub("run", f"{file}:whole")
    inline.forget()
    run = hub.json("runs", "ls")[0]["id"]
    listed = {row["name"]: row["result"] for row in hub.json("results", "ls", run)}
    assert {name: (kept["store"], kept["serializer"]) for name, kept in listed.items()} == {
        "odd-0": (None, "pickle"), "rows-0": (None, "json"), "rows-1": (None, "json"),
        "total-0": ("local", "json"), "total-1": ("local", "json"),
    }  # fmt: skip
    assert listed["total-0"]["bytes"] == 1
    shown = hub.json("results", "show", f"{run}/total-1")
    assert (shown["store"], shown["bytes"], [up["name"] for up in shown["upstream"]]) == ("local", 1, ["rows-1"])
    assert shown["sha256"] == listed["total-1"]["sha256"]
    assert run in hub("results", "show", run)
    assert hub("results", "get", run) == "9\n"
    assert hub("results", "get", f"{run}/{shown['task_run_id']}") == "3\n"
    hub("results", "get", f"{run}/odd", "--out", str(tmp_path / "odd.pickle"))
    assert pickle.loads((tmp_path / "odd.pickle").read_bytes()) == {1, 2}
    hub("results", "show", f"{run}/no-such-task", code=3)
    assert "Would delete 0 results and 0 orphans" in hub("results", "gc", "--dry-run")
    assert "cannot be undone" in hub("results", "gc", code=2)
    assert hub.json("results", "gc", "--yes")["results"] == 0
