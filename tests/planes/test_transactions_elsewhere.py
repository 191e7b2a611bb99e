"""Calls that workers make in a transaction of the flow that sent them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hub.store import transactions

from .conftest import Plane
from .test_remote import Workers

CODE = """
def note(name):
    with open(Path(__file__).with_name("effects"), "a") as out: out.write(name + " ")

def undo(step):
    note(f"undo-{step.result}-{step.get('by')}")

@task(on_rollback=[undo], on_commit=[lambda step: note(f"commit-{step.arguments['n']}")])
def book(n): return n * 10

@flow(task_runner=CeleryTaskRunner(chunk=2), retries=1)
def trip(fails: int):
    with transaction() as txn:
        txn.set("by", "Ada")
        booked = book.map(range(3)).result()
        if runtime_context().attempt <= fails: raise ValueError("no money")
    return booked
"""


@pytest.fixture
def workers(plane: Plane) -> Iterator[Workers]:
    found = Workers(plane)
    yield found
    found.close()


def test_they_commit_with_it(plane: Plane, workers: Workers) -> None:
    file = plane.file(CODE)
    row = plane.execute(f"{file}:trip", {"fails": 0})
    assert (row["state_name"], row["result"]) == ("Completed", b"[0,10,20]"), row["error_trace"]
    assert sorted(file.with_name("effects").read_text().split()) == ["commit-0", "commit-1", "commit-2"]
    assert _states(plane) == ["committed"] * 3


def test_they_are_undone_with_it_and_made_again(plane: Plane, workers: Workers) -> None:
    file = plane.file(CODE)
    run_id = plane.run(f"{file}:trip", {"fails": 1}, retry_policy={"retries": 1})
    plane.attempt(run_id)
    assert plane.row(run_id)["state_name"] == "AwaitingRetry"
    undone = file.with_name("effects").read_text().split()
    assert sorted(undone) == ["undo-0-Ada", "undo-10-Ada", "undo-20-Ada"]
    assert undone.index("undo-10-Ada") < undone.index("undo-0-Ada"), "last first"
    plane.attempt(run_id)
    assert plane.row(run_id)["state_name"] == "Completed"
    assert _states(plane) == ["done"] * 3 + ["committed"] * 3


def _states(plane: Plane) -> list[str]:
    with plane.store.read() as tx:
        query = transactions.TABLE.select().order_by(transactions.TABLE.c.ordinal)
        return [row["state"] for row in tx.conn.execute(query).mappings()]
