"""`hub up` and what happens when any of its processes is killed in the middle of a run."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable

import pytest
from hub.engine.run import Cancel
from hub.runtime import process
from hub.runtime.broker import broker_url
from hub.runtime.orchestrator import handle
from hub.runtime.publish import Publisher
from hub.settings import Settings
from hub.store.attempts import attempt_id

from .conftest import SCOPE, Site, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_hub_up_runs_a_flow_and_stops_without_an_orphan(site: Site, how: signal.Signals) -> None:
    hub = site.up()
    site.deploy("quick")
    run_id = site.run("quick", "a")
    site.wait_ended([run_id])
    assert site.row(run_id)["state_name"] == "Completed", site.logs()
    assert site.stop(hub, how) == 0
    assert site.processes() == {}


def test_a_killed_supervisor_takes_all_its_processes_with_it(site: Site) -> None:
    hub = site.up()
    assert len(site.processes()) >= 6
    hub.kill()
    hub.wait(10)
    wait_until(lambda: not site.processes(), what="no process is left")


def test_after_a_killed_hub_the_next_one_goes_on(site: Site) -> None:
    hub = site.up()
    site.deploy("held")
    run_id = site.run("held", "a")
    site.wait_marks("between-a")
    hub.kill()
    hub.wait(10)
    # Its processes die one after the other; a task that began in the last of them before it died may run again.
    wait_until(lambda: not site.processes(), what="no process is left")
    site.up()
    (site.folder / "go").touch()
    site.wait_ended([run_id])
    assert site.row(run_id)["state_name"] == "Completed"
    assert (site.marks("first-a"), site.marks("second-a")) == (1, 1)


@pytest.mark.parametrize("victim", ["celery", "worker", "runs", "web", "upkeep", "valkey-server"])
def test_any_process_may_be_killed_in_the_middle_of_a_run(site: Site, victim: str) -> None:
    site.up("--slots", "2")
    site.deploy("held")
    before = [site.run("held", key) for key in ("a", "b")]
    site.wait_marks("between-a", "between-b")
    pids = [int((site.folder / f"between-{key}").read_text()) for key in ("a", "b")]
    if victim == "runs":
        # The child that executes run a, not an idle one.
        os.kill(pids[0], signal.SIGKILL)
    else:
        site.kill(victim)
    # A task that began in a child before its death reached it may run again.
    doomed = {"runs": pids[:1], "celery": pids, "worker": pids}.get(victim, [])
    wait_until(lambda: not any(map(process.alive, doomed)), what="who executed is gone")
    after = site.run("held", "c")
    (site.folder / "go").touch()
    site.wait_ended([*before, after])
    assert site.states([*before, after]) == {"Completed": 3}
    for key in ("a", "b", "c"):
        assert (site.marks(f"first-{key}"), site.marks(f"second-{key}")) == (1, 1), site.logs()


def test_a_worker_killed_and_a_broker_wiped_lose_no_run(site: Site) -> None:
    site.up("--slots", "2")
    site.deploy("held")
    keys = [str(number) for number in range(8)]
    made = [site.run("held", key) for key in keys]
    wait_until(lambda: sum(site.marks(f"between-{key}") for key in keys) == 2, what="two runs execute")
    site.kill("worker")
    doomed = [int((site.folder / f"between-{key}").read_text()) for key in keys if site.marks(f"between-{key}")]
    doomed.append(site.kill("valkey-server"))
    wait_until(lambda: not any(map(process.alive, doomed)), what="who executed is gone")
    shutil.rmtree(site.home / "broker" / "appendonlydir", ignore_errors=True)
    (site.folder / "go").touch()
    site.wait_ended(made)
    assert site.states(made) == {"Completed": 8}
    assert [(site.marks(f"first-{key}"), site.marks(f"second-{key}")) for key in keys] == [(1, 1)] * 8


def test_a_message_that_comes_again_starts_nothing(site: Site) -> None:
    site.up("--slots", "2")
    site.deploy("held")
    run_id = site.run("held", "a")
    site.wait_marks("between-a")
    (worker,) = site.ready()
    publisher = Publisher(broker_url(Settings(home=site.home)))
    for epoch in (1, 1, 1, 2, 0):
        publisher.ring(worker["id"], attempt_id(run_id, 1), epoch)
    publisher.ring(worker["id"], attempt_id(run_id, 2), 1)
    publisher.close()
    (site.folder / "go").touch()
    site.wait_ended([run_id])
    following = site.run("held", "b")
    site.wait_ended([following])
    assert site.states([run_id, following]) == {"Completed": 2}
    assert (site.marks("first-a"), site.marks("between-a"), site.marks("second-a")) == (1, 1, 1)


def test_a_cancelled_run_is_interrupted(site: Site) -> None:
    site.up()
    site.deploy("slow")
    run_id = site.run("slow", "a", seconds=3600)
    site.wait_marks("between-a")
    executor = int((site.folder / "between-a").read_text().split()[0])
    handle(site.store, SCOPE, run_id, Cancel("enough"))
    site.wait_ended([run_id])
    assert site.row(run_id)["state_name"] == "Cancelled"
    assert site.marks("second-a") == 0
    assert process.alive(executor)  # its code was interrupted, not its process killed


def test_a_flow_that_ignores_its_cancel_is_ended_with_all_it_started(site: Site) -> None:
    site.up()
    site.deploy("stubborn")
    site.deploy("quick")
    run_id = site.run("stubborn", "a")
    site.wait_marks("between-a")
    helper = int((site.folder / "helper").read_text())
    handle(site.store, SCOPE, run_id, Cancel("enough"))
    site.wait_ended([run_id])
    assert site.row(run_id)["state_name"] == "Cancelled"
    wait_until(lambda: not process.alive(helper), what="what the flow started is gone")
    following = site.run("quick", "b")
    site.wait_ended([following])
    assert site.row(following)["state_name"] == "Completed"


def test_a_flow_over_its_timeout_is_ended_even_if_it_does_not_listen(site: Site) -> None:
    site.up()
    site.deploy("stubborn", timeout_s=1.0)
    run_id = site.run("stubborn", "a")
    site.wait_ended([run_id])
    assert site.row(run_id)["state_name"] == "TimedOut"


def test_a_stopped_worker_hands_its_runs_back_without_costing_a_crash(site: Site) -> None:
    hub = site.up()
    site.deploy("held")
    run_id = site.run("held", "a")
    site.wait_marks("between-a")
    assert site.stop(hub, timeout=90) == 0  # the flow goes on until it is told to
    row = site.row(run_id)
    assert (row["state_name"], row["crashes"]) == ("Recovering", 0)
    (site.folder / "go").touch()
    site.up()
    site.wait_ended([run_id])
    assert (site.marks("first-a"), site.marks("second-a")) == (1, 1)


def test_a_worker_that_no_message_reaches_starts_anew(site: Site) -> None:
    site.up()
    (worker,) = site.ready()
    # Children that were just forked still have their parent's name.
    (celery,) = wait_until(lambda: found if len(found := site.pids("celery")) == 1 else None, 30, "one process celery")
    os.kill(celery, signal.SIGSTOP)
    wait_until(lambda: any(row["id"] != worker["id"] for row in site.ready()), 60, "another worker\n" + site.logs())
    site.deploy("quick")
    run_id = site.run("quick", "a")
    site.wait_ended([run_id])
    assert site.row(run_id)["state_name"] == "Completed"


def test_a_second_hub_on_the_same_home_says_so(site: Site) -> None:
    site.up()
    second = site.start("up")
    assert second.wait(60) == 4
    assert "already running" in site.logs()


def test_a_port_that_is_taken_is_said(site: Site) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        hub = site.start("up", "--port", str(port))
        assert hub.wait(60) == 1
    assert f"port {port} on 127.0.0.1 is taken" in site.logs()
    assert "Traceback" not in site.logs()
    assert site.processes() == {}


def test_a_home_that_cannot_be_written_is_said(make_site: Callable[..., Site]) -> None:
    site = make_site(HUB_HOME="/proc/hub-home")
    assert site.start("up").wait(60) == 2
    assert "cannot be written" in site.logs()
    assert "Traceback" not in site.logs()


def test_without_the_wheel_files_carry_the_messages(make_site: Callable[..., Site]) -> None:
    site = make_site()
    url = f"filesystem://{site.home / 'broker'}"
    site.env["HUB_BROKER_URL"] = url
    site.up()
    site.deploy("held")
    keys = [str(number) for number in range(4)]
    made = [site.run("held", key) for key in keys]
    wait_until(lambda: sum(site.marks(f"between-{key}") for key in keys) == 2, what="two runs execute")
    children = set(site.pids("runs"))
    site.kill("celery")
    # They die with it, when all of it is gone: until then they would go on, and what they begin is done again.
    wait_until(lambda: not children & set(site.processes()), what="its children are gone")
    (site.folder / "go").touch()
    site.wait_ended(made)
    assert site.states(made) == {"Completed": 4}
    assert [(site.marks(f"first-{key}"), site.marks(f"second-{key}")) for key in keys] == [(1, 1)] * 4
