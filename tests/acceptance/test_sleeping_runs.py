"""Flows that sleep on real workers: the slot is free meanwhile, and whoever is killed costs no wait and no step."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hub.runtime import process
from hub.runtime.commands import Command, apply
from hub.store import run_details
from hub.types import SECOND, now_us

from .conftest import SCOPE, Site, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]
CODE = """

import hub


@flow
def naps(folder: str, key: str, seconds: float) -> str:
    first(folder, key)
    try:
        hub.sleep(seconds)
    finally:
        mark(folder, f"leaves-{key}")
        while (Path(folder) / f"hold-{key}").exists():
            time.sleep(0.02)
    return second(folder, key)


@flow
def asks(folder: str, key: str, timeout: float) -> str:
    first(folder, key)
    hub.suspend(timeout=timeout, default=None)
    return second(folder, key)
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, make_site: Callable[..., Site]) -> Any:
    """A site without a worker for the queue of its flows."""
    env = {"HUB_SDK_WAIT_IN_PLACE": "0.5"}
    if request.param == "postgresql":
        env["HUB_DATABASE_URL"] = request.getfixturevalue("own_postgres_url")
    made = make_site(**env)
    with (made.home.parent / "flows.py").open("a") as file:
        file.write(CODE)
    made.up("--queue", "elsewhere", "--slots", "1")
    for name in ("naps", "asks", "quick"):
        made.deploy(name)
    yield made
    # Before the database is dropped under them.
    made.end()


def is_now(site: Site, run_id: str, name: str) -> None:
    wait_until(lambda: site.row(run_id)["state_name"] == name, 60, f"{name}, not {site.history(run_id)}")


def wakes_at(site: Site, run_id: str) -> int:
    """The time that the run has noted for its waking."""
    with site.store.read() as tx:
        query = run_details.TASKS.select().where(
            run_details.TASKS.c.run_id == run_id, run_details.TASKS.c.task_name == "sleep"
        )
        return int(tx.conn.execute(query).mappings().one()["result"])


@pytest.mark.long("postgresql")
def test_a_killed_worker_costs_a_sleeping_run_nothing_and_its_slot_is_free(site: Site) -> None:
    worker = site.start("worker", "--slots", "1", "--queue", "default")
    begun = now_us()
    sleeper = site.run("naps", "a", seconds=12)
    asker = site.run("asks", "b", timeout=3600)
    is_now(site, sleeper, "Sleeping")
    is_now(site, asker, "Suspended")
    assert site.row(sleeper)["due_at"] == wakes_at(site, sleeper)
    # The one slot is free for others while both wait.
    other = site.run("quick", "c")
    site.wait_ended([other])
    assert site.row(sleeper)["state_name"] in ("Sleeping", "Pending", "Running", "Completed")
    os.killpg(worker.pid, signal.SIGKILL)
    wait_until(lambda: not process.alive(worker.pid))
    site.start("worker", "--slots", "1", "--queue", "default")
    apply(site.store, Command("run.resume", SCOPE, asker))
    site.wait_ended([sleeper, asker], timeout=90)
    assert site.states([sleeper, asker]) == {"Completed": 2}
    assert {(site.marks(f"first-{key}"), site.marks(f"second-{key}")) for key in "ab"} == {(1, 1)}
    row = site.row(sleeper)
    assert row["ended_at"] - begun >= 12 * SECOND, "it slept as long as it should"
    assert row["crashes"] == 0


@pytest.mark.long("sqlite")
def test_a_kill_in_the_middle_of_leaving_is_made_good(site: Site) -> None:
    site.start("worker", "--slots", "1", "--queue", "default")
    hold = site.folder / "hold-a"
    hold.touch()
    run_id = site.run("naps", "a", seconds=15)
    site.wait_marks("leaves-a", timeout=60)
    until = wakes_at(site, run_id)
    child = int((site.folder / "leaves-a").read_text().split()[0])
    os.kill(child, signal.SIGKILL)
    hold.unlink()
    site.wait_ended([run_id], timeout=90)
    row = site.row(run_id)
    assert (row["state_name"], row["crashes"]) == ("Completed", 1)
    assert "Recovering" in site.history(run_id)
    assert wakes_at(site, run_id) == until, "the second attempt waited only for what was left"
    assert row["ended_at"] >= until
    assert (site.marks("first-a"), site.marks("second-a")) == (1, 1)


@pytest.mark.long("postgresql")
def test_upkeep_wakes_a_run_that_nobody_resumed_in_time(site: Site) -> None:
    site.start("worker", "--slots", "1", "--queue", "default")
    run_id = site.run("asks", "a", timeout=3)
    site.wait_ended([run_id], timeout=90)
    assert site.row(run_id)["state_name"] == "Completed"
    assert "Suspended" in site.history(run_id)
    assert (site.marks("first-a"), site.marks("second-a")) == (1, 1)
