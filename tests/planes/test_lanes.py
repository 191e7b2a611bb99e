"""Limits of deployments and of keys, on every store: who is dispatched, who waits, who is turned away, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hub.engine.run import Claim, Complete, Lose
from hub.errors import ExpressionError, UsageError
from hub.runtime.commands import Command, apply
from hub.runtime.dispatch import Dispatcher
from hub.runtime.lanes import Lanes
from hub.runtime.orchestrator import handle
from hub.runtime.retention import Retention
from hub.runtime.why import why
from hub.settings import load_settings
from hub.store import Store, attempts, events, lanes, runs
from hub.types import SECOND, Id, now_us
from sqlalchemy import select

from .test_dispatch import SCOPE, Bells, make_run, make_worker, set_queue

Deploy = Callable[..., None]


@pytest.fixture
def bells() -> Bells:
    return Bells()


@pytest.fixture
def dispatch(store: Store, bells: Bells) -> Callable[[], list[Id]]:
    """Dispatch all that can be; the runs in the order of their bells."""
    dispatcher = Dispatcher(store, bells)  # type: ignore[arg-type]

    def go() -> list[Id]:
        before = len(bells.rung)
        while dispatcher.step() is True:
            pass
        with store.read() as tx:
            found = [attempts.get(tx, key) for _, key, _ in bells.rung[before:]]
        return [row["run_id"] for row in found if row is not None]

    return go


@pytest.fixture
def deploy(store: Store) -> Deploy:
    def make(name: str = "d", **args: Any) -> None:
        full = {"name": name, "flow_name": name, "entrypoint": "f.py:f", **args}
        apply(store, Command("deployment.set", SCOPE, name, full))

    return make


def start(store: Store, name: str = "d", **parameters: Any) -> Id:
    return str(apply(store, Command("run.create", SCOPE, name, {"parameters": parameters})).result["id"])


def end(store: Store, run_id: Id) -> None:
    with store.read() as tx:
        run = runs.get(tx, SCOPE, run_id)
    assert run is not None
    handle(store, SCOPE, run_id, Claim(run.attempt, run.epoch))
    handle(store, SCOPE, run_id, Complete(run.attempt, run.epoch))


def state(store: Store, run_id: Id) -> str:
    with store.read() as tx:
        found = runs.get(tx, SCOPE, run_id)
    assert found is not None
    return found.state.name


def test_a_deployment_runs_no_more_at_once_than_it_says(store: Store, deploy: Deploy, dispatch: Any) -> None:
    deploy(concurrency=2)
    make_worker(store, slots=10)
    made = [start(store) for _ in range(5)]
    assert dispatch() == made[:2]
    assert dispatch() == []
    end(store, made[0])
    assert dispatch() == [made[2]]


def test_runs_that_are_blocked_hold_up_nobody_behind_them(store: Store, deploy: Deploy, dispatch: Any) -> None:
    deploy(concurrency=1)
    make_worker(store, slots=20)
    blocked = [start(store) for _ in range(30)]
    free = [make_run(store) for _ in range(12)]
    assert sorted(dispatch()) == sorted([blocked[0], *free])


def test_each_key_has_a_limit_of_its_own(store: Store, deploy: Deploy, dispatch: Any) -> None:
    deploy(concurrency=1, concurrency_key="customer:${params.id}")
    make_worker(store, slots=10)
    first, second = [start(store, id="a") for _ in range(3)], [start(store, id="b") for _ in range(3)]
    assert dispatch() == [first[0], second[0]]
    end(store, second[0])
    assert dispatch() == [second[1]]


def test_keys_take_turns_and_others_are_not_behind_them(store: Store, deploy: Deploy, dispatch: Any) -> None:
    deploy(concurrency=5, concurrency_key="=params.id")
    make_worker(store, slots=1)
    many, few = [start(store, id="a") for _ in range(4)], [start(store, id="b") for _ in range(2)]
    other = make_run(store)
    order = []
    for _ in range(7):
        (run_id,) = dispatch()
        order.append(run_id)
        end(store, run_id)
    assert order == [many[0], few[0], other, many[1], few[1], many[2], many[3]]


def test_a_lost_run_gives_its_place_in_the_lane_back(store: Store, deploy: Deploy, dispatch: Any) -> None:
    deploy(concurrency=1, crash_retries=0)
    make_worker(store, slots=10)
    made = [start(store) for _ in range(2)]
    assert dispatch() == made[:1]
    handle(store, SCOPE, made[0], Claim(1, 1))
    handle(store, SCOPE, made[0], Lose(1, 1, "gone"))
    assert dispatch() == made[1:]


@pytest.mark.parametrize(("overflow", "kept"), [("cancel_new", [0]), ("cancel_old", [3]), ("enqueue", [0, 1, 2, 3])])
def test_what_is_beyond_the_limit_waits_or_is_cancelled(
    store: Store, deploy: Deploy, dispatch: Any, overflow: str, kept: list[int]
) -> None:
    deploy(concurrency=1, overflow=overflow)
    made = [start(store) for _ in range(4)]
    Lanes(store).step()
    left = [place for place, run_id in enumerate(made) if state(store, run_id) == "Scheduled"]
    assert left == kept
    with store.read() as tx:
        query = select(events.TABLE.c.run_id).where(events.TABLE.c.type == "hub.flow_control.cancelled")
        told = set(tx.conn.execute(query).scalars())
    assert told == {run_id for place, run_id in enumerate(made) if place not in kept}


def test_the_newest_pushes_out_one_that_executes(store: Store, deploy: Deploy, dispatch: Any) -> None:
    deploy(concurrency=1, overflow="cancel_old")
    make_worker(store, slots=10)
    old = start(store)
    dispatch()
    handle(store, SCOPE, old, Claim(1, 1))
    new = start(store)
    Lanes(store).step()
    assert (state(store, old), dispatch()) == ("Cancelling", [])
    Lanes(store).step()
    handle(store, SCOPE, old, Complete(1, 1))
    assert (state(store, old), dispatch()) == ("Cancelled", [new])


def test_a_run_that_has_begun_is_not_turned_away_by_new_ones(store: Store, deploy: Deploy, dispatch: Any) -> None:
    deploy(concurrency=1, overflow="cancel_new")
    make_worker(store, slots=10)
    first = start(store)
    dispatch()
    handle(store, SCOPE, first, Claim(1, 1))
    handle(store, SCOPE, first, Lose(1, 1, "gone"))
    second = start(store)
    Lanes(store).step()
    assert (state(store, first), state(store, second)) == ("Recovering", "Cancelled")


def test_a_changed_limit_holds_for_runs_that_were_there(store: Store, deploy: Deploy, dispatch: Any) -> None:
    deploy()
    made = [start(store, id=number % 2) for number in range(4)]
    deploy(concurrency=1, concurrency_key="=params.id")
    make_worker(store, slots=10)
    assert dispatch() == made[:2]
    deploy()
    assert dispatch() == made[2:]


def test_a_lane_that_waits_in_two_queues_has_one_limit(store: Store, deploy: Deploy, dispatch: Any) -> None:
    made = []
    for queue in ("one", "two"):
        set_queue(store, queue)
        deploy(concurrency=1, queue=queue)
        made.append(start(store))
    make_worker(store, slots=10, queues=["one", "two"])
    assert dispatch() == made[:1]
    end(store, made[0])
    assert dispatch() == made[1:]


class Late:
    """A store before whose first write something else happens."""

    def __init__(self, store: Store, before: Callable[[], None]) -> None:
        self.read = store.read
        self._store = store
        self._before: list[Callable[[], None]] = [before]

    def write(self) -> Any:
        while self._before:
            self._before.pop()()
        return self._store.write()


def test_a_run_that_began_since_it_was_counted_is_not_turned_away(store: Store, deploy: Deploy, dispatch: Any) -> None:
    deploy(concurrency=1, overflow="cancel_new")
    make_worker(store, slots=10)
    first = start(store)
    dispatch()
    second = start(store)

    def meanwhile() -> None:
        end(store, first)
        assert dispatch() == [second]
        handle(store, SCOPE, second, Claim(1, 1))

    Lanes(Late(store, meanwhile)).step()  # type: ignore[arg-type]
    assert state(store, second) == "Running"


def test_many_runs_beyond_the_limit_are_turned_away_in_one_step(store: Store, deploy: Deploy, dispatch: Any) -> None:
    deploy(concurrency=10, overflow="cancel_old")
    make_worker(store, slots=20)
    old = [start(store) for _ in range(10)]
    while dispatch():
        pass
    for run_id in old:
        handle(store, SCOPE, run_id, Claim(1, 1))
    new = [start(store) for _ in range(20)]
    Lanes(store).step()
    assert {state(store, run_id) for run_id in old} == {"Cancelling"}
    assert [state(store, run_id) for run_id in new] == ["Cancelled"] * 10 + ["Scheduled"] * 10
    Lanes(store).step()


def test_a_new_limit_holds_for_however_many_runs_wait(store: Store, deploy: Deploy) -> None:
    deploy()
    start(store)
    columns = [f'"{column.name}"' for column in runs.TABLE.c if column.name != "id"]
    many = (
        f"INSERT INTO runs (id, {', '.join(columns)}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        f"WHERE i < 10100) SELECT 'r-' || CAST(i AS text), {', '.join(columns)} FROM runs, n"
    )
    with store.write() as tx:
        tx.conn.exec_driver_sql(many)
    deploy(concurrency=1)
    with store.read() as tx:
        free = tx.conn.execute(runs.TABLE.select().where(runs.TABLE.c.lane.is_(None))).all()
    assert free == []


def test_a_key_that_has_no_value_refuses_the_run_and_a_wrong_one_the_deployment(store: Store, deploy: Deploy) -> None:
    deploy(concurrency=1, concurrency_key="customer:${params.id}")
    with pytest.raises(ExpressionError, match="concurrency key of deployment d"):
        start(store, other=1)
    with pytest.raises(ExpressionError, match="body"):
        deploy(concurrency=1, concurrency_key="=body.id")
    with pytest.raises(UsageError, match="needs a limit"):
        deploy(overflow="cancel_new")


def test_why_names_the_deployment_the_key_the_holder_and_the_place(store: Store, deploy: Deploy, dispatch: Any) -> None:
    deploy(concurrency=1, concurrency_key="=params.id")
    make_worker(store, slots=10)
    made = [start(store, id="a") for _ in range(3)]
    dispatch()
    reason = why(store, load_settings(), SCOPE, made[2])
    assert (reason.rule, reason.holder) == ("limit", made[0])
    assert reason.sentence.startswith("Deployment d runs at most 1 at once for a,")
    assert "in place 2" in reason.sentence


def test_turns_are_forgotten_after_a_day(store: Store, deploy: Deploy, dispatch: Any) -> None:
    deploy(concurrency=1, concurrency_key="=params.id")
    make_worker(store, slots=10)
    start(store, id="a")
    dispatch()

    def known() -> int:
        with store.read() as tx:
            return len(tx.conn.execute(lanes.TABLE.select()).all())

    Retention(store, load_settings()).step()
    assert known() == 1
    with store.write() as tx:
        tx.conn.execute(lanes.TABLE.update().values(served_at=now_us() - 2 * 86_400 * SECOND))
    Retention(store, load_settings()).step()
    assert known() == 0
