"""A flow of 30 tasks, killed at 30 moments: it completes, and no task that had finished is done again.

Moments: each run's own child after each of its tasks in turn; the Celery parent or the worker with all its processes
while ten runs stand at ten different places, three times; the database, likewise.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub.runtime import process
from hub.store import run_details
from hub.types import Id
from sqlalchemy import select

from . import postgres
from .conftest import Site, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]
TASKS = 30
FLOW = '''
import os, time
from pathlib import Path
from hub import flow, runtime_context, task


@task(task_run_name="step-{n}")
def step(n: int, before: int, folder: str, key: str) -> int:
    with open(Path(folder) / f"{key}-{n}", "a") as file:
        file.write(f"{runtime_context().attempt} {os.getpid()}\\n")
    time.sleep(0.01)
    return before + n


@flow(crash_retries=50, max_threads=4)
def thirty(folder: str, key: str) -> int:
    """Ten steps one after the other, ten side by side, ten one after the other."""
    total = 0
    for n in range(10):
        total = step(n, total, folder, key)
    beside = [step.submit(n, 0, folder, key) for n in range(10, 20)]
    total += sum(future.result() for future in beside)
    for n in range(20, 30):
        total = step(n, total, folder, key)
    return total
'''


class Thirty:
    """Runs of that flow, and what they have done."""

    def __init__(self, site: Site) -> None:
        self.site = site
        (site.home.parent / "flows.py").write_text(textwrap.dedent(FLOW))
        # A flow's own options are on its deployment; this one is made without importing it.
        site.deploy("thirty", crash_retries=50)
        self.runs: dict[str, Id] = {}

    def start(self, count: int) -> None:
        for number in range(count):
            self.runs[f"r{number}"] = self.site.run("thirty", f"r{number}")

    def marks(self, key: str, n: int) -> list[tuple[int, int]]:
        """Attempt and pid of each time that the step began."""
        path = self.site.folder / f"{key}-{n}"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(attempt), int(pid)) for attempt, pid in (line.split() for line in lines if " " in line)]

    def begun(self) -> int:
        """How many steps of all runs have begun."""
        return sum(1 for _ in self.site.folder.iterdir())

    def wait_begun(self, count: int) -> None:
        wait_until(lambda: self.begun() >= count, 60, f"{count} steps have begun\n{self.site.logs()}")

    def told(self) -> str:
        """What runs that did not complete say, and the logs."""
        rows = [self.site.row(run_id) for run_id in self.runs.values()]
        texts = [f"{row['state_message']}: {row['error_trace']}" for row in rows if row["state_name"] != "Completed"]
        return "\n".join([*texts, self.site.logs()])

    def check(self) -> None:
        """Every run completed, every step was done, none began again after an attempt had finished it."""
        self.site.wait_ended(list(self.runs.values()), timeout=120)
        assert self.site.states(list(self.runs.values())) == {"Completed": len(self.runs)}, self.told()
        for key, run_id in self.runs.items():
            with self.site.store.read() as tx:
                query = select(run_details.TASKS).where(run_details.TASKS.c.run_id == run_id)
                rows = {row["name"]: row for row in tx.conn.execute(query).mappings()}
            assert self.site.row(run_id)["result"] == str(sum(range(TASKS))).encode()
            for n in range(TASKS):
                row, attempts = rows[f"step-{n}"], [attempt for attempt, _ in self.marks(key, n)]
                told = f"{key} step {n}: began in attempts {attempts}, finished in {row['run_attempt']}"
                assert row["state_type"] == "COMPLETED", told
                assert sorted(set(attempts)) == attempts, told
                assert attempts[-1] == row["run_attempt"], told


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, make_site: Callable[..., Site]) -> Iterator[Site]:
    """Upkeep on each database; its workers are started by the tests."""
    if request.param == "sqlite":
        made = make_site()
        # The embedded broker belongs to `hub up`; its own small worker serves another queue.
        made.up("--queue", "elsewhere", "--slots", "1")
    else:
        urls = {name: request.getfixturevalue(f"{name}_url") for name in ("own_postgres", "redis")}
        made = make_site(HUB_DATABASE_URL=urls["own_postgres"], HUB_BROKER_URL=urls["redis"])
        made.start("upkeep")
    yield made
    # Before the database is dropped under it.
    made.end()


def start_worker(site: Site, slots: int) -> subprocess.Popen[bytes]:
    """A worker with a supervisor, a keeper of leases, a Celery parent and its children."""
    started = site.start("worker", "--slots", str(slots), "--queue", "default")
    wait_worker(site, started)
    return started


def wait_worker(site: Site, started: subprocess.Popen[bytes], before: int = 0) -> None:
    """Wait until that worker takes runs, with another keeper than `before`."""

    def ready() -> bool:
        keepers = {row["pid"] for row in site.ready()} - {before}
        return any(process.alive(pid) and parent(pid) == started.pid for pid in keepers)

    wait_until(ready, 60, f"a worker is ready\n{site.logs()}")


def parent(pid: int) -> int:
    """Its parent; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def test_a_child_killed_after_each_of_its_tasks(site: Site) -> None:
    start_worker(site, 4)
    thirty = Thirty(site)
    thirty.start(TASKS)
    waiting = dict(enumerate(thirty.runs))
    spread = random.Random(7)

    def kill_those_who_are_there() -> bool:
        for n, key in list(waiting.items()):
            found = thirty.marks(key, n)
            if found:
                # Somewhere in the task, in its commit, or in the next one.
                time.sleep(spread.uniform(0, 0.02))
                process.send(found[0][1], signal.SIGKILL)
                del waiting[n]
        return not waiting

    deadline = time.monotonic() + 150
    while not kill_those_who_are_there():
        assert time.monotonic() < deadline, f"these runs did not get so far: {waiting}\n{site.logs()}"
        time.sleep(0.002)
    thirty.check()
    killed = sum(site.row(run_id)["attempt"] > 1 for run_id in thirty.runs.values())
    # Who was killed after its last task may have been told as completed.
    assert killed >= TASKS - 3


