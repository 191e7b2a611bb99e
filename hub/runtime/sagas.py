"""Finds runs that have ended with steps which are neither committed nor undone, and has them undone by any worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.engine.retry import RetryPolicy
from hub.errors import ConflictError, ContentionError
from hub.plugins import Loop
from hub.states import StateType
from hub.store import runs, transactions
from hub.store.base import Store, Tx
from hub.types import Actor, Scope, dated_id

ACTOR = Actor("system", "rollback")
_POLICY = runs.policy_data(RetryPolicy(retries=1_000_000, delays=(1.0,), cap=300.0, jitter=0.1))
"""Of the run. How often each step is tried is counted with the step."""
_MANY = 1_000_000


@dataclass(slots=True)
class Sagas:
    """One per upkeep process; several do no harm, a run that undoes is made once."""

    store: Store
    interval: float = 1.0

    def step(self) -> bool:
        """Look once. Never says True: what it starts needs no second look."""
        with self.store.read() as tx:
            found = transactions.abandoned(tx)
        for owner in found:
            with self.store.write() as tx:
                _go_on(tx, owner)
        return False

    def loop(self) -> Loop:
        """As an upkeep loop."""
        return Loop("rollbacks", self.step, topics=("runs",), interval=self.interval, pace=0.1, linger=0.01)


def again(tx: Tx, scope: Scope, rollback: Mapping[str, Any]) -> dict[str, Any]:
    """Undo after all what a rollback that has ended could not, in a run of its own. Raises ConflictError."""
    owner = runs.row(tx, scope, rollback["origin_id"])
    if transactions.unfinished(tx, scope, rollback["origin_id"]):
        raise ConflictError(f"run {rollback['origin_id']} is being rolled back already", code="rolling_back")
    if owner is None or not transactions.retry(tx, scope, owner["id"]):
        raise ConflictError(
            f"run {rollback['id']} left nothing that could not be undone", code="nothing_failed",
            hint=f"`hub runs show {rollback['origin_id']}` lists what was undone.",
        )  # fmt: skip
    row = _row(owner, len(transactions.rollback_runs(tx, scope, owner["id"])))
    if not runs.create(tx, scope, {**row, "restart_of": rollback["id"]}):
        raise ContentionError(f"run {owner['id']} is rolled back by somebody else at the same time", hint="Try again.")
    return {"id": row["id"], "name": row["name"], "created": True}


def _go_on(tx: Tx, owner: Mapping[str, Any]) -> None:
    scope = Scope(owner["workspace_id"], ACTOR)
    if not transactions.unfinished(tx, scope, owner["id"]):
        return
    before = transactions.rollback_runs(tx, scope, owner["id"])
    last = before[-1] if before else None
    if last is not None and last["ended_at"] is None:
        return
    if last is None or last["state_type"] == StateType.COMPLETED:
        # Of a run that was given up while it still executed, something may have been staged later.
        runs.create(tx, scope, _row(owner, len(before)))
        return
    told = f"its rollback {last['id']} is {last['state_name']}. {last['state_message']}".strip()
    transactions.give_up_all(tx, scope, owner["id"], told, last["id"])


def _row(owner: Mapping[str, Any], number: int) -> dict[str, Any]:
    return {
        "id": dated_id(owner["id"], owner["id"], "rollback", str(number)), "name": f"rollback-of-{owner['name']}"[:200],
        "flow_name": owner["flow_name"], "queue": owner["queue"], "origin": transactions.ROLLBACK,
        "origin_id": owner["id"], "parent_run_id": owner["id"], "tags": owner["tags"],
        "parameters": {"run_id": owner["id"]}, "retry_policy": _POLICY, "crash_retries": _MANY,
    }  # fmt: skip
