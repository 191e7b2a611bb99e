"""Writing events in the transaction that made them true, and reading them in their stamped order."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from hub import events as catalog
from hub.store import raw
from hub.store.base import Tx
from hub.store.tables import Event
from hub.types import Id, Scope, new_id

TABLE = Event.__table__


def append(
    tx: Tx,
    scope: Scope,
    type_: str,
    *,
    subject: str = "",
    source: str = "hub",
    run_id: Id | None = None,
    event_id: Id | None = None,
    at: int | None = None,
    **fields: Any,
) -> Id:
    """Write one event without a position; the sequencer stamps it once it is committed. Returns its id."""
    body, private = catalog.split(type_, fields)
    row = {
        "id": event_id or new_id(),
        "workspace_id": scope.workspace_id,
        "type": type_,
        "source": source,
        "subject": subject,
        "run_id": run_id,
        "at": tx.now if at is None else at,
        "actor": str(scope.actor),
        "schema_version": 1,
        "body": body,
        "private": private or None,
    }
    tx.insert(TABLE, row)
    tx.wake("stamp")
    return str(row["id"])


def get(tx: Tx, scope: Scope, event_id: Id) -> dict[str, Any] | None:
    """An event by its id, stamped or not."""
    return raw.select_one(tx, TABLE, raw.names_of(TABLE), {"id": event_id, "workspace_id": scope.workspace_id})


def known(tx: Tx, ids: Collection[Id]) -> set[Id]:
    """Which of some events are there."""
    return {row["id"] for row in raw.select_many(tx, TABLE, ("id",), "id", ids)}


def by_ids(tx: Tx, ids: Collection[Id]) -> dict[Id, dict[str, Any]]:
    """Events of any workspace by their ids, for the hub's own work."""
    return {row["id"]: row for row in raw.select_many(tx, TABLE, raw.names_of(TABLE), "id", ids)}


def after(
    tx: Tx, *, seq: int, limit: int, workspace_id: Id | None = None, columns: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """Stamped events after `seq` in order. `workspace_id` None: of all workspaces (links and upkeep). All columns where
    none are named."""
    return ask_after(tx, seq=seq, limit=limit, workspace_id=workspace_id, columns=columns).all()


def ask_after(
    tx: Tx, *, seq: int, limit: int, workspace_id: Id | None = None, columns: tuple[str, ...] = ()
) -> raw.Rows:
    """The same, for whoever looks later."""
    where = {} if workspace_id is None else {"workspace_id": workspace_id}
    tail = f"ORDER BY seq LIMIT {int(limit)}"
    return raw.ask_rows(tx, TABLE, columns or raw.names_of(TABLE), where, guard="seq > ?", also=(seq,), tail=tail)


def before(tx: Tx, scope: Scope, *, seq: int | None, limit: int) -> list[dict[str, Any]]:
    """Stamped events before `seq`, the last ones without it; newest first."""
    guard, also = ("seq IS NOT NULL", ()) if seq is None else ("seq < ?", (seq,))
    where, tail = {"workspace_id": scope.workspace_id}, f"ORDER BY seq DESC LIMIT {int(limit)}"
    return raw.select_rows(tx, TABLE, raw.names_of(TABLE), where, guard=guard, also=also, tail=tail)


def last(tx: Tx) -> int:
    """The position of the last stamped event that is still here; 0 when there is none."""
    return ask_last(tx)()


def ask_last(tx: Tx) -> Callable[[], int]:
    """The same, for whoever looks later."""
    asked = raw.execute(tx, "SELECT MAX(seq) FROM events")
    return lambda: int(asked.fetchone()[0] or 0)


def oldest_unstamped(tx: Tx) -> int | None:
    """When the oldest event happened that is committed and has no position yet."""
    found = raw.fetch(tx, "SELECT MIN(at) FROM events WHERE seq IS NULL")[0][0]
    return None if found is None else int(found)
