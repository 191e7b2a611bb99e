"""What expressions of actions see: the event that made an automation fire, and others that had a part in it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeAlias

from hub.errors import NotFoundError
from hub.runtime.payloads import variables_of
from hub.store import automations, events
from hub.store.base import Store
from hub.types import Id

Row: TypeAlias = Mapping[str, Any]
Variables: TypeAlias = Mapping[str, Any]


class Contexts:
    """Each event is read once for all actions that are due."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._events: dict[Id, dict[str, Any] | None] = {}
        self._given: dict[Id, Row] = {}
        self._firings: dict[tuple[Id, Id], Row] = {}
        self._made: dict[tuple[Id, Id], Variables] = {}

    def prepare(self, rows: Collection[Row]) -> None:
        """Read at once what is kept of the firings of some actions, and their events."""
        places = {_place(row) for row in rows}
        with self._store.read() as tx:
            unknown = places - self._firings.keys()
            kept = automations.firings_of(tx, unknown)
            self._firings |= {place: kept.get(place, {}) for place in unknown}
            wanted = {one for place in places for one in self._firings[place].get("events") or (place[1],)}
            self._given |= events.by_ids(tx, (wanted | {event_id for _, event_id in places}) - self._given.keys())

    def of(self, row: Row) -> Variables:
        """The variables of an action that was prepared. Raises NotFoundError when its event is gone."""
        place = _place(row)
        if place not in self._made:
            firing = self._firings[place]
            self._made[place] = self.made(place[1], firing.get("events") or (place[1],), firing.get("key") or "")
        return self._made[place]

    def made(self, event_id: Id, ids: Iterable[Id], key: str) -> Variables:
        """The variables of actions for an event, all events that made the automation fire, and the key of these."""
        ids = list(ids)
        self._read({event_id, *ids})
        own = self._events[event_id]
        if own is None:
            raise NotFoundError(f"event {event_id} is no longer kept")
        seen = [found for one in ids if (found := self._events[one]) is not None]
        event = {**own["event"], "key": key}
        return {**own, "event": event, "events": [{**one["event"], "data": one["body"]} for one in seen]}

    def know(self, event: Row) -> None:
        """Take an event as it is given, stored or not."""
        self._given[event["id"]] = event

    def know_firing(self, place: tuple[Id, Id], firing: Row) -> None:
        """Take what is kept of a firing of an automation (its id and the event's) as it is given."""
        self._firings[place] = firing

    def _read(self, ids: set[Id]) -> None:
        missing = ids - self._events.keys()
        unknown = missing - self._given.keys()
        if unknown:
            with self._store.read() as tx:
                self._given |= events.by_ids(tx, unknown)
        for key in missing:
            self._events[key] = variables_of(self._store, self._given[key]) if key in self._given else None


def _place(row: Row) -> tuple[Id, Id]:
    return row["automation_id"], row["event_id"]
