"""Events that code of runs waits for: which one a wait point means, and the loop that looks at what was stamped.

Nothing is lost between opening a point and looking: a point notes where the stream of stamped events ended when it was
opened, and what is stamped after that counts, whoever looks at it and when.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from hub.errors import ExpressionError, UsageError
from hub.plugins import Loop
from hub.runtime import waits as answering
from hub.runtime.asked import MAX_BYTES
from hub.runtime.executor.texts import clean
from hub.runtime.expressions import compile_expression
from hub.runtime.payloads import variables_of
from hub.runtime.sequencer import Sequencer
from hub.store import events, hooks, runs, waits
from hub.store.base import Store
from hub.store.waits import Point
from hub.types import Actor, Id, JsonObject, Scope

BATCH = 200
_MAX_LABELS = 50
_MOST_NOTED = 10_000


def filter_of(match: str | Mapping[str, Any]) -> str | dict[str, Any]:
    """A filter as a point keeps it. Raises ExpressionError or UsageError for a wrong one."""
    if isinstance(match, str):
        if match:
            compile_expression(match)
        return match
    wrong = [name for name, value in match.items() if not isinstance(name, str) or not _plain(value)]
    if wrong or len(match) > _MAX_LABELS:
        raise UsageError(
            f"match={dict(match)!r} is not up to {_MAX_LABELS} fields with a text, a number, true, false or None each",
            hint="Write anything else as CEL: match=\"body.ref == 'refs/heads/main'\".",
        )
    return dict(match)


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


class Judge:
    """Says which event a point means. What a filter cannot be tried on is not meant; the run's log says so once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._noted: set[Id] = set()

    def means(self, point: Point, event: Mapping[str, Any]) -> bool:
        """Whether it is the event that a point waits for."""
        if event["workspace_id"] != point.workspace_id or event["seq"] <= point.asks["after"]:
            return False
        if point.expires_at is not None and event["at"] > point.expires_at:
            return False
        match = point.asks["match"]
        if not fnmatchcase(event["type"], point.asks["type"]):
            return False
        try:
            if isinstance(match, str):
                return not match or compile_expression(match).matches(variables_of(self._store, event))
            return _has(event, match)
        except ExpressionError as error:
            self._note(point, f"its filter could not be tried on event {event['id']}: {error.detail}")
            return False

    def _note(self, point: Point, line: str) -> None:
        if point.id in self._noted or len(self._noted) > _MOST_NOTED:
            return
        self._noted.add(point.id)
        scope = Scope(point.workspace_id, answering.ACTOR)
        with self._store.write(durable=False) as tx:
            run = runs.get(tx, scope, point.run_id)
            if run is not None:
                hooks.log(tx, scope, run.id, run.attempt, logging.WARNING, clean(line))


def _has(event: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    known = {**event["body"], **{name: event[name] for name in ("id", "type", "source", "subject", "run_id")}}
    return all(name in known and known[name] == value for name, value in wanted.items())


def told(store: Store, event: Mapping[str, Any]) -> JsonObject:
    """The event as the answer to a point. What is too large to keep is left out: the body first."""
    seen = variables_of(store, event)
    answer = {
        "id": event["id"], "type": event["type"], "source": event["source"], "subject": event["subject"],
        "run_id": event["run_id"], "at": event["at"], "fields": event["body"], "body": seen["body"],
        "headers": seen["headers"],
    }  # fmt: skip
    smaller: tuple[JsonObject, ...] = ({}, {"body": None}, {"headers": {}}, {"fields": {}})
    for left_out in smaller:
        answer |= left_out
        if len(json.dumps(answer)) <= 4 * MAX_BYTES:
            break
    return answer


def give(store: Store, point: Point, event: Mapping[str, Any]) -> bool:
    """Answer a point with an event; False when it had been answered, or had ended."""
    value = told(store, event)
    with store.write() as tx:
        return answering.answer(tx, Scope(point.workspace_id, Actor("event", event["id"])), point, value)


class Look:
    """Looks for the event of one point, from where it looked last: for who waits where perhaps no upkeep runs."""

    def __init__(self, store: Store, point: Point) -> None:
        self.store = store
        self.point = point
        self.seen: int = point.asks["after"]
        self._judge = Judge(store)

    def step(self) -> None:
        """Stamp what is committed, if nobody else does, and look at what was stamped since."""
        sequencer = Sequencer(self.store)
        try:
            sequencer.step()
        finally:
            sequencer.close()
        while True:
            with self.store.read() as tx:
                batch = events.after(tx, seq=self.seen, limit=BATCH, workspace_id=self.point.workspace_id)
            for event in batch:
                self.seen = event["seq"]
                if self._judge.means(self.point, event):
                    give(self.store, self.point, event)
                    return
            if len(batch) < BATCH:
                return


class Awaited:
    """One per upkeep process; any number may run, a point is answered once."""

    def __init__(self, store: Store, interval: float = 1.0) -> None:
        self.store = store
        self.interval = interval
        self._judge = Judge(store)
        self._seen: int | None = None
        """The last event that was looked at, while somebody waits for one."""

    def step(self) -> bool:
        """Look at the next stamped events for all points. True when there may be more."""
        with self.store.read() as tx:
            if not waits.are_events_awaited(tx):
                self._seen = None
                return False
            if self._seen is None:
                # All who wait have noted where the stream ended: nothing before the first of these is theirs.
                first = min((point.asks["after"] for point in waits.awaiting_events(tx)), default=0)
                self._seen = max(waits.events_seen(tx), first)
            batch = events.after(tx, seq=self._seen, limit=BATCH)
            # After the batch: a point that was opened meanwhile is not about what is in it.
            points = waits.awaiting_events(tx) if batch else waits.awaiting_events(tx, over=True)
        open_points = {point.id: point for point in points}
        for event in batch:
            for point in list(open_points.values()):
                if self._judge.means(point, event):
                    give(self.store, point, event)
                    del open_points[point.id]
        if batch:
            # What a power cut takes back is looked at again.
            with self.store.write(durable=False) as tx:
                waits.note_events_seen(tx, batch[-1]["seq"])
            self._seen = batch[-1]["seq"]
        if len(batch) == BATCH:
            return True
        self._expire(open_points)
        return False

    def _expire(self, points: Mapping[str, Point]) -> None:
        """All that came in time was looked at: what is over is over."""
        with self.store.read() as tx:
            now = tx.now
        for point in points.values():
            if point.expires_at is not None and point.expires_at <= now:
                with self.store.write() as tx:
                    answering.expire(tx, Scope(point.workspace_id, answering.ACTOR), point)

    def loop(self) -> Loop:
        """As an upkeep loop."""
        return Loop("awaited", self.step, topics=("events",), interval=self.interval, pace=0.03, linger=0.03)
