"""A worker's child and a PostgreSQL that goes away: over the commit of a claim, and in the middle of a run."""

from __future__ import annotations

import builtins
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hub.engine.run import Dispatch, Lose
from hub.runtime.attempt import execute_attempt
from hub.runtime.orchestrator import handle
from hub.settings import load_settings
from hub.store import attempts, hooks, open_store
from hub.types import Scope, new_id
from sqlalchemy import make_url
from tests.proxies import Wire, wire

from .conftest import Plane

SCOPE = Scope()
FLOW = """
@task
def step(n):
    with open(Path(__file__).with_suffix(f".{n}"), "a") as file: file.write("x")
    return n

@flow(crash_retries=2)
def whole(n: int) -> int:
    try:
        return sum(step(number) for number in range(n))
    except Exception:
        UP()
        return -1
"""


@pytest.fixture
def cut(postgres_url: str) -> Iterator[Wire]:
    url = make_url(postgres_url)
    with wire((url.host or "127.0.0.1", url.port or 5432)) as made:
        yield made


@pytest.fixture
def plane(postgres_url: str, cut: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plane]:
    """What is asked here goes straight to the server; what a child does goes over the wire."""
    monkeypatch.setenv("HUB_LEASE", "3")
    monkeypatch.setenv("HUB_LEASE_RENEW", "1")
    direct = open_store(postgres_url)
    yield Plane(direct, load_settings(), tmp_path)
    direct.close()


@pytest.fixture
def over_the_wire(plane: Plane, postgres_url: str, cut: Wire) -> Iterator[Plane]:
    url = make_url(postgres_url).set(host="127.0.0.1", port=cut.port).render_as_string(hide_password=False)
    store = open_store(url)
    with store.read() as tx:
        tx.conn.exec_driver_sql("SELECT 1")  # the first connection of a process says more than those after it
    yield replace(plane, store=store)
    store.close()


def dispatched(plane: Plane, n: int = 3) -> tuple[str, str]:
    """A run that has been sent to a worker, and its attempt."""
    run_id = plane.run(f"{plane.file(FLOW)}:whole", {"n": n}, crash_retries=2)
    return run_id, attempts.attempt_id(run_id, handle(plane.store, SCOPE, run_id, Dispatch(new_id())).attempt)


def times(plane: Plane, n: int) -> int:
    path = plane.folder / f"flows.{n}"
    return len(path.read_text()) if path.exists() else 0


@pytest.mark.parametrize("answered", [True, False], ids=["its answer is lost", "it is lost"])
def test_a_claim_whose_commit_is_in_doubt_is_executed_once(
    plane: Plane, over_the_wire: Plane, cut: Wire, answered: bool
) -> None:
    run_id, key = dispatched(plane)
    cut.arm(b"COMMIT", answered=answered)
    assert not execute_attempt(over_the_wire.store, plane.settings, key, 1)
    assert cut.cuts == 1
    assert plane.history(run_id) == ["Scheduled", "Pending", "Running", "Completed"]
    assert [times(plane, n) for n in range(3)] == [1, 1, 1]


@pytest.mark.parametrize("answered", [True, False], ids=["its answer is lost", "it is lost"])
def test_a_child_that_cannot_learn_whether_it_claimed_ends(
    plane: Plane, over_the_wire: Plane, cut: Wire, answered: bool
) -> None:
    """The keeper tells by its death that the attempt is lost, and by the row that nobody took it."""
    run_id, key = dispatched(plane)
    cut.arm(b"COMMIT", answered=answered, then_down=True)
    assert execute_attempt(over_the_wire.store, plane.settings, key, 1), "tainted"
    assert times(plane, 0) == 0
    with plane.store.read() as tx:
        row = attempts.get(tx, key)
    assert row is not None
    assert (row["state"], row["pid"]) == (("CLAIMED", os.getpid()) if answered else ("PUBLISHED", None))
    assert plane.row(run_id)["state_name"] == ("Running" if answered else "Pending")


