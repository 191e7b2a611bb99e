"""Limits of deployments: which lane a run belongs to, and the loop that turns surplus runs away."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from hub.engine.lanes import LaneRun, turned_away
from hub.engine.run import Cancel
from hub.errors import ConflictError, ExpressionError
from hub.plugins import Loop
from hub.runtime import orchestrator
from hub.runtime.requests import Decision, tell
from hub.runtime.schemas import with_defaults
from hub.states import StateType
from hub.store import lanes, runs
from hub.store.base import Store, Tx
from hub.types import Actor, Id, Scope

ACTOR = Actor("system", "lanes")
VARIABLES = ("params",)
BATCH = 8
"""Runs that are cancelled in one transaction."""
_BEFORE = (StateType.SCHEDULED, StateType.PENDING)
_TURNED_AWAY = {"cancel_new": _BEFORE[:1], "cancel_old": (*_BEFORE, StateType.RUNNING)}
"""In which states: one that is being cancelled is not cancelled again, and `cancel_new` touches nobody who began."""


def lane_for(deployment: Mapping[str, Any], parameters: Mapping[str, Any]) -> str | None:
    """The lane of a run with these parameters; None where the deployment has no limit. Raises ExpressionError."""
    if deployment["concurrency"] is None:
        return None
    template = deployment["concurrency_key"]
    if not template:
        return lanes.name_of(deployment["id"])
    from hub.runtime import expressions  # noqa: PLC0415 - CEL is loaded where a key needs it

    try:
        params = with_defaults(parameters, deployment["parameter_schema"])
        known = {"params": expressions.cel_input(params)}
        key = expressions.apply_mapping(template, known, where="concurrency_key", names=VARIABLES)
    except ExpressionError as error:
        raise ExpressionError(
            f"the concurrency key of deployment {deployment['name']} has no value: {error.detail}", hint=error.hint
        ) from None
    return lanes.name_of(deployment["id"], lanes.fit(key) or "-")


def check_key(template: str) -> None:
    """Refuse a key that is no expression. Raises ExpressionError."""
    from hub.runtime import expressions  # noqa: PLC0415 - as above

    if template:
        expressions.check_mapping(template, where="concurrency_key", names=VARIABLES)


@dataclass(frozen=True, slots=True)
class Lanes:
    """One per upkeep process; every change is guarded by the rules, so several do no harm."""

    store: Store
    interval: float = 1.0

    def step(self) -> bool:
        """Cancel what its deployment does not want to wait. Never says True: what is left is wanted."""
        with self.store.read() as tx:
            over = [row for row in lanes.choosy(tx) if _surplus(tx, row)]
        for row in over:
            while self._turn_away(row):
                pass
        return False

    def _turn_away(self, row: lanes.Choosy) -> bool:
        """Cancel a few runs of a deployment; whether there are more. Who is one too many is decided anew in the same
        transaction: meanwhile somebody may have made room, and the run begun."""
        why = "newer runs took its place" if row.overflow == "cancel_old" else "its limit was reached"
        message = f"deployment {row.name} runs at most {row.concurrency} at once: {why}"
        scope, left = Scope(row.workspace_id, ACTOR), BATCH
        with self.store.write() as tx:
            for run_id in _surplus(tx, row):
                run = runs.get(tx, scope, run_id)
                if run is None or run.state.type not in _TURNED_AWAY[row.overflow]:
                    continue
                if left == 0:
                    return True
                with contextlib.suppress(ConflictError):
                    if orchestrator.attempt(tx, scope, run_id, Cancel(message), seen=run) is not None:
                        decision = Decision("concurrency", "cancelled", f"concurrency: {message}", run_id)
                        tell(tx, scope, decision, {"id": row.id, "name": row.name})
                left -= 1
        return False

    def loop(self) -> Loop:
        """As an upkeep loop."""
        return Loop("lanes", self.step, topics=("runs",), interval=self.interval, pace=0.02, linger=0.01)


def _surplus(tx: Tx, row: lanes.Choosy) -> list[Id]:
    found: list[Id] = []
    waits = sorted(lanes.waiting_of(tx, row.id, row.queue), key=lambda run: run.lane)
    for lane, same in groupby(waits, key=lambda run: run.lane):
        both = [LaneRun(run.id, run.attempt > 0) for run in same]
        both += [LaneRun(run_id, begun=True) for run_id in lanes.live(tx, lane)]
        # Ids tell the order of making.
        found += turned_away(sorted(both, key=lambda run: run.id), row.concurrency, row.overflow)
    return found
