"""What ran, as tests look at it: a run, its tasks, its lines. Read once, as it was then."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from hub.errors import NotFoundError
from hub.runtime.executor.places import Places
from hub.runtime.executor.results import PLAIN, TYPED, Stored, decode
from hub.settings import Settings
from hub.states import State, StateType
from hub.store import run_details, runs
from hub.store.base import Store, Tx
from hub.store.tasks import left_out
from hub.types import SECOND, Id, Scope


@dataclass(frozen=True, slots=True)
class Line:
    """A line that a run wrote. `level` as in Python's logging; `task` is the name of the task run that wrote it."""

    at: datetime
    level: int
    logger: str
    message: str
    task: str | None


@dataclass(frozen=True, slots=True)
class TaskRun:
    """A task run. `attempt`: how many tries it took; `states`: the names of all that it was in."""

    id: Id
    name: str
    task_name: str
    state: State
    attempt: int
    states: tuple[str, ...]
    started_at: datetime | None
    ended_at: datetime | None
    error_type: str | None
    error_message: str | None
    stored: Stored | None = field(repr=False)
    places: Places | None = field(repr=False, default=None)

    @property
    def result(self) -> Any:
        """What it gave, read back; models and dataclasses as their JSON. Raises Unreadable when nothing is kept."""
        return _value(self.stored, self.places)


@dataclass(frozen=True, slots=True)
class Run:
    """A flow run."""

    id: Id
    name: str
    flow_name: str
    state: State
    attempt: int
    states: tuple[str, ...]
    parameters: Mapping[str, Any]
    tags: tuple[str, ...]
    tasks: tuple[TaskRun, ...]
    logs: tuple[Line, ...]
    created_at: datetime
    due_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    error_type: str | None
    error_message: str | None
    deployment_name: str | None
    parent_run_id: Id | None
    origin: str
    stored: Stored | None = field(repr=False)
    places: Places | None = field(repr=False, default=None)

    @property
    def result(self) -> Any:
        """What the flow gave, read back; models and dataclasses as their JSON. Raises Unreadable: it was not kept."""
        return _value(self.stored, self.places)

    @property
    def ok(self) -> bool:
        """Whether it has completed."""
        return self.state.type is StateType.COMPLETED

    def task(self, name: str) -> TaskRun:
        """The one task run of that name, or of that task. Raises NotFoundError that names those there are."""
        found = [task for task in self.tasks if task.name == name] or self.tasks_of(name)
        if len(found) == 1:
            return found[0]
        known = ", ".join(task.name for task in self.tasks) or "none"
        raise NotFoundError(f"run {self.name} has {len(found)} task runs {name!r}", hint=f"There are {known}.")

    def tasks_of(self, task_name: str) -> list[TaskRun]:
        """The runs of a task, in the order they were called."""
        return [task for task in self.tasks if task.task_name == task_name]

    def __str__(self) -> str:
        """Its state, its error and its tasks, for the message of an assertion."""
        error = f": {self.error_message}" if self.error_message else ""
        lines = [f"run {self.name} is {self.state.name}{error}"]
        for task in self.tasks:
            tries = f", {task.attempt} tries" if task.attempt > 1 else ""
            why = f": {task.error_message}" if task.error_message else ""
            lines.append(f"  {task.name} is {task.state.name}{tries}{why}")
        return "\n".join(lines)


def read(store: Store, settings: Settings, scope: Scope, run_id: Id) -> Run:
    """A run with all that belongs to it. Raises NotFoundError."""
    places = Places(settings.home / "results", store, scope)
    with store.read() as tx:
        row = runs.row(tx, scope, run_id)
        if row is None:
            raise NotFoundError(f"there is no run {run_id}")
        history = _history(tx, scope, run_id)
        tasks = tuple(_task(found, history, places) for found in _rows(tx, run_details.TASKS, run_id))
        names = {task.id: task.name for task in tasks}
        lines = tuple(_line(found, names) for found in _rows(tx, run_details.LOGS, run_id))
    return Run(
        row["id"], row["name"], row["flow_name"], _state(row), row["attempt"], _names(history.get(None, [])),
        row["parameters"], tuple(row["tags"]), tasks, lines, at(row["created_at"]), at(row["due_at"]),
        _maybe(row["started_at"]), _maybe(row["ended_at"]), row["error_type"], row["error_message"],
        row["deployment_name"], row["parent_run_id"], row["origin"], _stored(row), places,
    )  # fmt: skip


def ids(store: Store, scope: Scope, flow_name: str | None) -> list[Id]:
    """The ids of runs (of a flow), oldest first."""
    query = select(runs.TABLE.c.id).where(runs.TABLE.c.workspace_id == scope.workspace_id)
    if flow_name is not None:
        query = query.where(runs.TABLE.c.flow_name == flow_name)
    with store.read() as tx:
        return list(tx.conn.execute(query.order_by(runs.TABLE.c.id)).scalars())


def at(micros: int) -> datetime:
    """A time of the hub as a datetime in UTC."""
    return datetime.fromtimestamp(micros / SECOND, UTC)


def _maybe(micros: int | None) -> datetime | None:
    return None if micros is None else at(micros)


def _state(row: Mapping[str, Any]) -> State:
    return State(StateType(row["state_type"]), row["state_name"], row["state_message"])


def _stored(row: Mapping[str, Any]) -> Stored | None:
    return None if row["result"] is None else Stored(bytes(row["result"]), row["result_format"] or PLAIN)


def _rows(tx: Tx, table: Any, run_id: Id) -> list[dict[str, Any]]:
    query = select(table).where(table.c.run_id == run_id).order_by(table.c.id)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def _history(tx: Tx, scope: Scope, run_id: Id) -> dict[Id | None, list[dict[str, Any]]]:
    found: dict[Id | None, list[dict[str, Any]]] = {}
    for row in _rows(tx, runs.STATES, run_id):
        if row["workspace_id"] == scope.workspace_id:
            found.setdefault(row["task_run_id"], []).append(row)
    return found


def _names(history: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(row["name"] for row in history)


def _task(row: Mapping[str, Any], history: Mapping[Id | None, list[dict[str, Any]]], places: Places) -> TaskRun:
    entered = history.get(row["id"], [])
    names = _names([*entered, *left_out(row, entered)])
    return TaskRun(
        row["id"], row["name"], row["task_name"], _state(row), row["attempt"], names,
        _maybe(row["started_at"]), _maybe(row["ended_at"]), row["error_type"], row["error_message"], _stored(row),
        places,
    )  # fmt: skip


def _line(row: Mapping[str, Any], names: Mapping[Id, str]) -> Line:
    return Line(at(row["at"]), row["level"], row["logger"], row["message"], names.get(row["task_run_id"] or ""))


def _value(stored: Stored | None, places: Places | None) -> Any:
    if stored is None:
        return None
    whole = places.get(stored) if places is not None else stored
    if whole.format == TYPED and whole.data is not None:
        return json.loads(whole.data)
    # Whoever wrote it is the test itself, so that reading it may run code.
    return decode(whole, serializer=whole.format)
