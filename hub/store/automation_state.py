"""What automations have counted, and the actions that they are still to carry out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import case, delete, func, select

from hub.states import TERMINAL
from hub.store import raw
from hub.store.base import Tx
from hub.store.tables import AutomationAction, AutomationWindow, RunRow
from hub.types import Id, Micros, Scope, derived_id

WINDOWS = AutomationWindow.__table__
ACTIONS = AutomationAction.__table__
_RUNS = RunRow.__table__
_CHAIN = 10
_DEEPEST = "SELECT MAX(depth) FROM automation_actions WHERE target = ? AND workspace_id = ?"


def window(tx: Tx, automation_id: Id, key: str) -> dict[str, Any] | None:
    """What was counted for a key."""
    return raw.select_one(tx, WINDOWS, raw.names_of(WINDOWS), {"automation_id": automation_id, "key": key})


def windows(tx: Tx, automation_id: Id, *, limit: int = 100) -> list[dict[str, Any]]:
    """What an automation counts now; the newest first."""
    tail = f"ORDER BY opened_at DESC LIMIT {int(limit)}"
    where = {"automation_id": automation_id}
    return raw.select_rows(tx, WINDOWS, raw.names_of(WINDOWS), where, guard="opened_at IS NOT NULL", tail=tail)


def keep_window(tx: Tx, workspace_id: Id, automation_id: Id, key: str, values: Mapping[str, Any]) -> None:
    """Keep what was counted for a key, in place of what was kept before."""
    row = {
        "id": derived_id(automation_id, "window", key), "workspace_id": workspace_id, "automation_id": automation_id,
        "key": key, **values,
    }  # fmt: skip
    tx.upsert(WINDOWS, row, keys=["automation_id", "key"])


def drop_window(tx: Tx, automation_id: Id, key: str) -> None:
    """Forget a key."""
    tx.conn.execute(delete(WINDOWS).where(WINDOWS.c.automation_id == automation_id, WINDOWS.c.key == key))


def drop_windows(tx: Tx, ids: Collection[Id]) -> None:
    """Forget all that was counted under some ids: those of an automation and its parts."""
    tx.conn.execute(delete(WINDOWS).where(WINDOWS.c.automation_id.in_(list(ids))))


def overdue(tx: Tx, *, before: Micros, limit: int) -> list[dict[str, Any]]:
    """Windows whose end must be looked at, and has come."""
    tail = f"ORDER BY due_at LIMIT {int(limit)}"
    return raw.select_rows(tx, WINDOWS, raw.names_of(WINDOWS), {}, guard="due_at <= ?", also=(before,), tail=tail)


def add_actions(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    """Plan actions; one that is planned already stays as it is."""
    raw.insert_rows(tx, ACTIONS, rows, suffix=raw.IGNORE)


def due_actions(tx: Tx, *, limit: int) -> list[dict[str, Any]]:
    """Actions to carry out now, in the order of the events that they follow from."""
    tail = f"ORDER BY due_at, seq, automation_id, number LIMIT {int(limit)}"
    return raw.select_rows(tx, ACTIONS, raw.names_of(ACTIONS), {}, guard=_IS_DUE, also=(tx.now,), tail=tail)


_IS_DUE = "status = 'pending' AND due_at <= ?"


def ask_any_due(tx: Tx) -> Callable[[], bool]:
    """Whether there is any, for whoever looks later."""
    asked = raw.ask_rows(tx, ACTIONS, ("id",), {}, guard=_IS_DUE, also=(tx.now,), tail="LIMIT 1")
    return lambda: bool(asked.all())


def end_action(tx: Tx, action_id: Id, values: Mapping[str, Any]) -> bool:
    """Note how a try went; False when another process has ended it meanwhile."""
    return bool(raw.change(tx, ACTIONS, values, {"id": action_id, "status": "pending"}))


def made_run(tx: Tx, action_id: Id, tries: int, target: Id | None) -> None:
    """Note, with the run itself, that an action has made it, at so many tries."""
    values = {"status": "done", "tries": tries, "target": target, "error": None}
    raw.put(tx, ACTIONS, values, {"id": action_id, "status": "pending"})


def is_free(tx: Tx, lane: str) -> bool:
    """Whether nobody is in a lane. Ask only while the position in the stream is locked."""
    return not raw.select_rows(tx, ACTIONS, ("id",), {"lane": lane}, tail="LIMIT 1")


def over(tx: Tx, *, limit: int) -> list[tuple[Id, str]]:
    """The actions, with their lanes, whose runs have ended, or that came to none: the next of their lanes may go.

    Of a run that was placed at a site this is what the site has reported, or that the site will not make it any more.
    """
    return ask_over(tx, limit=limit)()


def ask_over(tx: Tx, *, limit: int) -> Callable[[], list[tuple[Id, str]]]:
    """The same, for whoever looks later."""
    asked = raw.ask(tx, f"{_OVER} LIMIT {int(limit)}", (tx.now,))
    return lambda: [(row[0], row[1]) for row in asked.fetchall()]


_ENDED = ", ".join(f"'{one.value}'" for one in sorted(TERMINAL))
_REPORTED = (
    "LEFT JOIN plane_commands c ON c.id = a.target LEFT JOIN plane_sites s ON s.id = c.site_row "
    "LEFT JOIN plane_runs p ON p.site_row = c.site_row AND p.run_id = c.id"
)
_OVER_THERE = (
    f"p.state_type IN ({_ENDED}) OR p.orphaned_at IS NOT NULL OR SUBSTR(c.outcome, 1, 8) = 'rejected' "
    "OR c.withdrawn_at IS NOT NULL OR s.removed_at IS NOT NULL OR (c.outcome IS NULL AND c.expires_at < ?)"
)
_OVER = (
    f"SELECT a.id, a.lane FROM automation_actions a LEFT JOIN runs r ON r.id = a.target {_REPORTED} "  # noqa: S608
    "WHERE a.lane IS NOT NULL AND a.status <> 'waiting' AND a.status <> 'pending' "
    f"AND ((r.id IS NULL AND c.id IS NULL) OR r.ended_at IS NOT NULL OR {_OVER_THERE})"
)


def go_on(tx: Tx, action_id: Id, lane: str) -> bool:
    """Take an action out of its lane, and let the next be carried out. False when another process did so before.

    The position in the stream must be locked.
    """
    if not raw.change(tx, ACTIONS, {"lane": None}, {"id": action_id, "lane": lane}):
        return False
    following = raw.select_rows(tx, ACTIONS, ("id",), {"lane": lane}, tail=f"ORDER BY {_LINE} LIMIT 1")
    if following:
        raw.put(tx, ACTIONS, {"status": "pending", "due_at": tx.now}, {"id": following[0]["id"]})
    return True


_LINE = "place, automation_id, number"


def lanes_of(tx: Tx, prefix: str, *, limit: int) -> list[dict[str, Any]]:
    """The lanes whose names begin so, with the rest of the name as `key`: how many wait in it, since when, and of the
    first one its run and its error. Those in which the most wait come first."""
    held = f"{prefix}%"
    query = (
        select(
            ACTIONS.c.lane,
            func.count().filter(ACTIONS.c.status == "waiting").label("waiting"),
            func.max(case((ACTIONS.c.status != "waiting", ACTIONS.c.target))).label("run_id"),
            func.max(case((ACTIONS.c.status != "waiting", ACTIONS.c.error))).label("error"),
            func.min(ACTIONS.c.at).label("since"),
        )
        .where(ACTIONS.c.lane.is_not(None), ACTIONS.c.lane.like(held))
        .group_by(ACTIONS.c.lane)
        .order_by(func.count().desc(), ACTIONS.c.lane)
        .limit(limit)
    )
    rows = tx.conn.execute(query).mappings()
    return [{**row, "key": str(row["lane"]).removeprefix(prefix)} for row in rows]


def actions_of(tx: Tx, scope: Scope, automation_id: Id, event_ids: Collection[Id]) -> dict[Id, list[dict[str, Any]]]:
    """The actions of some firings of an automation, by event, in their order."""
    query = select(ACTIONS).where(
        ACTIONS.c.workspace_id == scope.workspace_id, ACTIONS.c.automation_id == automation_id,
        ACTIONS.c.event_id.in_(list(event_ids)),
    )  # fmt: skip
    found: dict[Id, list[dict[str, Any]]] = {}
    for row in tx.conn.execute(query.order_by(ACTIONS.c.number)).mappings():
        found.setdefault(row["event_id"], []).append(dict(row))
    return found


def depth_of(tx: Tx, event: Mapping[str, Any]) -> int:
    """How many automations in a row led to an event: 0 for one that none caused.

    An event of a run, also one that its code wrote, is caused by what made or changed the run, its callers, or the
    run that it does again.
    """
    body, is_ours = event["body"], event["type"].startswith("hub.")
    found = int(body.get("depth") or 0) if event["type"].startswith("hub.automation.") else 0
    if event["run_id"] is None:
        by_automation = is_ours and event["actor"].startswith("automation:")
        return max(found, _deepest(tx, event["workspace_id"], event["subject"]) if by_automation else 0)
    seen: set[Id] = set()
    waiting = [event["run_id"]]
    while waiting and len(seen) < _CHAIN:
        run_id = waiting.pop(0)
        if run_id is None or run_id in seen:
            continue
        seen.add(run_id)
        found = max(found, _deepest(tx, event["workspace_id"], run_id))
        row = raw.select_one(tx, _RUNS, ("parent_run_id", "restart_of"), {"id": run_id})
        waiting += [row["parent_run_id"], row["restart_of"]] if row else []
    return found


def _deepest(tx: Tx, workspace_id: Id, target: str) -> int:
    return int(raw.fetch(tx, _DEEPEST, (target, workspace_id))[0][0] or 0)
