"""A stale attempt's statement that the next attempt overtakes on PostgreSQL: it writes nothing afterwards."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hub.engine.run import Begin
from hub.runtime import orchestrator
from hub.runtime.journal import AttemptLost, Fact
from hub.runtime.journal_sql import TASK_COLUMNS, Fence
from hub.runtime.store_journal import StoreJournal
from hub.store import runs, tasks
from hub.types import DEFAULT_WORKSPACE, Scope, new_id, now_us
from sqlalchemy import text, update

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

SCOPE = Scope()
pytestmark = pytest.mark.parametrize("plane", ["postgresql"], indirect=True)


def fact(run_id: str, task_id: str, state: str, **more: Any) -> Fact:
    row = dict.fromkeys(TASK_COLUMNS) | {
        "id": task_id, "workspace_id": DEFAULT_WORKSPACE, "run_id": run_id, "journal_key": "k", "task_name": "t",
        "name": "t-0", "upstream": "[]", "state_type": state, "state_name": state.title(), "state_message": "",
        "version": 1, "run_attempt": 1, "attempt": 1, "retries_used": 0, "created_at": now_us(),
    }  # fmt: skip
    return Fact(task_id, lambda: tuple(row.values()), **more)


@pytest.mark.parametrize("how", ["one statement", "a transaction"])
def test_a_row_that_the_next_attempt_has_closed_stays_closed(plane: Plane, how: str) -> None:
    run_id, task_id = new_id(), new_id()
    with plane.store.write() as tx:
        runs.create(tx, SCOPE, {"id": run_id, "name": "r", "flow_name": "f", "home": "inline"})
    orchestrator.handle(plane.store, SCOPE, run_id, Begin())
    journal = StoreJournal(plane.store, SCOPE, Fence(run_id, 1, 0))
    met: list[BaseException] = []

    def late() -> None:
        also = None if how == "one statement" else lambda _tx: None
        try:
            journal.settle(fact(run_id, task_id, "COMPLETED", also=also))
        except AttemptLost as lost:
            met.append(lost)

    try:
        journal.settle(fact(run_id, task_id, "RUNNING"))
        thread = threading.Thread(target=late)
        with plane.store.write() as tx:
            tx.conn.execute(update(runs.TABLE).where(runs.TABLE.c.id == run_id).values(attempt=2))
            assert tasks.close_open(tx, SCOPE, run_id, "the attempt that ran it was lost") == 1
            thread.start()
            wait_until_it_is_blocked(plane)
        thread.join(60)
        assert "attempt 1 was given up" in str(met[0])
    finally:
        with pytest.raises(AttemptLost):
            journal.close()
    assert [row["state_type"] for row in plane.tasks()] == ["CRASHED"]


def wait_until_it_is_blocked(plane: Plane) -> None:
    deadline = time.monotonic() + 60
    blocked = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    while True:
        with plane.store.read() as tx:
            if tx.conn.execute(blocked).scalar_one():
                return
        assert time.monotonic() < deadline, "nobody waits for a lock"
        time.sleep(0.01)
