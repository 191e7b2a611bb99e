"""Dispatching and sweeping on every store, with a broker that is a list."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hub.engine.run import Cancel, Claim, Complete
from hub.errors import UnavailableError
from hub.runtime import process
from hub.runtime.commands import Command, apply
from hub.runtime.dispatch import Dispatcher
from hub.runtime.orchestrator import handle
from hub.runtime.sweeper import MAX_EPOCHS, Sweeper
from hub.store import Store, attempts, leaders, runs, workers
from hub.types import SECOND, Id, Scope, new_id, now_us

SCOPE = Scope()


class Bells:
    """A publisher that keeps what it was given."""

    def __init__(self) -> None:
        self.rung: list[tuple[Id, Id, int]] = []
        self.removed: list[Id] = []
        self.away = False

    def _try(self) -> None:
        if self.away:
            raise UnavailableError("the broker does not answer", code="broker-away")

    def ring(self, worker_id: Id, attempt_id: Id, epoch: int) -> None:
        self._try()
        self.rung.append((worker_id, attempt_id, epoch))

    def ping_if_idle(self, after: float = 5.0) -> None:
        self._try()

    def remove_queue(self, worker_id: Id) -> None:
        self._try()
        self.removed.append(worker_id)


@pytest.fixture
def bells() -> Bells:
    return Bells()


@pytest.fixture
def dispatcher(store: Store, bells: Bells) -> Dispatcher:
    return Dispatcher(store, bells)  # type: ignore[arg-type]


@pytest.fixture
def sweeper(store: Store, bells: Bells) -> Sweeper:
    return Sweeper(store, bells, claim_timeout=0.0)  # type: ignore[arg-type]


def make_worker(store: Store, *, slots: int = 2, lease_s: float = 30, ready: bool = True, **more: Any) -> Id:
    worker_id = new_id()
    me = {**process.identity().columns(), **more}
    row = {"id": worker_id, "workspace_id": SCOPE.workspace_id, "name": "w", "version": "0", "queues": ["default"],
           "slots": slots, **me}  # fmt: skip
    with store.write() as tx:
        workers.register(tx, row, lease_s=lease_s)
        if ready:
            assert workers.ready(tx, worker_id)
    return worker_id


def make_run(store: Store, **more: Any) -> Id:
    run_id = new_id()
    with store.write() as tx:
        assert runs.create(tx, SCOPE, {"id": run_id, "name": "a-run", "flow_name": "a", **more})
    return run_id


def set_queue(store: Store, name: str, **values: Any) -> None:
    apply(store, Command("queue.set", SCOPE, args={"name": name, **values}))


def state(store: Store, run_id: Id) -> str:
    with store.read() as tx:
        row = runs.row(tx, SCOPE, run_id)
    assert row is not None
    return str(row["state_name"])


def claim(store: Store, run_id: Id, *, dead: bool = False, lease_s: float = 30) -> Id:
    """Claim a dispatched run as this process, or as one that has ended."""
    me = process.identity()
    if dead:
        me = dataclasses.replace(me, pid_started="1")
    handle(store, SCOPE, run_id, Claim(1, 1), lease_s=lease_s, process=me.columns())
    return attempts.attempt_id(run_id, 1)


def test_it_fills_free_slots_and_no_more(store: Store, dispatcher: Dispatcher, bells: Bells) -> None:
    worker = make_worker(store, slots=2)
    made = [make_run(store) for _ in range(3)]
    assert dispatcher.step() is False, "no slot is free: there is nothing to look at"
    assert [state(store, run_id) for run_id in made] == ["Pending", "Pending", "Scheduled"]
    assert sorted(bells.rung) == sorted((worker, attempts.attempt_id(run_id, 1), 1) for run_id in made[:2])
    dispatcher.step()
    assert len(bells.rung) == 2


def test_it_looks_again_while_a_slot_is_free(store: Store, dispatcher: Dispatcher, bells: Bells) -> None:
    make_worker(store, slots=2)
    make_run(store)
    assert 0 < dispatcher.step() < 0.1
    make_run(store)
    assert dispatcher.step() is False
    assert len(bells.rung) == 2


def test_the_end_of_an_attempt_wakes_the_dispatcher(store: Store, dispatcher: Dispatcher, bells: Bells) -> None:
    make_worker(store, slots=1)
    runs_ = [make_run(store) for _ in range(2)]
    dispatcher.step()
    claim(store, runs_[0])
    listener = store.listen("runs")
    try:
        handle(store, SCOPE, runs_[0], Complete(1, 1))
        assert listener.wait(5.0) == {"runs"}
    finally:
        listener.close()
    dispatcher.step()
    assert len(bells.rung) == 2


def test_it_sends_to_the_worker_with_most_free_slots(store: Store, dispatcher: Dispatcher, bells: Bells) -> None:
    small, big = make_worker(store, slots=1), make_worker(store, slots=3)
    for _ in range(4):
        make_run(store)
    dispatcher.step()
    assert sorted(worker for worker, *_ in bells.rung) == sorted([small, big, big, big])


def test_it_sends_nothing_to_a_worker_that_is_not_ready_or_out_of_lease(
    store: Store, dispatcher: Dispatcher, bells: Bells
) -> None:
    make_worker(store, ready=False)
    make_worker(store, lease_s=-1)
    draining = make_worker(store)
    with store.write() as tx:
        workers.drain(tx, draining)
    make_run(store)
    dispatcher.step()
    assert bells.rung == []


def test_it_serves_only_the_queues_of_a_worker(store: Store, dispatcher: Dispatcher, bells: Bells) -> None:
    make_worker(store)
    make_run(store, queue="gpu")
    dispatcher.step()
    assert bells.rung == []


def test_a_queue_with_a_lower_priority_number_is_served_first(
    store: Store, dispatcher: Dispatcher, bells: Bells
) -> None:
    make_worker(store, slots=1, queues=["default", "urgent"])
    set_queue(store, "urgent", priority=0)
    later, urgent = make_run(store), make_run(store, queue="urgent")
    dispatcher.step()
    assert (state(store, later), state(store, urgent)) == ("Scheduled", "Pending")


def test_a_paused_queue_waits(store: Store, dispatcher: Dispatcher, bells: Bells) -> None:
    make_worker(store)
    set_queue(store, "default", paused=True)
    run_id = make_run(store)
    dispatcher.step()
    assert state(store, run_id) == "Scheduled"


def test_a_queue_takes_no_more_than_its_own_slots(store: Store, dispatcher: Dispatcher, bells: Bells) -> None:
    make_worker(store, slots=5)
    set_queue(store, "default", slots=1)
    for _ in range(3):
        make_run(store)
    dispatcher.step()
    dispatcher.step()
    assert len(bells.rung) == 1


def test_a_run_that_is_not_due_yet_waits_and_the_dispatcher_says_how_long(
    store: Store, dispatcher: Dispatcher, bells: Bells
) -> None:
    make_worker(store)
    make_run(store, due_at=now_us() + SECOND // 2)
    wait = dispatcher.step()
    assert bells.rung == []
    assert 0 < wait <= 0.5


def test_an_inline_run_is_never_dispatched(store: Store, dispatcher: Dispatcher, bells: Bells) -> None:
    make_worker(store)
    make_run(store, home="inline")
    dispatcher.step()
    assert bells.rung == []


def test_no_attempt_is_opened_while_the_broker_is_away(store: Store, dispatcher: Dispatcher, bells: Bells) -> None:
    make_worker(store)
    run_id = make_run(store)
    bells.away = True
    with pytest.raises(UnavailableError):
        dispatcher.step()
    assert state(store, run_id) == "Scheduled"
    bells.away = False
    dispatcher.step()
    assert state(store, run_id) == "Pending"


def test_a_run_whose_publish_failed_goes_back_in_line_and_says_so(
    store: Store, dispatcher: Dispatcher, bells: Bells, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make_worker(store)
    run_id = make_run(store)
    monkeypatch.setattr(bells, "ping_if_idle", lambda: setattr(bells, "away", True))
    with pytest.raises(UnavailableError):
        dispatcher.step()
    assert state(store, run_id) == "Late"
    with store.read() as tx:
        row = runs.row(tx, SCOPE, run_id)
        assert attempts.taken(tx).get(worker, 0) == 0
    assert row is not None
    assert "broker does not answer" in row["state_message"]


def test_an_unclaimed_message_is_sent_again_elsewhere_with_the_next_epoch(
    store: Store, dispatcher: Dispatcher, sweeper: Sweeper, bells: Bells
) -> None:
    first, second = make_worker(store), make_worker(store)
    make_run(store)
    dispatcher.step()
    sweeper.step()
    (sent_to, key, _), again = bells.rung
    other = second if sent_to == first else first
    assert again == (other, key, 2)


def test_a_lone_worker_gets_the_message_again(
    store: Store, dispatcher: Dispatcher, sweeper: Sweeper, bells: Bells
) -> None:
    worker = make_worker(store, slots=1)
    run_id = make_run(store)
    dispatcher.step()
    sweeper.step()
    key = attempts.attempt_id(run_id, 1)
    assert bells.rung == [(worker, key, 1), (worker, key, 2)]


def test_a_message_that_nobody_takes_puts_its_run_back_in_line(
    store: Store, dispatcher: Dispatcher, sweeper: Sweeper, bells: Bells
) -> None:
    make_worker(store)
    run_id = make_run(store)
    dispatcher.step()
    for _ in range(MAX_EPOCHS):
        sweeper.step()
    assert state(store, run_id) == "Late"
    assert len(bells.rung) == MAX_EPOCHS


def test_a_run_whose_worker_left_waits_in_the_open(
    store: Store, dispatcher: Dispatcher, sweeper: Sweeper, bells: Bells
) -> None:
    worker = make_worker(store)
    run_id = make_run(store)
    dispatcher.step()
    with store.write() as tx:
        workers.drain(tx, worker)
    sweeper.step()
    assert state(store, run_id) == "Late"


def test_a_lease_that_ran_out_ends_the_attempt(store: Store, dispatcher: Dispatcher, sweeper: Sweeper) -> None:
    make_worker(store)
    run_id = make_run(store)
    dispatcher.step()
    claim(store, run_id, lease_s=-1)
    sweeper.step()
    assert state(store, run_id) == "Recovering"


def test_a_running_attempt_with_a_lease_is_left_alone(store: Store, dispatcher: Dispatcher, sweeper: Sweeper) -> None:
    make_worker(store)
    run_id = make_run(store)
    dispatcher.step()
    claim(store, run_id)
    sweeper.step()
    assert state(store, run_id) == "Running"


def test_a_dead_process_of_this_machine_ends_its_attempt_at_once(
    store: Store, dispatcher: Dispatcher, sweeper: Sweeper
) -> None:
    make_worker(store)
    run_id = make_run(store)
    dispatcher.step()
    claim(store, run_id, dead=True)
    sweeper.step()
    assert state(store, run_id) == "Recovering"


def test_leases_are_given_time_after_a_pause_of_the_machine(
    store: Store, dispatcher: Dispatcher, sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_worker(store)
    run_id = make_run(store)
    dispatcher.step()
    claim(store, run_id, lease_s=-1)
    monkeypatch.setattr(sweeper, "_looked_at", now_us() - 3600 * SECOND)
    sweeper.step()
    assert state(store, run_id) == "Running"


def test_a_lost_workers_messages_go_back_in_line_without_costing_a_crash(
    store: Store, dispatcher: Dispatcher, sweeper: Sweeper, bells: Bells
) -> None:
    worker = make_worker(store)
    run_id = make_run(store)
    dispatcher.step()
    with store.write() as tx:
        workers.renew(tx, worker, lease_s=-1)
    sweeper.step()
    with store.read() as tx:
        row = runs.row(tx, SCOPE, run_id)
        known = workers.get(tx, worker)
    assert row is not None
    assert known is not None
    assert (row["state_name"], row["crashes"], known["status"]) == ("Recovering", 0, "gone")
    assert bells.removed == [worker]


def test_a_worker_whose_process_died_is_lost_at_once(store: Store, sweeper: Sweeper) -> None:
    worker = make_worker(store, pid_started="1")
    sweeper.step()
    with store.read() as tx:
        known = workers.get(tx, worker)
    assert known is not None
    assert known["status"] == "gone"


def test_a_cancelled_run_is_not_dispatched(store: Store, dispatcher: Dispatcher, bells: Bells) -> None:
    make_worker(store)
    run_id = make_run(store)
    handle(store, SCOPE, run_id, Cancel())
    dispatcher.step()
    assert bells.rung == []


def test_a_lock_of_a_dead_process_is_given_back(store: Store, sweeper: Sweeper) -> None:
    dead = dataclasses.replace(process.identity(), pid_started="1")
    with store.write() as tx:
        leaders.take(tx, "dead", f"{dead}#1")
        leaders.take(tx, "alive", f"{process.identity()}#1")
    sweeper.step()
    with store.write() as tx:
        assert leaders.take(tx, "dead", "next") == 2
        assert leaders.take(tx, "alive", "next") is None
