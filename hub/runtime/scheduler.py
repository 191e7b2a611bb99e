"""The scheduler: a planned time that has come becomes a run (of an automation: an event), once, whatever number of
schedulers there is.

The tick is a row whose key is (schedule, planned time), and the run's id is derived from it; both are written in one
transaction with the schedule's next time. After a pause only the last missed time is made up for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, select, update

from hub.errors import ContentionError, HubError, UnavailableError, UsageError
from hub.plugins import Loop
from hub.runtime import calendar, ticking
from hub.runtime.commands import Command, apply_in
from hub.runtime.commands.runs import CreateRun
from hub.runtime.commands.runs import create as create_run
from hub.runtime.placement import OP, asked
from hub.store import events
from hub.store.base import Store, Tx
from hub.store.portions import in_portions
from hub.store.tables import Deployment, Schedule, Tick
from hub.types import SECOND, Actor, Id, Micros, Scope, dated_id, derived_id

log = logging.getLogger("hub.scheduler")
SCHEDULES = Schedule.__table__
DEPLOYMENTS = Deployment.__table__
TICKS = Tick.__table__
BATCH = 50
_IS_DUE = (SCHEDULES.c.active, SCHEDULES.c.next_at <= bindparam("now"))
_DUE = select(SCHEDULES.c.id).where(*_IS_DUE).order_by(SCHEDULES.c.next_at, SCHEDULES.c.id).limit(BATCH)
_NEXT = select(func.min(SCHEDULES.c.next_at)).where(SCHEDULES.c.active)


@dataclass(frozen=True, slots=True)
class Scheduler:
    """One per upkeep process; any number of processes may run one."""

    store: Store
    poll: float = 1.0

    def step(self) -> bool | float:
        """Make runs and events of what is due. True: there may be more; a number: seconds until the next time."""
        with self.store.read() as tx:
            due = list(tx.conn.execute(_DUE, {"now": tx.now}).scalars())
            automations = ticking.due(tx)
            if not due and not automations:
                return self._until_next(tx)
        for automation_id in automations:
            with self.store.write() as tx:
                ticking.tick(tx, automation_id)
        try:
            # What a power cut takes back is planned as before, and comes to the same ticks and runs.
            in_portions(self.store, due, _tick_all)
        except Exception as failure:
            if isinstance(failure, UnavailableError) and not isinstance(failure, ContentionError):
                raise
            # Whose it is shows when each ticks by itself.
            log.debug("%d schedules tick one by one: %s", len(due), failure)
            for schedule_id in due:
                self._tick_alone(schedule_id)
        return True

    def _until_next(self, tx: Tx) -> float:
        times = [when for when in (tx.conn.execute(_NEXT).scalar(), ticking.next_at(tx)) if when is not None]
        return min([self.poll, *(max(0.0, (when - tx.now) / SECOND) for when in times)])

    def _tick_alone(self, schedule_id: Id) -> None:
        try:
            with self.store.write() as tx:
                _tick(tx, schedule_id)
        except UsageError as error:
            self._give_up(schedule_id, error)

    def _give_up(self, schedule_id: Id, error: UsageError) -> None:
        """A schedule that cannot be planned any more (its time zone is gone) is switched off and says so."""
        with self.store.write() as tx:
            row = _due(tx, schedule_id)
            if row is not None:
                tx.conn.execute(update(SCHEDULES).where(SCHEDULES.c.id == schedule_id).values(active=False))
                _failed(tx, row, row["next_at"], error)

    def loop(self) -> Loop:
        """As an upkeep loop."""
        return Loop("scheduler", self.step, interval=self.poll)


def _tick_all(tx: Tx, some: Iterable[Id]) -> None:
    for schedule_id in some:
        _tick(tx, schedule_id)


def _tick(tx: Tx, schedule_id: Id) -> None:
    row = _due(tx, schedule_id)
    if row is None:
        return  # another scheduler was faster, or it was paused or removed
    planned = calendar.last_time(row, first=row["next_at"], until=tx.now)
    if row["deployment_paused"] is False and _first_to_tick(tx, row, planned):
        _start(tx, row, planned)
        if row["place"] is not None:
            tx.holds = True  # the row of its site
    _advance(tx, row)


def tick_run_id(schedule_id: Id, planned_at: Micros) -> Id:
    """The id of the run of a planned time; made once."""
    return dated_id(planned_at, schedule_id, "tick", str(planned_at))


def _due(tx: Tx, schedule_id: Id) -> dict[str, Any] | None:
    joined = SCHEDULES.outerjoin(DEPLOYMENTS, DEPLOYMENTS.c.id == SCHEDULES.c.deployment_id)
    of_it = (DEPLOYMENTS.c.paused.label("deployment_paused"), DEPLOYMENTS.c.name)
    query = select(*SCHEDULES.c, *of_it).select_from(joined)
    query = query.where(SCHEDULES.c.id == schedule_id, SCHEDULES.c.active, SCHEDULES.c.next_at <= tx.now)
    row = tx.conn.execute(query).mappings().first()
    return None if row is None else dict(row)


def _first_to_tick(tx: Tx, row: Mapping[str, Any], planned: Micros) -> bool:
    run_id = tick_run_id(row["id"], planned)
    tick = {"schedule_id": row["id"], "planned_at": planned, "workspace_id": row["workspace_id"], "run_id": run_id}
    return tx.insert_ignore(TICKS, {**tick, "at": tx.now})


def _start(tx: Tx, row: Mapping[str, Any], planned: Micros) -> None:
    try:
        (_create if row["place"] is None else _place)(tx, row, planned)
    except UnavailableError:
        raise
    except HubError as error:
        # Its parameters no longer fit, or no site is as it must be: that must be seen, and must not stop the schedules
        # behind it.
        _failed(tx, row, planned, error)


def _place(tx: Tx, row: Mapping[str, Any], planned: Micros) -> None:
    """By the site's deployment of that name, as when a person places a run."""
    run_id = tick_run_id(row["id"], planned)
    args = asked(row["name"], row["place"], run_id, row["parameters"])
    apply_in(tx, Command(OP, _scope(row), row["name"], args, derived_id(run_id, "command"), "schedule"))


def _scope(row: Mapping[str, Any]) -> Scope:
    return Scope(row["workspace_id"], Actor("schedule", row["id"]))


def _create(tx: Tx, row: Mapping[str, Any], planned: Micros) -> None:
    args = CreateRun.model_validate(
        {
            "run_id": tick_run_id(row["id"], planned),
            "parameters": row["parameters"],
            "due_at": planned,
            "origin": "schedule",
            "origin_id": row["id"],
        }
    )
    create_run(tx, Command("run.create", _scope(row), row["deployment_id"], via="schedule"), args)


def _failed(tx: Tx, row: Mapping[str, Any], planned: Micros, error: HubError) -> None:
    log.warning("schedule %s made no run: %s", row["id"], error.detail)
    fields = {"deployment_id": row["deployment_id"], "planned_at": planned, "error": error.detail}
    events.append(tx, _scope(row), "hub.schedule.failed", subject=row["id"], **fields)


def _advance(tx: Tx, row: Mapping[str, Any]) -> None:
    following = calendar.next_time(row, after=tx.now)
    where = (SCHEDULES.c.id == row["id"], SCHEDULES.c.next_at == row["next_at"])
    tx.conn.execute(update(SCHEDULES).where(*where).values(next_at=following))
