"""Schedules on every store: each planned time once, and no storm after a pause."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hub.runtime import calendar
from hub.runtime.scheduler import TICKS, Scheduler, tick_run_id
from hub.store import Store, runs
from hub.store.tables import Deployment, Event, Schedule
from hub.types import SECOND, Id, Scope, new_id, now_us

SCOPE = Scope()
SCHEDULES = Schedule.__table__  # type: ignore[attr-defined]
MINUTE = 60 * SECOND


def make_schedule(
    store: Store, *, missed: int = 1, step: int = 60, paused: bool = False, **more: Any
) -> dict[str, Any]:
    """An interval schedule whose next time was `missed` steps ago."""
    now, deployment = now_us(), new_id()
    common = {"workspace_id": SCOPE.workspace_id, "created_at": now, "updated_at": now}
    anchor = now - missed * step * SECOND
    row = {"id": new_id(), "deployment_id": deployment, "kind": "interval", "spec": str(step), "timezone": "UTC",
           "anchor_at": anchor, "parameters": {}, "active": True, "next_at": anchor, **common, **more}  # fmt: skip
    with store.write() as tx:
        tx.insert(
            Deployment.__table__,  # type: ignore[attr-defined]
            {"id": deployment, "name": f"d-{deployment[-6:]}", "flow_name": "f", "entrypoint": "f.py:f",
             "description": "", "parameters": {}, "parameter_schema": {}, "tags": [], "queue": "default",
             "retry_policy": {}, "crash_retries": 2, "paused": paused, "version": 1, **common},
        )  # fmt: skip
        tx.insert(SCHEDULES, row)
    return row


def ticks(store: Store, schedule_id: Id) -> list[int]:
    with store.read() as tx:
        query = TICKS.select().where(TICKS.c.schedule_id == schedule_id).order_by(TICKS.c.planned_at)
        return [row.planned_at for row in tx.conn.execute(query)]


def current(store: Store, schedule_id: Id) -> dict[str, Any]:
    with store.read() as tx:
        query = SCHEDULES.select().where(SCHEDULES.c.id == schedule_id)
        return dict(tx.conn.execute(query).mappings().one())


def test_a_planned_time_becomes_a_run_that_was_due_then(store: Store) -> None:
    row = make_schedule(store, missed=0)
    assert Scheduler(store).step() is True
    with store.read() as tx:
        run = runs.row(tx, SCOPE, tick_run_id(row["id"], row["next_at"]))
    assert run is not None
    assert (run["origin"], run["origin_id"], run["due_at"]) == ("schedule", row["id"], row["next_at"])
    assert current(store, row["id"])["next_at"] == row["next_at"] + MINUTE


def test_four_schedulers_tick_once(store: Store) -> None:
    made = [make_schedule(store) for _ in range(5)]
    threads = [threading.Thread(target=Scheduler(store).step) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [len(ticks(store, row["id"])) for row in made] == [1] * 5
    with store.read() as tx:
        assert len(runs.listing(tx, SCOPE).items) == 5


def test_one_that_cannot_be_planned_does_not_keep_the_others_from_their_runs(store: Store) -> None:
    made = [make_schedule(store, timezone="Atlantis/Gone" if number == 5 else "UTC", kind="cron", spec="* * * * *")
            for number in range(12)]  # fmt: skip
    while Scheduler(store).step() is True:
        continue
    assert [len(ticks(store, row["id"])) for row in made] == [number != 5 for number in range(12)]
    assert [current(store, row["id"])["active"] for row in made] == [number != 5 for number in range(12)]
    with store.read() as tx:
        assert len(runs.listing(tx, SCOPE).items) == 11


def test_only_the_last_missed_time_is_made_up_for(store: Store) -> None:
    row = make_schedule(store, missed=500)
    Scheduler(store).step()
    (planned,) = ticks(store, row["id"])
    assert planned == row["anchor_at"] + 500 * MINUTE
    assert current(store, row["id"])["next_at"] == planned + MINUTE


def test_it_says_how_long_until_the_next_planned_time(store: Store) -> None:
    make_schedule(store, missed=0, next_at=now_us() + SECOND // 2)
    wait = Scheduler(store).step()
    assert 0 < wait <= 0.5


def test_a_paused_deployment_or_schedule_makes_no_run(store: Store) -> None:
    held, off = make_schedule(store, paused=True), make_schedule(store, active=False)
    Scheduler(store).step()
    assert ticks(store, held["id"]) == ticks(store, off["id"]) == []
    assert current(store, held["id"])["next_at"] > now_us()


def test_a_schedule_whose_deployment_is_gone_moves_on(store: Store) -> None:
    row = make_schedule(store)
    with store.write() as tx:
        tx.conn.execute(Deployment.__table__.delete())  # type: ignore[attr-defined]
    Scheduler(store).step()
    assert ticks(store, row["id"]) == []


def test_parameters_that_no_longer_fit_are_an_event_and_stop_nothing(store: Store) -> None:
    wrong, right = make_schedule(store), make_schedule(store)
    table = Deployment.__table__  # type: ignore[attr-defined]
    with store.write() as tx:
        schema = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
        tx.conn.execute(table.update().where(table.c.id == wrong["deployment_id"]).values(parameter_schema=schema))
    Scheduler(store).step()
    with store.read() as tx:
        events = tx.conn.execute(Event.__table__.select()).mappings().all()  # type: ignore[attr-defined]
        assert len(runs.listing(tx, SCOPE).items) == 1
    (failed,) = [event for event in events if event["type"] == "hub.schedule.failed"]
    assert failed["subject"] == wrong["id"]
    assert len(ticks(store, right["id"])) == 1


def test_a_schedule_that_cannot_be_planned_is_switched_off(store: Store) -> None:
    row = make_schedule(store, kind="cron", spec="* * * * *", timezone="Mars/Olympus")
    Scheduler(store).step()
    assert current(store, row["id"])["active"] in (False, 0)


@pytest.mark.parametrize("minutes", [0, 1, 59, 60, 61, 1440, 10_000, 600_000])
@pytest.mark.parametrize("spec", ["* * * * *", "*/7 * * * *", "30 2 * * *", "0 12 * * 1"])
@pytest.mark.parametrize("begin", ["2026-03-29T00:00", "2026-10-25T00:00", "2026-06-01T00:00"])
def test_the_last_time_is_the_one_that_counting_forward_finds(minutes: int, spec: str, begin: str) -> None:
    schedule = {"kind": "cron", "spec": spec, "timezone": "Europe/Berlin"}
    start = int(datetime.fromisoformat(begin).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()) * SECOND
    first = calendar.next_time(schedule, after=start)
    assert first is not None
    until = first + minutes * MINUTE
    found = calendar.last_time(schedule, first=first, until=until)
    following = calendar.next_time(schedule, after=found)
    assert following is not None
    assert found <= until < following
