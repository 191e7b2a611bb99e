"""A run's life on every store."""

from __future__ import annotations

import pytest
from hub.engine.run import Cancel, Claim, Complete, Dispatch, Fail, Lose
from hub.errors import ConflictError
from hub.runtime.commands import Command, apply
from hub.runtime.orchestrator import handle
from hub.store import Store, attempts, runs
from hub.store.tables import Effect, Event
from hub.types import Scope, new_id

SCOPE = Scope()


def make_run(store: Store, **more: object) -> str:
    run_id = new_id()
    with store.write() as tx:
        assert runs.create(tx, SCOPE, {"id": run_id, "name": "a-run", "flow_name": "a", **more})
    return run_id


def test_it_runs_from_scheduled_to_completed(store: Store) -> None:
    run_id, worker = make_run(store), new_id()
    handle(store, SCOPE, run_id, Dispatch(worker))
    handle(store, SCOPE, run_id, Claim(1, 1))
    with store.read() as tx:
        assert attempts.taken(tx) == {worker: 1}
    handle(store, SCOPE, run_id, Complete(1, 1))
    with store.read() as tx:
        row = runs.row(tx, SCOPE, run_id)
        names = [state["name"] for state in runs.history(tx, SCOPE, run_id)]
        events = tx.conn.execute(Event.__table__.select()).mappings().all()  # type: ignore[attr-defined]
        effects = tx.conn.execute(Effect.__table__.select()).mappings().all()  # type: ignore[attr-defined]
        assert attempts.taken(tx) == {}
    assert row is not None
    assert (row["state_type"], row["version"], row["attempt"]) == ("COMPLETED", 3, 1)
    assert names == ["Scheduled", "Pending", "Running", "Completed"]
    assert sorted(e["type"] for e in events) == [
        "hub.run.completed",
        "hub.run.created",
        "hub.run.dispatched",
        "hub.run.started",
    ]
    assert len(effects) == 3


def test_it_refuses_a_report_of_an_older_attempt(store: Store) -> None:
    run_id = make_run(store)
    handle(store, SCOPE, run_id, Dispatch(new_id()))
    handle(store, SCOPE, run_id, Claim(1, 1))
    handle(store, SCOPE, run_id, Lose(1, 1))
    handle(store, SCOPE, run_id, Dispatch(new_id()))
    with pytest.raises(ConflictError) as caught:
        handle(store, SCOPE, run_id, Complete(1, 1))
    assert caught.value.code == "stale"


def test_it_crashes_when_the_crash_retries_are_spent(store: Store) -> None:
    run_id = make_run(store, crash_retries=1)
    for number in (1, 2):
        handle(store, SCOPE, run_id, Dispatch(new_id()))
        handle(store, SCOPE, run_id, Claim(number, 1))
        last = handle(store, SCOPE, run_id, Lose(number, 1))
    assert last.state.name == "Crashed"


def test_a_final_state_stays(store: Store) -> None:
    run_id = make_run(store)
    handle(store, SCOPE, run_id, Cancel())
    with pytest.raises(ConflictError):
        handle(store, SCOPE, run_id, Dispatch(new_id()))


def test_a_cancel_of_a_running_run_waits_for_its_end_and_holds(store: Store) -> None:
    run_id = make_run(store)
    handle(store, SCOPE, run_id, Dispatch(new_id()))
    handle(store, SCOPE, run_id, Claim(1, 1))
    command = Command("run.cancel", SCOPE, run_id)
    assert apply(store, command).result["state_type"] == "CANCELLING"
    assert apply(store, command).repeated
    assert handle(store, SCOPE, run_id, Fail(1, 1)).state.name == "Cancelled"


def test_a_cancel_over_a_link_before_its_run_leaves_a_tombstone(store: Store) -> None:
    run_id = new_id()
    assert apply(store, Command("run.cancel", SCOPE, run_id, via="link")).status == "accepted"
    with store.write() as tx:
        assert not runs.create(tx, SCOPE, {"id": run_id, "name": "a", "flow_name": "a"})
    again = apply(store, Command("run.cancel", SCOPE, run_id, via="link"))
    assert (again.status, again.code) == ("rejected", "already_final")
    unknown = apply(store, Command("no.such", SCOPE, run_id, via="link"))
    assert (unknown.status, unknown.code) == ("rejected", "unsupported")
