"""Runs are named to commands by their names as well as by their ids."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Shell
else:
    Shell = Any

FLOW = """
from hub import flow, task

@task
def double(n: int) -> int:
    return 2 * n

@flow(flow_run_name="load {day}")
def load(day: str = "mon") -> int:
    print(day)
    return double(1)
"""


@pytest.fixture
def load(tmp_path: Path) -> str:
    file = tmp_path / "load.py"
    file.write_text(FLOW)
    return str(file)


@pytest.mark.parametrize(
    "words",
    [
        ("runs", "show"), ("runs", "logs"), ("runs", "why"), ("runs", "export"), ("runs", "waits"),
        ("results", "ls"), ("results", "show"), ("results", "get"), ("artifacts", "ls", "--run"),
    ],
)  # fmt: skip
def test_a_name_does_what_the_id_does(hub: Shell, load: str, words: tuple[str, ...]) -> None:
    hub("run", load)
    run = hub.json("runs", "ls")[0]
    assert run["name"] == "load mon"
    assert hub(*words, "load mon") == hub(*words, run["id"])


def test_what_changes_a_run_takes_its_name(hub: Shell, flow_file: str) -> None:
    hub("deploy", flow_file)
    name = hub.json("deployments", "run", "twice")["name"]
    assert "Paused" in hub("runs", "pause", name)
    assert "Scheduled" in hub("runs", "resume", name)
    assert "on its way" in hub("runs", "send", name, "-p", "x=1")
    assert "does not ask" in hub("runs", "answer", name, code=4)
    assert f"Run {name} is now Cancelled" in hub("runs", "cancel", name, "--yes")
    assert "on its way" in hub("runs", "restart", name)


def test_a_name_that_several_runs_have_lists_them(hub: Shell, load: str) -> None:
    for day in ("mon", "mon", "tue"):
        hub("run", load, "-p", f"day={day}")
    told = hub("runs", "show", "load mon", code=2)
    assert "several runs are named 'load mon'" in told
    assert {run["name"] for run in hub.json("runs", "ls") if run["id"] in told} == {"load mon"}
    assert sum(run["id"] in told for run in hub.json("runs", "ls")) == 2


def test_a_name_that_no_run_has_says_so(hub: Shell) -> None:
    assert "there is no run named 'nothing'" in hub("runs", "logs", "nothing", code=3)
