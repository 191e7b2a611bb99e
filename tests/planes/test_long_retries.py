"""Retries of tasks whose delay is long: the worker's slot is free meanwhile, and what was used stays used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.engine.run import Lose
from hub.runtime.commands import Command, apply
from hub.runtime.orchestrator import handle
from hub.runtime.why import why
from hub.types import SECOND, Scope, now_us
from tests.planes.test_sleeping import MARK, marks

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

SCOPE = Scope()
FAILS = (
    MARK
    + """
@task(retries=2, retry_delay_seconds=3600)
def flaky():
    mark("tried")
    raise ValueError("no")
"""
)


def due_now(plane: Plane) -> None:
    """As if the delays were over."""
    with plane.store.write() as tx:
        tx.conn.exec_driver_sql("UPDATE runs SET due_at = 0")
        tx.conn.exec_driver_sql("UPDATE task_runs SET due_at = 1 WHERE due_at IS NOT NULL")


def test_the_slot_is_free_until_the_retry_is_due_and_retries_count_on(plane: Plane) -> None:
    file = plane.file(
        FAILS
        + """
@flow
def whole():
    step("before")
    return flaky()
"""
    )
    begun = now_us()
    row = plane.execute(f"{file}:whole")
    assert (row["state_type"], row["state_name"], row["retries_used"]) == ("SCHEDULED", "AwaitingRetry", 0)
    assert 3590 * SECOND < row["due_at"] - begun < 3700 * SECOND
    assert row["state_message"] == "flaky-0 is tried again then: ValueError: no"
    reason = why(plane.store, plane.settings, SCOPE, row["id"])
    assert (reason.rule, reason.expected_at) == ("not_due", row["due_at"])
    # Begun too early, the next attempt waits on.
    plane.attempt(row["id"])
    again = plane.row(row["id"])
    assert (again["state_name"], again["due_at"], marks(plane, "tried")) == ("AwaitingRetry", row["due_at"], 1)
    due_now(plane)
    plane.attempt(row["id"])
    assert (plane.row(row["id"])["state_name"], marks(plane, "tried")) == ("AwaitingRetry", 2)
    due_now(plane)
    plane.attempt(row["id"])
    row = plane.row(row["id"])
    assert (row["state_name"], row["error_message"], marks(plane, "tried")) == ("Failed", "ValueError: no", 3)
    (failed,) = [task for task in plane.tasks() if task["task_name"] == "flaky"]
    assert (failed["state_name"], failed["retries_used"], failed["attempt"]) == ("Failed", 2, 3)
    assert marks(plane, "before") == 1
    assert plane.history(row["id"], failed["id"]) == [
        "Running", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying", "Failed"
    ]  # fmt: skip


def test_a_submitted_one_rests_while_others_end_and_what_needs_it_waits_with_it(plane: Plane) -> None:
    file = plane.file(
        MARK
        + """
@task(retries=1, retry_delay_seconds=3600)
def flaky():
    mark("tried")
    if not Path(__file__).with_name("mended").exists(): raise ValueError("no")
    return "well"

@task
def slow(name):
    time.sleep(0.3)
    return step(name)

@task
def needs(value): return step("needs-" + value)

@task(trigger="all_done")
def whatever(value): return step("whatever")

@flow
def whole():
    bad, good = flaky.submit(), slow.submit("good")
    after, any_way = needs.submit(bad), whatever.submit(bad)
    step("body")
    assert bad.result(raise_on_failure=False) == "well"
    return [after.result(), any_way.result(), good.result()]
