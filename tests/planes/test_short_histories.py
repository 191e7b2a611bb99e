"""Task runs that leave no history rows, because their own row says the same; and those that must leave them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from hub import flow, task
from hub.store import runs
from hub.store.tables import SiteValue
from hub.store.tasks import LISTENER
from hub.types import Scope

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any


@task
def quick(number: int) -> int:
    return number


@task(retries=1)
def second_time(tries: list[int]) -> int:
    tries.append(1)
    if len(tries) == 1:
        raise ValueError
    return 1


@task
def bad() -> None:
    raise KeyError


@flow
def called() -> None:
    quick(1)


@flow
def submitted() -> None:
    quick.submit(1).result()


def rows(plane: Plane) -> list[str]:
    """The history rows of task runs as they are in the database."""
    with plane.store.read() as tx:
        query = runs.STATES.select().where(runs.STATES.c.task_run_id.is_not(None)).order_by(runs.STATES.c.id)
        return [row.name for row in tx.conn.execute(query)]


def told(plane: Plane) -> list[tuple[str, int]]:
    """The history of the only task run as people are told it."""
    only = plane.tasks()[0]
    with plane.store.read() as tx:
        found = runs.history(tx, Scope(), only["run_id"], task_run_id=only["id"])
    assert {(row["task_run_id"], row["attempt"]) for row in found} == {(only["id"], only["attempt"])}
    return [(row["name"], row["at"]) for row in found]


def test_of_a_task_that_is_called_the_row_says_when_it_began_and_ended(plane: Plane) -> None:
    called()
    assert rows(plane) == []
    only = plane.tasks()[0]
    assert told(plane) == [("Running", only["started_at"]), ("Completed", only["ended_at"])]
    assert only["created_at"] == only["started_at"] < only["ended_at"]


def test_of_one_that_is_submitted_it_says_how_long_it_waited(plane: Plane) -> None:
    submitted()
    only = plane.tasks()[0]
    assert told(plane) == [
        ("Pending", only["created_at"]), ("Running", only["started_at"]), ("Completed", only["ended_at"]),
    ]  # fmt: skip
    assert rows(plane) in ([], ["Pending"]), "it may have been written before it began"


def test_what_is_not_told_by_the_row_has_rows(plane: Plane) -> None:
    @task
    def slow() -> None:
        until = time.monotonic() + 60
        while "Running" not in rows(plane) and time.monotonic() < until:
            time.sleep(0.02)

    @flow
    def several() -> None:
        slow()
        second_time([])
        with pytest.raises(KeyError):
            bad()

    several()
    slowly, again = ["Running", "Completed"], ["Running", "AwaitingRetry", "Retrying", "Completed"]
    assert rows(plane) == [*slowly, *again, "Running", "Failed"]


def test_nothing_is_left_out_where_somebody_reads_the_rows(plane: Plane) -> None:
    with plane.store.write() as tx:
        tx.insert(SiteValue.__table__, {"name": LISTENER, "value": {"id": 0}})  # type: ignore[attr-defined]
    called()
    assert rows(plane) == ["Running", "Completed"]
    assert [name for name, _ in told(plane)] == ["Running", "Completed"]
