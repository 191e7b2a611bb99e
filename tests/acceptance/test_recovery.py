"""Processes apart, on each database and broker: what is killed costs no run, and no finished task runs twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub.runtime import process
from hub.store.tables import Schedule, Tick
from hub.types import SECOND, new_id, now_us
from tests import databases

from . import postgres
from .conftest import SCOPE, Site, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]
LEASE = 15.0
RUNS = 20


@pytest.fixture(scope="module")
def roomy() -> Iterator[str]:
    """A PostgreSQL of its own: each of a worker's 20 children has three connections, and the shared one takes 100."""
    with postgres.started(connections=250) as server:
        yield server.url


@pytest.fixture
def roomy_url(roomy: str) -> Iterator[str]:
    """A new database on it."""
    with databases.own(roomy) as url:
        yield url


@pytest.fixture(params=["sqlite+embedded", "postgresql+redis", "postgresql+rabbitmq"])
def anywhere(
    request: pytest.FixtureRequest, make_site: Callable[..., Site]
) -> Iterator[tuple[Site, Callable[..., subprocess.Popen[bytes]]]]:
    """A site with upkeep, and how to start a worker on it."""
    env = {"HUB_LEASE": str(LEASE), "HUB_LEASE_RENEW": "2"}
    if request.param == "sqlite+embedded":
        site = make_site(**env)
        # The embedded broker belongs to `hub up`; its own small worker serves another queue.
        site.up("--queue", "elsewhere", "--slots", "1")
    else:
        broker = "redis_url" if request.param.endswith("redis") else "rabbitmq_url"
        env |= {
            "HUB_DATABASE_URL": request.getfixturevalue("roomy_url"),
            "HUB_BROKER_URL": request.getfixturevalue(broker),
        }
        site = make_site(**env)
        site.start("upkeep")

    def start(slots: int = RUNS) -> subprocess.Popen[bytes]:
        return site.start("worker", "--slots", str(slots), "--queue", "default")

    yield site, start
    # Before the database is dropped under them.
    site.end()


def serving(site: Site) -> list[dict[str, object]]:
    return [row for row in site.ready() if "default" in row["queues"]]


def parent_of_runs(site: Site, keys: list[str]) -> int:
    """The Celery parent of the children that execute the runs."""
    parents = set()
    for key in keys:
        pid = int((site.folder / f"between-{key}").read_text().split()[0])
        parents.add(int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]))
    (parent,) = parents
    return parent


@pytest.mark.long("sqlite+embedded-celery parent", "postgresql+redis-whole worker", "postgresql+rabbitmq")
@pytest.mark.parametrize("victim", ["celery parent", "whole worker"])
def test_twenty_runs_survive_the_kill_of_their_worker(
    anywhere: tuple[Site, Callable[..., subprocess.Popen[bytes]]], victim: str
) -> None:
    site, start = anywhere
    began = time.monotonic()
    worker = start()
    wait_until(lambda: serving(site), 60, "a worker is ready\n")
    site.deploy("held")
    keys = [str(number) for number in range(RUNS)]
    made = [site.run("held", key) for key in keys]
    site.wait_marks(*(f"between-{key}" for key in keys), timeout=120)
    starting = time.monotonic() - began  # what this machine needs for 20 children, that it needs once more
    parent = parent_of_runs(site, keys)
    if victim == "whole worker":
        start()  # before the clock runs: how long a process takes to start is not what is measured
        wait_until(lambda: len(serving(site)) == 2, 120, "another worker is ready\n")
    os.kill(parent if victim == "celery parent" else worker.pid, signal.SIGKILL)
    began = time.monotonic()
    wait_until(lambda: not process.alive(parent))
    (site.folder / "go").touch()
    site.wait_ended(made, timeout=120)
    took = time.monotonic() - began
    assert site.states(made) == {"Completed": RUNS}, site.logs()
    assert {(site.marks(f"first-{key}"), site.marks(f"second-{key}")) for key in keys} == {(1, 1)}
    assert took < 2 * LEASE + starting, f"{took:.1f} s; {starting:.1f} s to start"