"""
    )
    row = plane.execute(f"{file}:whole")
    assert row["state_name"] == "AwaitingRetry"
    names = ("body", "good", "needs-well", "whatever")
    assert [marks(plane, name) for name in names] == [1, 1, 0, 0]
    states = {task["task_name"]: task["state_name"] for task in plane.tasks()}
    assert (states["flaky"], states["needs"], states["whatever"]) == ("AwaitingRetry", "Pending", "Pending")
    (plane.folder / "mended").touch()
    due_now(plane)
    plane.attempt(row["id"])
    row = plane.row(row["id"])
    assert (row["state_name"], row["result"]) == ("Completed", b'["needs-well","whatever","good"]')
    assert [marks(plane, name) for name in names] == [1, 1, 1, 1]
    assert {task["state_name"] for task in plane.tasks()} == {"Completed"}


def test_a_flow_that_asks_for_nothing_waits_for_it_all_the_same(plane: Plane) -> None:
    file = plane.file(FAILS + "@flow\nasync def whole():\n    flaky.submit()\n    return 1\n")
    row = plane.execute(f"{file}:whole")
    assert row["state_name"] == "AwaitingRetry"
    for _ in range(2):
        due_now(plane)
        plane.attempt(row["id"])
    assert plane.row(row["id"])["state_name"] in ("Completed", "Failed")
    assert marks(plane, "tried") == 3


def test_what_is_due_first_decides(plane: Plane) -> None:
    file = plane.file(
        FAILS
        + """
@flow
def whole():
    flaky.submit()
    hub.sleep(7200)
"""
    )
    begun = now_us()
    row = plane.execute(f"{file}:whole")
    assert row["state_name"] == "AwaitingRetry"
    assert row["due_at"] - begun < 3700 * SECOND


def test_a_short_delay_and_one_within_a_task_wait_in_place(plane: Plane) -> None:
    file = plane.file(
        MARK
        + """
@task(retries=1, retry_delay_seconds=0.05)
def short():
    mark("short")
    if runtime_context().task_attempt == 1: raise ValueError("no")

@flow
def whole():
    short()
    short.submit().result()
"""
    )
    row = plane.execute(f"{file}:whole")
    assert (row["state_name"], row["attempt"], marks(plane, "short")) == ("Completed", 1, 4)


def test_a_crash_while_the_run_waits_forgets_no_retry(plane: Plane) -> None:
    file = plane.file(FAILS + "@flow\ndef whole(): flaky()")
    row = plane.execute(f"{file}:whole")
    due_now(plane)
    from hub.engine.run import Claim, Dispatch
    from hub.types import new_id

    number = handle(plane.store, SCOPE, row["id"], Dispatch(new_id())).attempt
    handle(plane.store, SCOPE, row["id"], Claim(number, 1))
    handle(plane.store, SCOPE, row["id"], Lose(number, 1, "killed"))
    plane.attempt(row["id"])
    (task,) = plane.tasks()
    assert (task["retries_used"], marks(plane, "tried")) == (2, 2)


def test_a_run_that_waits_for_a_retry_is_cancelled_at_once_with_its_tasks(plane: Plane) -> None:
    file = plane.file(FAILS + "@flow\ndef whole(): flaky()")
    row = plane.execute(f"{file}:whole")
    apply(plane.store, Command("run.cancel", SCOPE, row["id"]))
    assert plane.row(row["id"])["state_name"] == "Cancelled"
    assert [task["state_name"] for task in plane.tasks()] == ["Cancelled"]


def test_the_budget_counts_on(plane: Plane) -> None:
    file = plane.file(
        MARK
        + """
@task(retries=5, retry_delay_seconds=3600, retry_budget_seconds=4000)
def flaky():
    mark("tried")
    raise ValueError("no")

@flow
def whole(): flaky()
"""
    )
    row = plane.execute(f"{file}:whole")
    assert row["state_name"] == "AwaitingRetry"
    with plane.store.write() as tx:
        tx.conn.exec_driver_sql(f"UPDATE task_runs SET created_at = created_at - {3600 * SECOND}")
    due_now(plane)
    plane.attempt(row["id"])
    assert (plane.row(row["id"])["state_name"], marks(plane, "tried")) == ("Failed", 2)
