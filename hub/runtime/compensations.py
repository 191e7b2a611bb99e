"""What of a run is or was to be undone, as people see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub.store import runs, transactions
from hub.store.base import Tx
from hub.types import Id, Scope


@dataclass(frozen=True, slots=True)
class Compensations:
    """Steps with hooks that undo them, oldest first; the newest run that undoes them; a sentence."""

    items: Sequence[Mapping[str, Any]]
    rollback_run_id: Id | None
    summary: str


def of_run(tx: Tx, scope: Scope, run_id: Id) -> Compensations:
    """The steps that a run staged, or that were staged for it by others."""
    rows = transactions.of_run(tx, scope, run_id)
    if not rows:
        return Compensations([], None, "")
    before = transactions.rollback_runs(tx, scope, run_id)
    run = runs.get(tx, scope, run_id)
    ended = run is not None and run.state.final
    return Compensations(rows, before[-1]["id"] if before else None, _summary(rows, before, ended=ended))


def _summary(rows: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]], *, ended: bool) -> str:
    count = Counter(row["state"] for row in rows)
    failed = next((row for row in reversed(rows) if row["state"] == "failed"), None)
    if failed is not None:
        return f"rollback failed: {count['failed']} of {len(rows)} steps: {failed['name']}: {failed['error']}"
    left = count["staged"] + count["rolling_back"]
    if left and before and before[-1]["ended_at"] is None:
        last = before[-1]
        told = f": {last['state_message']}" if last["state_message"] else ""
        return f"rolling back: {left} of {len(rows)} steps are left; run {last['id']} is {last['state_name']}{told}"
    if left and ended:
        return f"not rolled back yet: {left} of {len(rows)} steps wait for a worker"
    if count["rolling_back"]:
        return f"rolling back: {left} of {len(rows)} steps are left"
    if count["staged"]:
        return f"staged: {count['staged']} of {len(rows)} steps are undone unless their transaction commits"
    if count["done"]:
        return f"rolled back: {count['done']} of {len(rows)} steps"
    return f"committed: {len(rows)} steps"
