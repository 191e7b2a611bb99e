"""Throttle: a run that is due starts when its key may start another one. Asked by the dispatcher.

A key that may not yet is left out when the dispatcher looks for work (`flow_states.IS_OPEN`), so however many runs wait
for it, nobody stands behind them. What counts is when a run is sent to a worker, whatever held it up before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.engine import flowcontrol
from hub.engine.run import Run
from hub.store import flow_states, raw, runs
from hub.store.base import Tx
from hub.types import SECOND, Id, Micros

MOST_AHEAD = 1000


def passes(tx: Tx, run: Run, state_id: Id) -> bool:
    """Whether a run may start now; if so it is counted, and asks no more."""
    state = flow_states.held(tx, state_id)
    if state is None:
        return True
    limit, period, burst = _settings(state["settings"])
    start, free_at = flowcontrol.start_at(state["free_at"], limit, period, burst, tx.now)
    if start > tx.now:
        flow_states.keep(tx, state_id, {"opened_at": start}, until=max(state["expires_at"], start))
        return False
    opens_at = flowcontrol.opens_at(free_at, limit, period, burst)
    flow_states.keep(tx, state_id, {"free_at": free_at, "opened_at": opens_at}, until=free_at)
    raw.put(tx, runs.TABLE, {"throttle": None}, {"id": run.id, "version": run.version})
    return True


def expect(tx: Tx, state: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[Micros, int]:
    """Keep what a throttle was asked with. When one more run of the key may start, and how many are before it.

    Counted no further than MOST_AHEAD.
    """
    limit, period, burst = _settings(settings)
    opens_at = flowcontrol.opens_at(state["free_at"], limit, period, burst)
    until = max(state["expires_at"], tx.now)
    flow_states.keep(tx, state["id"], {"settings": settings, "opened_at": opens_at}, until=until)
    ahead = flow_states.held_back(tx, state["id"], limit=MOST_AHEAD)
    return flowcontrol.turn_at(ahead, state["free_at"], limit, period, burst, tx.now), ahead


def _settings(given: Mapping[str, Any]) -> tuple[int, Micros, int]:
    return given["limit"], int(given["period"] * SECOND), given.get("burst", 1)