@pytest.mark.long("sqlite-parent", "postgresql-group")
@pytest.mark.parametrize("victim", ["parent", "group"])
def test_a_worker_killed_while_ten_runs_are_at_ten_places(site: Site, victim: str) -> None:
    worker = start_worker(site, 10)
    thirty = Thirty(site)
    thirty.start(10)
    for begun in (40, 130, 220):
        thirty.wait_begun(begun)
        (celery,) = [pid for pid in site.pids("celery") if parent(parent(pid)) == worker.pid]
        keeper = parent(celery)
        if victim == "parent":
            os.kill(celery, signal.SIGKILL)
            wait_worker(site, worker, before=keeper)
        else:
            worker.kill()
            worker.wait(30)
            wait_until(lambda pid=celery: not process.alive(pid), what="its processes are gone")  # type: ignore[misc]
            worker = start_worker(site, 10)
    thirty.check()
    assert max(site.row(run_id)["attempt"] for run_id in thirty.runs.values()) >= 3


# --- a database that is restarted ----------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[postgres.Server]:
    """A server that may be restarted."""
    with postgres.started() as made:
        yield made


def test_a_database_restarted_while_ten_runs_are_at_ten_places(
    make_site: Callable[..., Site], server: postgres.Server, redis_url: str
) -> None:
    site = make_site(HUB_DATABASE_URL=server.url, HUB_BROKER_URL=redis_url)
    site.start("upkeep")
    start_worker(site, 10)
    thirty = Thirty(site)
    thirty.start(10)
    for begun in (40, 130, 220):
        thirty.wait_begun(begun)
        server.control("restart")
        site.reconnect()
    thirty.check()
    site.end()