def lost(plane: Plane, over_the_wire: Plane, cut: Wire, steps: int, at: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run whose first attempt was lost in a step, because the database went away there; dispatched once more."""
    monkeypatch.setattr(builtins, "DOWN", cut.down, raising=False)
    monkeypatch.setattr(builtins, "UP", cut.up, raising=False)
    run_id, key = dispatched(plane, steps)
    file = plane.folder / "flows.py"
    wait = f"    if n == {at} and not Path(__file__).with_suffix('.{at}').exists(): DOWN()\n"
    file.write_text(file.read_text().replace("def step(n):\n", "def step(n):\n" + wait))
    assert execute_attempt(over_the_wire.store, plane.settings, key, 1), "tainted"
    cut.up()
    assert plane.row(run_id)["state_name"] == "Running"
    handle(plane.store, SCOPE, run_id, Lose(1, 1, "its process has ended"))
    handle(plane.store, SCOPE, run_id, Dispatch(new_id()))
    return run_id


def test_a_database_that_stays_away_costs_the_attempt_and_not_the_run(
    plane: Plane, over_the_wire: Plane, cut: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The flow catches every Exception: it must not take the outage for an error of its own, nor end as failed."""
    run_id = lost(plane, over_the_wire, cut, 30, 5, monkeypatch)
    assert not execute_attempt(over_the_wire.store, plane.settings, attempts.attempt_id(run_id, 2), 1)
    row = plane.row(run_id)
    assert (row["state_name"], row["result"]) == ("Completed", str(sum(range(30))).encode())
    assert [times(plane, n) for n in range(30)] == [1] * 5 + [2] + [1] * 24


def test_a_database_that_is_away_when_the_flow_has_ended_costs_the_attempt_and_not_the_run(
    plane: Plane, over_the_wire: Plane, cut: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than its report may be waited for, and back before anything else of the run could be written."""

    timers: list[threading.Timer] = []

    def down(seconds: float) -> None:
        cut.down()
        timers.append(threading.Timer(seconds, cut.up))
        timers[-1].start()

    monkeypatch.setattr(builtins, "DOWN", down, raising=False)
    run_id, key = dispatched(plane)
    file = plane.folder / "flows.py"
    end = (
        "    total = sum(step(number) for number in range(n))\n    done = Path(__file__).with_suffix('.done')\n"
        "    if not done.exists():\n        done.touch()\n        DOWN(3.0)\n    return total\n"
    )
    head, _, _ = file.read_text().partition("    try:\n")
    file.write_text(head + end)
    assert execute_attempt(over_the_wire.store, plane.settings, key, 1), "tainted"
    timers[0].join(10)
    assert plane.row(run_id)["state_name"] == "Running"
    handle(plane.store, SCOPE, run_id, Lose(1, 1, "its process has ended"))
    handle(plane.store, SCOPE, run_id, Dispatch(new_id()))
    assert not execute_attempt(over_the_wire.store, plane.settings, attempts.attempt_id(run_id, 2), 1)
    assert (plane.row(run_id)["state_name"], plane.row(run_id)["result"]) == ("Completed", b"3")
    assert [times(plane, n) for n in range(3)] == [1, 1, 1]


def test_a_result_that_cannot_be_read_at_this_moment_is_waited_for(
    plane: Plane, over_the_wire: Plane, cut: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a second attempt, which takes the results of the first one's steps from the database."""
    run_id = lost(plane, over_the_wire, cut, 4, 3, monkeypatch)
    cut.arm(b"SELECT task_runs.result,", answered=False)
    assert not execute_attempt(over_the_wire.store, plane.settings, attempts.attempt_id(run_id, 2), 1)
    assert (cut.cuts, plane.row(run_id)["state_name"], plane.row(run_id)["result"]) == (1, "Completed", b"6")
    assert [times(plane, n) for n in range(4)] == [1, 1, 1, 2]


def test_an_outage_that_a_flow_meets_itself_does_not_fail_it(
    plane: Plane, over_the_wire: Plane, cut: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtins, "DOWN", cut.down, raising=False)
    monkeypatch.setattr(builtins, "UP", cut.up, raising=False)
    file = plane.file("""
from hub import variables

@flow
def whole() -> str:
    if not Path(__file__).with_suffix(".seen").exists():
        Path(__file__).with_suffix(".seen").touch()
        DOWN()
    try:
        return variables.get("colour", "none")
    except Exception:
        UP()
        raise
""")
    run_id = plane.run(f"{file}:whole")
    handle(plane.store, SCOPE, run_id, Dispatch(new_id()))
    assert execute_attempt(over_the_wire.store, plane.settings, attempts.attempt_id(run_id, 1), 1), "tainted"
    assert plane.row(run_id)["state_name"] == "Running"
    handle(plane.store, SCOPE, run_id, Lose(1, 1, "its process has ended"))
    assert plane.row(run_id)["state_name"] != "Crashed"


def test_a_run_whose_subject_cannot_be_read_goes_back_unharmed(plane: Plane, over_the_wire: Plane, cut: Wire) -> None:
    """The hooks of an ended run, which are in the database; before, that run was refused for good."""
    file = plane.file("""
def tell(flow, run, state): Path(__file__).with_suffix(".told").write_text(state.name)

@flow(on_completion=[tell])
def whole(): ...
""")
    ended = plane.execute(f"{file}:whole")
    file.with_suffix(".told").unlink()
    given = {"run_id": ended["id"], "event": "on_completion"}
    run_id = plane.run(f"{file}:whole", given, origin=hooks.ORIGIN, origin_id=ended["id"])
    key = attempts.attempt_id(run_id, handle(plane.store, SCOPE, run_id, Dispatch(new_id())).attempt)
    cut.arm(b'FROM "runs" WHERE', answered=False)
    assert not execute_attempt(over_the_wire.store, plane.settings, key, 1)
    assert cut.cuts == 1
    assert plane.history(run_id) == ["Scheduled", "Pending", "Running", "Recovering"]
    epoch = handle(plane.store, SCOPE, run_id, Dispatch(new_id())).epoch
    execute_attempt(
        over_the_wire.store, plane.settings, attempts.attempt_id(run_id, plane.row(run_id)["attempt"]), epoch
    )
    assert plane.row(run_id)["state_name"] == "Completed"
    assert file.with_suffix(".told").read_text() == "Completed"
