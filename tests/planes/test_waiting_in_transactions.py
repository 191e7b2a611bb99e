"""Flows that leave their process in the middle of a transaction: it stays open, and the next attempt goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hub.runtime.commands import Command, apply
from hub.store import tasks
from hub.types import Scope
from tests.planes.test_sleeping import MARK, marks, wake

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

BOOKING = (
    MARK
    + """
@task
def book(): return mark("booked")

@book.on_rollback
def cancel(step): mark("undone")

@book.on_commit
def tell(step): mark("told")
"""
)


def seen(plane: Plane) -> list[int]:
    return [marks(plane, name) for name in ("booked", "undone", "told")]


@pytest.mark.parametrize("way", ["hub.sleep(3600)", "hub.suspend(timeout=3600)", "swallow()", "raise_other()"])
def test_nothing_is_committed_or_undone_when_the_flow_leaves(plane: Plane, way: str) -> None:
    file = plane.file(
        BOOKING
        + f"""
def swallow():
    try: hub.sleep(3600)
    except BaseException: pass

def raise_other():
    try: hub.sleep(3600)
    finally:
        if not hub.runtime_context().attempt > 1: raise ValueError("on the way out")

@flow
def whole():
    with transaction():
        book()
        {way}
"""
    )
    row = plane.execute(f"{file}:whole")
    assert row["state_name"] in ("Sleeping", "Suspended")
    assert seen(plane) == [1, 0, 0]
    go_on(plane, row["id"])
    assert plane.row(row["id"])["state_name"] == "Completed"
    assert seen(plane) == [1, 0, 1]


def go_on(plane: Plane, run_id: str) -> None:
    if plane.row(run_id)["state_name"] == "Suspended":
        apply(plane.store, Command("run.resume", Scope(), run_id))
    else:
        wake(plane, run_id)
    plane.attempt(run_id)


def test_a_failure_after_the_sleep_undoes_what_was_done_before_it(plane: Plane) -> None:
    file = plane.file(
        BOOKING
        + """
@flow
def whole():
    with transaction():
        book()
        hub.sleep(3600)
        raise ValueError("no")
"""
    )
    row = plane.execute(f"{file}:whole")
    go_on(plane, row["id"])
    assert plane.row(row["id"])["state_name"] == "Failed"
    assert seen(plane) == [1, 1, 0]


def test_a_block_does_not_end_before_a_task_of_it_that_waits_for_its_retry(plane: Plane) -> None:
    file = plane.file(
        BOOKING
        + """
@task(retries=1, retry_delay_seconds=3600)
def shaky():
    mark("tried")
    if hub.runtime_context().attempt == 1: raise ValueError("not yet")

@flow
def whole():
    with transaction():
        book()
        shaky.submit()
"""
    )
    row = plane.execute(f"{file}:whole")
    assert (row["state_name"], seen(plane)) == ("AwaitingRetry", [1, 0, 0])
    _due_now(plane)
    wake(plane, row["id"])
    plane.attempt(row["id"])
    assert (plane.row(row["id"])["state_name"], seen(plane), marks(plane, "tried")) == ("Completed", [1, 0, 1], 2)


def _due_now(plane: Plane) -> None:
    with plane.store.write() as tx:
        tx.conn.execute(tasks.TABLE.update().where(tasks.TABLE.c.state_name == "AwaitingRetry").values(due_at=1))
