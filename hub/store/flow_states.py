"""What flow control remembers by key. Whoever reads a state to change it holds it until the end of the transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import delete, select

from hub.store import raw
from hub.store.base import Tx
from hub.store.tables import FlowState
from hub.types import Id, Micros, Scope, derived_id

TABLE = FlowState.__table__
IS_OPEN = "(throttle IS NULL OR NOT EXISTS (SELECT 1 FROM flow_states f WHERE f.id = throttle AND f.opened_at > ?))"
"""The condition on a row of runs that its throttle lets one more start now (the parameter)."""
_NEXT_OPENING = (
    "SELECT MIN(f.opened_at) FROM runs r JOIN flow_states f ON f.id = r.throttle "
    "WHERE r.throttle IS NOT NULL AND r.state_type = 'SCHEDULED' AND r.queue = ? AND f.opened_at > ?"
)
_HELD_BACK = (
    "SELECT COUNT(*) FROM (SELECT 1 FROM runs WHERE throttle = ? AND throttle IS NOT NULL "
    "AND state_type = 'SCHEDULED' LIMIT ?) AS held"
)


def state_id(owner_id: Id, control: str, key: str) -> Id:
    """The id of a state: one for each control of an owner and each key."""
    return derived_id(owner_id, "flow", control, key)


def hold(tx: Tx, scope: Scope, owner_id: Id, control: str, key: str) -> dict[str, Any]:
    """The state of a control for a key, new or not; nobody else changes it until the end of the transaction."""
    id_ = state_id(owner_id, control, key)
    row: dict[str, Any] = {
        "id": id_, "workspace_id": scope.workspace_id, "owner_id": owner_id,
        "control": control, "key": key, "opened_at": None, "count": 0, "size": 0, "run_id": None, "free_at": 0,
        "settings": {}, "expires_at": tx.now,
    }  # fmt: skip
    tx.insert_missing(TABLE, row)
    found = held(tx, id_)
    assert found is not None
    return found


def held(tx: Tx, id_: Id) -> dict[str, Any] | None:
    """A state by its id, held as well; None when it is gone."""
    tx.holds = True
    tail = "" if tx.dialect == "sqlite" else "FOR UPDATE"
    found = raw.select_rows(tx, TABLE, raw.names_of(TABLE), {"id": id_}, tail=tail)
    return found[0] if found else None


def keep(tx: Tx, id_: Id, values: Mapping[str, Any], *, until: Micros) -> None:
    """Remember; of no use after `until`."""
    raw.put(tx, TABLE, {**values, "expires_at": until}, {"id": id_})


def next_opening(tx: Tx, queue: str) -> Micros | None:
    """When the next throttle for which a run of a queue waits lets one more start."""
    return ask_next_opening(tx, queue)()


def ask_next_opening(tx: Tx, queue: str) -> Callable[[], Micros | None]:
    """The same, for whoever looks later."""
    asked = raw.ask(tx, _NEXT_OPENING, (queue, tx.now))
    return lambda: next((int(time) for (time,) in asked.fetchall() if time is not None), None)


def held_back(tx: Tx, id_: Id, *, limit: int) -> int:
    """How many runs wait for a throttle; counted no further than `limit`."""
    return int(raw.fetch(tx, _HELD_BACK, (id_, limit))[0][0])


def of_owner(tx: Tx, owner_id: Id, *, limit: int) -> list[dict[str, Any]]:
    """What the controls of an owner remember that is still of use, at most so many of their keys."""
    query = select(TABLE).where(TABLE.c.owner_id == owner_id, TABLE.c.expires_at > tx.now).limit(limit)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def drop(tx: Tx, owner_id: Id) -> None:
    """Forget all that the controls of an owner remember."""
    tx.conn.execute(delete(TABLE).where(TABLE.c.owner_id == owner_id))
