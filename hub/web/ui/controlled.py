"""Flow control of a deployment for people: which controls are set, what they count, and what waits with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from hub.engine import flowcontrol
from hub.engine.why import Reason
from hub.runtime.why import why
from hub.store import flow_states
from hub.store.base import Tx
from hub.store.tables import RunRow
from hub.types import SECOND, Id, Micros, Scope
from hub.web.ui import show
from hub.web.ui.view import View

RUNS = RunRow.__table__
SEEN = 1_000
"""So many runs that wait in the workspace, those that have waited longest, are looked through."""
EXPLAINED = 5
MOST_KEYS = 20
_SPANS = ("period", "timeout")


@dataclass(frozen=True, slots=True)
class Step:
    """A control that is set: its settings in words, and what it does."""

    name: str
    settings: tuple[tuple[str, str], ...]
    does: str


@dataclass(frozen=True, slots=True)
class Counted:
    """What a control remembers of a key: a sentence, and of a window how full it is in percent."""

    control: str
    key: str
    words: str
    full: int | None = None


def steps(deployment: Mapping[str, Any]) -> list[Step]:
    """The controls that are set, in the order in which they are applied."""
    controls = dict(deployment["flow_control"] or {})
    if deployment["concurrency"]:
        controls["concurrency"] = {"limit": deployment["concurrency"], "key": deployment["concurrency_key"] or ""}
    return [Step(name, _told(controls[name]), does) for name, does in flowcontrol.ORDER.items() if name in controls]


def _told(settings: Any) -> tuple[tuple[str, str], ...]:
    if isinstance(settings, str):
        return (("key", settings),)
    if isinstance(settings, list):
        return tuple(
            ("event", f"{one.get('event')} {one.get('match') or one.get('if') or ''}".strip()) for one in settings
        )
    return tuple((name, _value(name, value)) for name, value in settings.items() if value not in (None, ""))


def _value(name: str, value: Any) -> str:
    return show.duration(int(value * SECOND)) if name in _SPANS and isinstance(value, int | float) else str(value)


def counted(tx: Tx, deployment: Mapping[str, Any]) -> list[Counted]:
    """What the controls count now, by key."""
    controls = deployment["flow_control"] or {}
    rows = flow_states.of_owner(tx, deployment["id"], limit=MOST_KEYS) if controls else []
    found = [_counted(row, controls.get(row["control"]), tx.now) for row in rows]
    return sorted((one for one in found if one), key=lambda one: (one.control, one.key))


def _counted(row: Mapping[str, Any], settings: Any, now: Micros) -> Counted | None:
    control, key, count = row["control"], row["key"], row["count"]
    if control == "rate_limit" and settings:
        left = show.duration(max(0, row["expires_at"] - now))
        words = f"{count} of {settings['limit']} let through; a new window begins in {left}"
        return Counted(control, key, words, min(100, 100 * count // settings["limit"]))
    if control == "batch" and settings and row["run_id"]:
        words = f"{count} of {settings['max_size']} collected"
        return Counted(control, key, words, min(100, 100 * count // settings["max_size"]))
    if control == "debounce" and row["run_id"]:
        return Counted(control, key, f"{show.plural(count, 'request')} so far, the last one counts")
    if control == "throttle" and (row["opened_at"] or 0) > now:
        return Counted(control, key, f"the next one may start in {show.duration(row['opened_at'] - now)}")
    return None


def waiting(tx: Tx, scope: Scope, deployment_id: Id) -> list[dict[str, Any]]:
    """Runs of a deployment that wait to start, those that have waited longest first."""
    columns = [RUNS.c[name] for name in ("id", "name", "state_type", "state_name", "due_at", "deployment_id")]
    mine = (RUNS.c.workspace_id == scope.workspace_id, RUNS.c.state_type == "SCHEDULED")
    seen = select(*columns).where(*mine).order_by(RUNS.c.id).limit(SEEN).subquery()
    query = select(seen).where(seen.c.deployment_id == deployment_id).order_by(seen.c.id).limit(SEEN)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def explained(view: View, rows: list[dict[str, Any]]) -> list[tuple[dict[str, Any], Reason]]:
    """The first few of them, each with what it waits for, as `hub runs why` says it."""
    return [(row, why(view.store, view.services.settings, view.scope, row["id"])) for row in rows[:EXPLAINED]]