def test_two_upkeeps_and_two_workers_share_the_work(
    anywhere: tuple[Site, Callable[..., subprocess.Popen[bytes]]],
) -> None:
    site, start = anywhere
    site.start("upkeep")
    start(slots=2)
    start(slots=2)
    wait_until(lambda: len(serving(site)) == 2, 90, "two workers are ready")
    site.deploy("quick")
    schedule_id = every_second(site)
    keys = [f"k{number}" for number in range(40)]
    made = [site.run("quick", key) for key in keys]
    site.wait_ended(made, timeout=120)
    assert site.states(made) == {"Completed": 40}
    assert {(site.marks(f"first-{key}"), site.marks(f"second-{key}")) for key in keys} == {(1, 1)}
    assert {len(site.history(run_id)) for run_id in made} == {4}, "each was dispatched once"
    ticks = wait_until(lambda: len(planned := ticked(site, schedule_id)) >= 3 and planned, 30)
    run_ids = [run_id for _, run_id in ticks]
    site.wait_ended(run_ids, timeout=60)
    assert len(set(run_ids)) == len(ticks)


def every_second(site: Site) -> str:
    """A schedule of the quick flow that ticks every second."""
    schedule_id, now = new_id(), now_us()
    with site.store.write() as tx:
        query = "SELECT id FROM deployments WHERE name = 'quick'"
        deployment = tx.conn.exec_driver_sql(query).scalar_one()
        row = {
            "id": schedule_id, "workspace_id": SCOPE.workspace_id, "deployment_id": deployment, "kind": "interval",
            "spec": "1", "timezone": "UTC", "anchor_at": now, "active": True, "next_at": now + SECOND,
            "parameters": {"folder": str(site.folder), "key": "tick"}, "created_at": now, "updated_at": now,
        }  # fmt: skip
        tx.insert(Schedule.__table__, row)  # type: ignore[attr-defined]
    return schedule_id


def ticked(site: Site, schedule_id: str) -> list[tuple[int, str]]:
    table = Tick.__table__  # type: ignore[attr-defined]
    with site.store.read() as tx:
        query = table.select().where(table.c.schedule_id == schedule_id).order_by(table.c.planned_at)
        return [(row.planned_at, row.run_id) for row in tx.conn.execute(query)]


@pytest.mark.services
def test_runs_go_on_while_the_broker_is_away_and_waiting_ones_start_when_it_is_back(
    make_site: Callable[..., Site], own_redis: tuple[str, subprocess.Popen[bytes]]
) -> None:
    url, server = own_redis
    site = make_site(HUB_BROKER_URL=url)
    site.up("--slots", "2")
    site.deploy("held")
    site.deploy("quick")
    running = site.run("held", "a")
    site.wait_marks("between-a")
    (before,) = site.ready()
    server.send_signal(signal.SIGSTOP)
    waiting = site.run("quick", "b")
    # Longer than a lease and than two canaries: the worker stays and keeps its run.
    time.sleep(8)
    assert site.row(running)["state_name"] == "Running", site.logs()
    assert site.row(waiting)["state_name"] in ("Scheduled", "Late", "Pending")
    (site.folder / "go").touch()
    site.wait_ended([running])
    assert site.row(running)["state_name"] == "Completed"
    server.send_signal(signal.SIGCONT)
    site.wait_ended([waiting])
    assert site.row(waiting)["state_name"] == "Completed"
    assert [row["id"] for row in site.ready()] == [before["id"]], "the worker was not restarted"


def test_a_worker_whose_broker_is_not_there_says_so_and_waits(make_site: Callable[..., Site]) -> None:
    site = make_site(HUB_BROKER_URL="redis://127.0.0.1:1/0")
    worker = site.start("worker")
    wait_until(lambda: "does not answer" in site.logs(), 60, "a clear sentence")
    wait_until(lambda: site.pids("celery"), 60, "it stays")
    assert site.stop(worker) == 0
    assert "Traceback" not in site.logs()
    wait_until(lambda: not site.processes())


def test_a_worker_refuses_a_redis_that_evicts(
    make_site: Callable[..., Site], own_redis: tuple[str, subprocess.Popen[bytes]]
) -> None:
    import redis

    url, _ = own_redis
    client = redis.Redis.from_url(url)
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.close()
    site = make_site(HUB_BROKER_URL=url)
    assert site.start("worker").wait(60) == 2
    assert "noeviction" in site.logs()


def test_a_worker_leaves_nothing_at_its_broker(make_site: Callable[..., Site], redis_url: str) -> None:
    import redis

    site = make_site(HUB_BROKER_URL=redis_url)
    site.start("upkeep")
    worker = site.start("worker", "--slots", "1")
    site.wait_ready()
    (row,) = site.ready()
    site.deploy("quick")
    site.wait_ended([site.run("quick", "a")])
    assert site.stop(worker) == 0
    client = redis.Redis.from_url(redis_url)
    assert client.keys(f"*{row['id']}*") == []
    client.close()
    assert not process.alive(int(str(row["pid"])))
