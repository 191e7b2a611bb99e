"""A worker that holds a slot of a limit is killed: who waits for it gets it within a lease."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hub.runtime import process
from hub.runtime.commands import Command, apply
from hub.store import limit_lists
from hub.types import SECOND, now_us

from .conftest import SCOPE, Site, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]
LEASE = 10.0
CODE = """

@flow(crash_retries=0)
def holds(folder: str, key: str) -> None:
    from hub import concurrency
    with concurrency("one"):
        mark(folder, f"in-{key}")
        while not (Path(folder) / "go").exists():
            time.sleep(0.05)
"""


@pytest.mark.long("sqlite")
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_slot_of_a_killed_worker_goes_to_the_next_within_a_lease(
    kind: str, request: pytest.FixtureRequest, make_site: Callable[..., Site]
) -> None:
    env = {"HUB_LEASE": str(LEASE), "HUB_LEASE_RENEW": "2"}
    if kind == "postgresql":
        env["HUB_DATABASE_URL"] = request.getfixturevalue("own_postgres_url")
    site = make_site(**env)
    with (site.home.parent / "flows.py").open("a") as file:
        file.write(CODE)
    site.up("--queue", "elsewhere", "--slots", "1")
    apply(site.store, Command("limit.set", SCOPE, "one", {"name": "one", "slots": 1}))
    site.deploy("holds", crash_retries=0)
    worker = site.start("worker", "--slots", "1", "--queue", "default")
    first = site.run("holds", "a")
    site.wait_marks("in-a", timeout=60)
    site.start("worker", "--slots", "1", "--queue", "default")
    second = site.run("holds", "b")
    wait_until(lambda: shown(site)["waiting"], 60, site.logs())
    assert [who["run_id"] for who in shown(site)["waiters"]] == [second]
    child = int((site.folder / "in-a").read_text())
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: not process.alive(child), 60, "the child of the killed worker is gone")
    # Nobody renews the slot any more: it lasts a lease from now at most, and whoever waits has it then.
    left = [who["expires_at"] - now_us() for who in shown(site)["holders"] if who["run_id"] == first]
    assert all(0 < rest <= LEASE * SECOND for rest in left)
    site.wait_marks("in-b", timeout=60)
    assert [who["run_id"] for who in shown(site)["holders"]] == [second]
    (site.folder / "go").touch()
    site.wait_ended([first, second])
    assert site.states([first, second]) == {"Crashed": 1, "Completed": 1}
    assert shown(site)["held"] == 0
    site.end()


def shown(site: Site) -> dict[str, Any]:
    with site.store.read() as tx:
        return limit_lists.show(tx, SCOPE, "one")
