"""`cancel_on`: a later event cancels a run. The loop that looks at what was stamped.

Nothing is missed between the making of a run and the looking: the run notes after which event it listens (the one
that made an automation ask for it, else the last one that was stamped), and what the loop had passed by the time it
sees the run is looked at again for that run. All is decided under the lock of the cursor, so by one process at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any

from hub.engine.run import Cancel
from hub.errors import ConflictError, ContentionError, ExpressionError
from hub.plugins import Loop
from hub.runtime import orchestrator
from hub.runtime.executor.texts import clean
from hub.runtime.expressions import VARIABLES, cel_input, compile_expression
from hub.runtime.payloads import variables_of
from hub.runtime.requests import Decision, tell
from hub.runtime.schemas import with_defaults
from hub.store import events, hooks, run_cancels
from hub.store.base import Store, Tx
from hub.types import Actor, Id, Scope

BATCH = 200
NAMES = ("params", *VARIABLES)
_MOST_NOTED = 10_000


class CancelOn:
    """One per upkeep process; any number may run, a run is cancelled once."""

    def __init__(self, store: Store, interval: float = 1.0) -> None:
        self.store = store
        self.interval = interval
        self._noted: set[Id] = set()

    def step(self) -> bool:
        """Look at what is new: runs that listen since, and events. True when there may be more."""
        with self.store.read() as tx:
            patterns = run_cancels.patterns(tx)
            if not patterns:
                return False
            new = run_cancels.new_ones(tx, limit=BATCH)
            start = max(run_cancels.cursor(tx), run_cancels.first_seq(tx))
            batch = events.after(tx, seq=start, limit=BATCH)
        if new:
            return self._catch_up(new) or bool(batch) or len(new) == BATCH
        return self._go_on(patterns, batch) if batch else False

    def _catch_up(self, new: Sequence[Mapping[str, Any]]) -> bool:
        """Look at what was passed before these were seen. True when there may be more of it."""
        first = min(row["after_seq"] for row in new)
        with self.store.read() as tx:
            until = run_cancels.cursor(tx)
            page = events.after(tx, seq=first, limit=BATCH) if first < until else []
        passed = [event for event in page if event["seq"] <= until]
        known = self._described(passed, {row["event"] for row in new})
        with self.store.write() as tx:
            if run_cancels.lock(tx) != until:
                return True
            for event, variables in known:
                self._try(tx, event, variables, new)
            done = len(page) < BATCH or page[-1]["seq"] >= until
            seq = until if done else page[-1]["seq"]
            run_cancels.move(tx, [row["id"] for row in new], seq=seq, caught_up=done)
        return not done

    def _go_on(self, patterns: set[str], batch: Sequence[Mapping[str, Any]]) -> bool:
        known = self._described(batch, patterns)
        with self.store.write() as tx:
            if run_cancels.lock(tx) >= batch[0]["seq"] or not run_cancels.patterns(tx) <= patterns:
                return True
            rows = run_cancels.of_patterns(tx, patterns) if known else []
            for event, variables in known:
                self._try(tx, event, variables, rows)
            run_cancels.advance(tx, batch[-1]["seq"])
        return len(batch) == BATCH

    def _described(
        self, batch: Iterable[Mapping[str, Any]], patterns: set[str]
    ) -> list[tuple[Mapping[str, Any], Mapping[str, Any] | str]]:
        """The events of these types with what expressions see of them, or why they see nothing."""
        found: list[tuple[Mapping[str, Any], Mapping[str, Any] | str]] = []
        for event in batch:
            if any(fnmatchcase(event["type"], pattern) for pattern in patterns):
                try:
                    found.append((event, variables_of(self.store, event)))
                except ExpressionError as error:
                    found.append((event, error.detail))
        return found

    def _try(
        self, tx: Tx, event: Mapping[str, Any], variables: Mapping[str, Any] | str, rows: Iterable[Mapping[str, Any]]
    ) -> None:
        for row in rows:
            if row["workspace_id"] != event["workspace_id"] or event["seq"] <= row["after_seq"]:
                continue
            if not fnmatchcase(event["type"], row["event"]):
                continue
            if row["expires_at"] is not None and event["at"] > row["expires_at"]:
                continue
            if self._means(tx, event, variables, row):
                cancel(tx, event, row)

    def _means(
        self, tx: Tx, event: Mapping[str, Any], variables: Mapping[str, Any] | str, row: Mapping[str, Any]
    ) -> bool:
        try:
            if isinstance(variables, str):
                raise ExpressionError(variables)
            params = with_defaults(row["parameters"], row["parameter_schema"] or {})
            known = {**variables, "params": cel_input(params)}
            return compile_expression(row["condition"], NAMES).matches(known)
        except ExpressionError as error:
            if row["id"] not in self._noted and len(self._noted) < _MOST_NOTED:
                self._noted.add(row["id"])
                line = f"cancel_on could not be tried on event {event['id']}: {error.detail}"
                hooks.log(tx, Scope(row["workspace_id"]), row["run_id"], row["attempt"], logging.WARNING, clean(line))
            return False

    def loop(self) -> Loop:
        """As an upkeep loop."""
        return Loop("cancel_on", self.step, topics=("events",), interval=self.interval, pace=0.03, linger=0.03)


def cancel(tx: Tx, event: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    """Cancel the run for which an event was awaited, with all that it has started."""
    scope = Scope(row["workspace_id"], Actor("event", event["id"]))
    message = f"cancel_on: event {event['id']} ({event['type']}) came"
    with suppress(ConflictError):  # it has ended meanwhile, or is being cancelled
        if orchestrator.attempt(tx, scope, row["run_id"], Cancel(message)) is None:
            raise ContentionError(f"run {row['run_id']} was changed by somebody else at the same time")
        orchestrator.cancel_below(tx, scope, row["run_id"], "the run that started it was cancelled")
        deployment = {"id": row["deployment_id"], "name": row["deployment_name"]}
        decision = Decision("cancel_on", "cancelled", message, row["run_id"])
        tell(tx, scope, decision, deployment, origin=row["origin"])
