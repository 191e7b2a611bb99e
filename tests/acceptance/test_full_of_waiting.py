"""Flows that wait for chunks hold all slots: log and `why` say so, one worker more helps. Tasks that never return."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hub.engine.run import Cancel
from hub.engine.why import Reason
from hub.runtime import process
from hub.runtime.orchestrator import handle
from hub.runtime.why import why
from hub.settings import Settings
from hub.store import run_details, runs
from sqlalchemy import select

from .conftest import SCOPE, Site, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
CODE = """

from hub import CeleryTaskRunner, ProcessPoolTaskRunner


@task
def part(folder: str, number: int) -> int:
    return number * number


@flow(task_runner=CeleryTaskRunner())
def waits(folder: str, key: str) -> int:
    mark(folder, f"between-{key}")
    return part.submit(folder, 3).result()


@task
def hangs(folder: str, number: int) -> None:
    mark(folder, f"hangs-{number}")
    while True:
        try:
            time.sleep(3600)
        except BaseException:
            pass


@flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
def hangs_in_processes(folder: str, key: str) -> None:
    hangs.submit(folder, 1)
    hangs.submit(folder, 2).result()


@flow
def computes(folder: str, key: str) -> int:
    import concurrent.futures
    import multiprocessing
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(abs, -3).result()


@flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
def in_processes(folder: str, key: str) -> int:
    return sum(part.map([folder] * 3, [1, 2, 3]).result())


@flow(task_runner=CeleryTaskRunner())
def hangs_on_workers(folder: str, key: str) -> None:
    hangs.submit(folder, 1)
    hangs.submit(folder, 2).result()
"""


@pytest.fixture
def anywhere(request: pytest.FixtureRequest, make_site: Callable[..., Site]) -> Site:
    """A site with these flows, on the database that the parameter names."""
    env = {"HUB_WORKER_CANCEL_GRACE": "1"}
    if request.param == "postgresql":
        env["HUB_DATABASE_URL"] = request.getfixturevalue("own_postgres_url")
    site = make_site(**env)
    with (site.home.parent / "flows.py").open("a") as file:
        file.write(CODE)
    return site


on_each = pytest.mark.parametrize("anywhere", ["sqlite", "postgresql"], indirect=True)


@pytest.mark.long("sqlite")
@on_each
def test_flows_that_wait_for_their_chunks_in_every_slot_are_told_apart_and_go_on_with_a_worker_more(
    anywhere: Site,
) -> None:
    site = anywhere
    site.up("--slots", "1")
    site.deploy("waits")
    run_id = site.run("waits", "a")
    chunk = wait_until(lambda: chunks(site, run_id), 60, site.logs())[0]

    def stuck() -> Reason | None:
        found = why(site.store, Settings(home=site.home), SCOPE, run_id)
        return found if "held by flows that wait" in found.sentence else None

    said = wait_until(stuck, 60, site.logs())
    assert said.rule == "running"
    assert (
        "1 chunk of its tasks wait for a slot; all slots are held by flows that wait for such chunks" in said.sentence
    )
    assert "a queue of their own" in said.hint
    of_chunk = why(site.store, Settings(home=site.home), SCOPE, chunk)
    assert (of_chunk.rule, of_chunk.holder) == ("no_slot", run_id)
    assert "Whoever holds them waits for chunks of its own tasks." in of_chunk.sentence
    wait_until(lambda: any("no worker has taken a chunk of its tasks" in line for line in lines(site, run_id)), 60)
    site.start("worker", "--slots", "1", "--queue", "default")
    site.wait_ended([run_id])
    assert site.row(run_id)["state_name"] == "Completed"
    assert json.loads(site.row(run_id)["result"]) == 9
    site.end()


@pytest.mark.long("hangs_in_processes-1-postgresql", "hangs_on_workers-3-sqlite")
@on_each
@pytest.mark.parametrize(("flow", "slots"), [("hangs_in_processes", "1"), ("hangs_on_workers", "3")])
def test_a_cancel_ends_tasks_that_never_return(anywhere: Site, flow: str, slots: str) -> None:
    site = anywhere
    site.up("--slots", slots)
    site.deploy(flow)
    site.deploy("quick")
    run_id = site.run(flow, "a")
    site.wait_marks("hangs-1", "hangs-2", timeout=60)
    hung = [int((site.folder / f"hangs-{number}").read_text()) for number in (1, 2)]
    assert len(set(hung)) == 2
    handle(site.store, SCOPE, run_id, Cancel("enough"))
    of_it = [run_id, *chunks(site, run_id)]
    site.wait_ended(of_it)
    assert site.states(of_it) == {"Cancelled": len(of_it)}
    wait_until(lambda: not any(map(process.alive, hung)), 60, "what hung is gone")
    following = site.run("quick", "b")
    site.wait_ended([following])
    assert site.row(following)["state_name"] == "Completed"
    site.end()


def test_flows_on_workers_may_have_processes(make_site: Callable[..., Site]) -> None:
    site = make_site()
    with (site.home.parent / "flows.py").open("a") as file:
        file.write(CODE)
    site.up()
    for flow, wanted in (("computes", 3), ("in_processes", 14)):
        site.deploy(flow)
        run_id = site.run(flow, "a")
        site.wait_ended([run_id])
        row = site.row(run_id)
        assert row["state_name"] == "Completed", row["error_trace"]
        assert json.loads(row["result"]) == wanted
    site.end()


def chunks(site: Site, run_id: str) -> list[str]:
    with site.store.read() as tx:
        query = select(runs.TABLE.c.id).where(runs.TABLE.c.parent_run_id == run_id, runs.TABLE.c.origin == runs.CHUNK)
        return list(tx.conn.execute(query).scalars())


def lines(site: Site, run_id: str) -> list[str]:
    with site.store.read() as tx:
        query = select(run_details.LOGS.c.message).where(run_details.LOGS.c.run_id == run_id)
        return list(tx.conn.execute(query).scalars())
