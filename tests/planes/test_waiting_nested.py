"""Flows nested in others that sleep or wait: they leave together, go on together, and may be cancelled alone."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hub.errors import ConflictError
from hub.runtime import waits as answering
from hub.runtime.commands import Command, apply
from hub.store import waits
from hub.types import Scope, now_us
from tests.planes.test_sleeping import MARK, marks, wake
from tests.planes.test_suspended import resume

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

SCOPE = Scope()


def test_a_nested_flow_that_sleeps_has_the_outermost_run_leave_and_goes_on_itself(plane: Plane) -> None:
    file = plane.file(
        MARK
        + """
@flow
def inner():
    step("inner-before")
    hub.sleep(3600)
    return step("inner-after")

@flow
def whole():
    step("before")
    return inner()
"""
    )
    row = plane.execute(f"{file}:whole")
    (nested,) = plane.rows("inner")
    assert (row["state_name"], nested["state_name"], nested["attempt"]) == ("Sleeping", "Sleeping", 1)
    assert {task["state_name"] for task in plane.tasks(row["id"])} == {"Completed", "Sleeping"}
    wake(plane, row["id"])
    plane.attempt(row["id"])
    (nested,) = plane.rows("inner")
    assert {found["state_name"] for found in plane.rows()} == {"Completed"}
    assert nested["attempt"] == 2
    assert [marks(plane, name) for name in ("before", "inner-before", "inner-after")] == [1, 1, 1]


def test_a_sleeping_run_is_cancelled_at_once_with_the_flows_nested_in_it(plane: Plane) -> None:
    file = plane.file("""
import hub
@flow
def inner(): hub.sleep(3600)

@flow
def whole(): inner()
""")
    row = plane.execute(f"{file}:whole")
    done = apply(plane.store, Command("run.cancel", SCOPE, row["id"]))
    assert done.result["state_name"] == "Cancelled"
    assert {found["state_name"] for found in plane.rows()} == {"Cancelled"}
    assert {task["state_name"] for task in plane.tasks()} <= {"Cancelled", "Completed"}
    with pytest.raises(ConflictError):
        apply(plane.store, Command("run.resume", SCOPE, row["id"]))


@pytest.mark.parametrize("which", ["f", "inner"])
def test_a_nested_flow_that_waits_is_resumed_by_either_run(plane: Plane, which: str) -> None:
    file = plane.file(
        MARK
        + """
@flow
def inner():
    step("inner")
    hub.suspend()
    return 7
@flow
def whole(): return inner()
"""
    )
    row = plane.execute(f"{file}:whole")
    resume(plane, plane.only(which)["id"])
    assert {found["state_name"] for found in plane.rows()} == {"Scheduled"}
    plane.attempt(row["id"])
    assert {found["state_name"] for found in plane.rows()} == {"Completed"}
    assert (plane.row(row["id"])["result"], marks(plane, "inner")) == (b"7", 1)


@pytest.mark.parametrize("waits", ["suspend()", "sleep(3600)"])
def test_a_nested_flow_cancelled_alone_while_it_waits_lets_its_caller_go_on(plane: Plane, waits: str) -> None:
    file = plane.file(f"""
import hub
from hub.errors import RunCancelled

@flow
def inner(): hub.{waits}

@flow
def between(): inner()

@flow
def whole():
    try:
        between()
    except RunCancelled:
        return "without it"
""")
    row = plane.execute(f"{file}:whole")
    apply(plane.store, Command("run.cancel", SCOPE, plane.only("between")["id"]))
    assert {plane.only(name)["state_name"] for name in ("between", "inner")} == {"Cancelled"}
    gone_on = plane.row(row["id"])
    assert gone_on["state_name"] == "Scheduled", "it need not wait for what will not come"
    assert gone_on["due_at"] <= now_us()
    plane.attempt(row["id"])
    assert plane.row(row["id"])["result"] == b'"without it"'


def test_a_caller_that_was_held_meanwhile_stays_held(plane: Plane) -> None:
    file = plane.file("import hub\n@flow\ndef inner(): hub.sleep(3600)\n@flow\ndef whole(): inner()")
    row = plane.execute(f"{file}:whole")
    apply(plane.store, Command("run.pause", SCOPE, row["id"]))
    apply(plane.store, Command("run.cancel", SCOPE, plane.only("inner")["id"]))
    assert plane.row(row["id"])["state_name"] == "Paused"


def test_a_cancel_of_a_nested_flow_and_an_answer_to_it_take_the_runs_in_one_order(plane: Plane) -> None:
    if plane.store.dialect != "postgresql":
        pytest.skip("SQLite has one writer")
    file = plane.file("import hub\n@flow\ndef inner(): hub.suspend()\n@flow\ndef whole(): inner()")
    row = plane.execute(f"{file}:whole")
    inner, told = plane.only("inner"), list[str]()

    def cancel() -> None:
        told.append(str(apply(plane.store, Command("run.cancel", SCOPE, inner["id"])).result["state_name"]))

    other = threading.Thread(target=cancel)
    with plane.store.write() as tx:
        (point,) = waits.open_of(tx, SCOPE, row["id"])
        waits.hold_run(tx, row["id"])
        other.start()
        _until_one_waits_for_a_lock(plane)
        assert answering.answer(tx, SCOPE, point, None)
    other.join()
    assert told == ["Cancelled"]
    assert (plane.row(row["id"])["state_name"], plane.only("inner")["state_name"]) == ("Scheduled", "Cancelled")


def _until_one_waits_for_a_lock(plane: Plane) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    until = time.monotonic() + 20
    while True:
        with plane.store.read() as tx:
            if tx.conn.exec_driver_sql(query).scalar():
                return
        assert time.monotonic() < until, "nobody waits"
        time.sleep(0.02)
