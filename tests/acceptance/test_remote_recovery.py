"""A flow's tasks are spread over workers; one of them is killed: its chunk is made elsewhere, what was done is not."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hub.runtime import process
from hub.runtime.commands import Command, apply

from .conftest import SCOPE, Site, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]
CALLS = 40
CODE = """

from hub import CeleryTaskRunner


@task
def part(folder: str, number: int) -> int:
    mark(folder, f"part-{number}")
    while not (Path(folder) / "go").exists():
        time.sleep(0.02)
    time.sleep(0.05)
    return number * number


@flow(task_runner=CeleryTaskRunner(queue="default", chunk=10))
def spread(folder: str, key: str) -> int:
    from hub import unmapped
    return sum(part.map(unmapped(folder), range(40)).result())
"""


@pytest.mark.long("sqlite")
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_killed_worker_s_tasks_are_made_elsewhere(
    kind: str, request: pytest.FixtureRequest, make_site: Callable[..., Site]
) -> None:
    env = {"HUB_LEASE": "10", "HUB_LEASE_RENEW": "2"}
    if kind == "postgresql":
        env["HUB_DATABASE_URL"] = request.getfixturevalue("own_postgres_url")
    site = make_site(**env)
    with (site.home.parent / "flows.py").open("a") as file:
        file.write(CODE)
    site.up("--queue", "elsewhere", "--slots", "1")
    apply(site.store, Command("queue.set", SCOPE, "elsewhere", {"name": "elsewhere"}))
    site.deploy("spread", queue="elsewhere")
    workers = [site.start("worker", "--slots", "1", "--queue", "default") for _ in range(2)]
    wait_until(lambda: len(site.ready()) == 3, 60, site.logs())
    run_id = site.run("spread", "a")
    marks = site.folder
    wait_until(lambda: sum(bool(path.read_text()) for path in marks.glob("part-*")) == 2, 60, site.logs())
    children = {int(path.read_text().split()[0]) for path in marks.glob("part-*")}
    assert len(children) == 2, "two workers share the chunks"
    (marks / "go").touch()
    wait_until(lambda: len(list(marks.glob("part-*"))) > 8, 60, site.logs())
    os.kill(workers[0].pid, signal.SIGKILL)
    wait_until(lambda: sum(process.alive(child) for child in children) == 1, 30)
    site.wait_ended([run_id], timeout=120)
    row = site.row(run_id)
    assert row["state_name"] == "Completed", (row["error_message"], site.logs())
    assert json.loads(row["result"]) == sum(number * number for number in range(CALLS))
    began = {path.name: path.read_text().count("\n") for path in Path(marks).glob("part-*")}
    assert len(began) == CALLS
    assert sum(began.values()) <= CALLS + 1, "only the call in the middle was made again"
    site.end()
