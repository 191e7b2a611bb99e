"""A run written down for a replay elsewhere: its parameters, its steps and what each gave. JSON, bounded, read only.

It holds parameters and results, and so whatever is in them: who may have it may read results. Log lines, secrets of
connections and values of variables are not in it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from hub.errors import NotFoundError, UsageError
from hub.runtime.executor.places import Places
from hub.runtime.executor.results import Stored, Unreadable
from hub.store import runs, tasks
from hub.store.base import Store
from hub.types import Id, JsonObject, Scope, rfc3339
from hub.version import __version__

FORMAT = "hub-run/1"
MAX_BYTES = 32 * 1024 * 1024
MAX_STEPS = 20_000
_RUN = ("id", "name", "flow_name", "deployment_name", "tags", "parameters", "attempt", "state_type", "state_name",
        "state_message", "error_type", "error_message")  # fmt: skip
_STEP = ("id", "task_name", "name", "parent_task_run_id", "state_type", "state_name", "version", "attempt",
         "error_type", "error_message")  # fmt: skip


@dataclass(slots=True)
class _Left:
    """How many bytes of results still fit."""

    bytes: int


def record(store: Store, places: Places, scope: Scope, run_id: Id, *, most: int = MAX_BYTES) -> JsonObject:
    """A run with all its steps. Raises NotFoundError, UsageError when it is too large, UnavailableError.

    Results that are kept elsewhere are read and put in; of one that is gone or was not kept it says so.
    """
    table = tasks.TABLE
    query = select(table).where(table.c.run_id == run_id, table.c.workspace_id == scope.workspace_id)
    with store.read() as tx:
        row = runs.row(tx, scope, run_id)
        found = tx.conn.execute(query.order_by(table.c.created_at, table.c.id).limit(MAX_STEPS + 1)).mappings()
        steps = [dict(step) for step in found]
    if row is None:
        raise NotFoundError(f"there is no run {run_id} in this workspace")
    if len(steps) > MAX_STEPS:
        raise UsageError(f"the run has more than {MAX_STEPS} task runs: too many to be written down")
    left = _Left(most)
    told = {name: row[name] for name in _RUN} | {"result": _result(row, places, left)}
    told["created_at"] = rfc3339(row["created_at"])
    written: list[Any] = [
        {name: step[name] for name in _STEP} | {"key": step["journal_key"], "result": _result(step, places, left)}
        for step in steps
    ]
    return {"format": FORMAT, "hub": __version__, "run": told, "steps": written}


def _result(row: Mapping[str, Any], places: Places, left: _Left) -> JsonObject | None:
    """A result as text or base64; None where none is kept."""
    if row["result"] is None:
        return None
    try:
        stored = places.get(Stored(bytes(row["result"]), row["result_format"] or "none"))
    except Unreadable as reason:
        return {"format": "none", "gone": str(reason)}
    data = stored.data or b""
    left.bytes -= len(data)
    if left.bytes < 0:
        raise UsageError(
            f"the results of this run are more than {MAX_BYTES} bytes", hint="Replay a run that read less data."
        )
    if stored.format.startswith("json"):
        return {"format": stored.format, "text": data.decode()}
    return {"format": stored.format, "base64": base64.b64encode(data).decode()}


def stored(result: Mapping[str, Any] | None) -> Stored:
    """A written result as a row would have it."""
    if result is None or result["format"] == "none":
        return Stored(None, "none")
    data = result["text"].encode() if "text" in result else base64.b64decode(result["base64"])
    return Stored(data, result["format"])
