"""Runs that are asked for to see what would come of them: made in a database in memory that knows what they ask about.

Flow control decides by what it remembers, and remembers by writing. So that a look takes no writer's turn and waits for
nobody, what the requests ask about is read from the store, and they are carried out elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Table, or_, select

from hub.errors import HubError, UnavailableError
from hub.runtime.commands import Command, apply_in
from hub.runtime.throttling import MOST_AHEAD
from hub.states import StateType
from hub.store import flow_states, open_store, raw, runs
from hub.store.base import Store, Tx
from hub.store.tables import Deployment
from hub.types import Id

_DEPLOYMENTS = Deployment.__table__
_STATES, _RUNS = flow_states.TABLE, runs.TABLE
_PASSES = 10
"""What is known after a pass may make the next one ask about more: at most once for each control of a request."""


def rehearse(store: Store, commands: Sequence[Command]) -> list[dict[str, Any] | HubError]:
    """What each `run.create` would give after those before it, or why it would be refused. Nothing is changed.

    Raises UnavailableError when what they ask about changes all the time.
    """
    known: frozenset[Id] = frozenset()
    for _ in range(_PASSES if commands else 0):
        with store.read() as tx, _copy(tx, commands, known) as there:
            found = [_tried(there, command) for command in commands]
            asked = frozenset(there.conn.execute(select(_STATES.c.id)).scalars())
        if asked <= known:
            return found
        known |= asked
    if commands:
        raise UnavailableError("what the runs would come to could not be found out", hint="Try again.")
    return []


def _tried(tx: Tx, command: Command) -> dict[str, Any] | HubError:
    raw.execute(tx, "SAVEPOINT request")
    try:
        return dict(apply_in(tx, command).result)
    except HubError as refused:
        raw.execute(tx, "ROLLBACK TO request")
        return refused


@contextmanager
def _copy(tx: Tx, commands: Sequence[Command], states: Collection[Id]) -> Iterator[Tx]:
    """A database in memory with what the commands ask about, as far as it is known, at the time of `tx`."""
    memory = open_store("sqlite://", tx.keyring)
    try:
        memory.migrate()
        with memory.write() as there:
            for table, rows in _asked_about(tx, commands, states):
                there.insert(table, rows)
            yield there
    finally:
        memory.close()


def _asked_about(
    tx: Tx, commands: Sequence[Command], states: Collection[Id]
) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
    """Deployments, what their controls remember, the runs that these have made, and those that wait for a throttle."""
    workspaces = {command.scope.workspace_id for command in commands}
    targets = {command.target for command in commands}
    named = or_(_DEPLOYMENTS.c.name.in_(targets), _DEPLOYMENTS.c.id.in_(targets))
    yield _DEPLOYMENTS, _rows(tx, _DEPLOYMENTS, named, _DEPLOYMENTS.c.workspace_id.in_(workspaces))
    remembered = _rows(tx, _STATES, _STATES.c.id.in_(list(states)))
    yield _STATES, remembered
    made = _rows(tx, _RUNS, _RUNS.c.id.in_([row["run_id"] for row in remembered if row["run_id"]]))
    for row in remembered:
        if row["control"] == "throttle":
            waits = (_RUNS.c.throttle == row["id"], _RUNS.c.state_type == StateType.SCHEDULED)
            made += _rows(tx, _RUNS, *waits, limit=MOST_AHEAD)
    yield _RUNS, list({row["id"]: row for row in made}.values())


def _rows(tx: Tx, table: Table, *where: Any, limit: int | None = None) -> list[dict[str, Any]]:
    return [dict(row) for row in tx.conn.execute(select(table).where(*where).limit(limit)).mappings()]
