"""Windows of automations as they are kept, and what those remember whose triggers are made of triggers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.runtime.composing import Place, Progress, Whole, id_of
from hub.runtime.counting import Trigger, Window
from hub.runtime.triggers import Rule
from hub.store import automation_state as state
from hub.store.base import Tx
from hub.types import SECOND, Micros

_YEAR: Micros = 31_536_000 * SECOND
"""How long a part that has fired is remembered where no time is set."""


def of_row(row: Mapping[str, Any] | None) -> Window:
    """A window as it was kept."""
    if row is None:
        return Window()
    return Window(
        row["opened_at"], row["until_at"], row["count"], tuple(row["events"]), row["fired_at"], row["is_spent"]
    )


def as_row(trigger: Trigger, window: Window) -> dict[str, Any]:
    """A window as it is kept."""
    ends = [window.until_at or 0, (window.fired_at or 0) + trigger.cool_down, window.opened_at or 0]
    return {
        "opened_at": window.opened_at, "until_at": window.until_at, "count": window.count,
        "events": list(window.events), "fired_at": window.fired_at if trigger.cool_down else None,
        "is_spent": window.is_spent, "due_at": window.until_at if trigger.is_proactive else None,
        "progress": None, "expires_at": max(ends),
    }  # fmt: skip


def first(trigger: Trigger, at: Micros) -> Window | None:
    """The window of an automation that expects events from the moment that it is switched on."""
    if trigger.is_proactive and not trigger.after and not trigger.for_each:
        return Window(at, at + trigger.within)
    return None


class Kept:
    """The memory (`composing.Memory`) of a rule with parts for one key, in the database."""

    def __init__(self, tx: Tx, rule: Rule, key: str) -> None:
        self._tx, self._rule, self._key = tx, rule, key
        self._triggers = {part.place: part.trigger for part in rule.parts}
        self._rows: dict[Place, Mapping[str, Any] | None] = {}

    def window(self, place: Place) -> Window:
        """See Memory.window."""
        return of_row(self._row(place))

    def keep(self, place: Place, window: Window) -> None:
        """See Memory.keep."""
        self._write(place, window, self.progress(place))

    def progress(self, place: Place) -> Progress:
        """See Memory.progress."""
        said = (self._row(place) or {}).get("progress") or {}
        return {int(part): (began, tuple(events)) for part, (began, events) in said.items()}

    def keep_progress(self, place: Place, progress: Progress) -> None:
        """See Memory.keep_progress."""
        self._write(place, self.window(place), progress)

    def _row(self, place: Place) -> Mapping[str, Any] | None:
        if place not in self._rows:
            self._rows[place] = state.window(self._tx, id_of(self._rule.id, place), self._key)
        return self._rows[place]

    def _write(self, place: Place, window: Window, progress: Progress) -> None:
        part_id = id_of(self._rule.id, place)
        values = as_row(self._triggers.get(place, self._rule.trigger), window)
        if window.opened_at is None and values["fired_at"] is None and not progress:
            self._rows[place] = None
            state.drop_window(self._tx, part_id, self._key)
            return
        if progress:
            whole = self._rule.whole
            assert whole is not None
            values |= _remembered(whole.at(place), progress, values["expires_at"])
        self._rows[place] = values
        state.keep_window(self._tx, self._rule.workspace_id, part_id, self._key, values)


def _remembered(whole: Whole, progress: Progress, expires_at: Micros) -> dict[str, Any]:
    last = max(began for began, _ in progress.values())
    return {
        "progress": {str(part): [began, list(events)] for part, (began, events) in progress.items()},
        "expires_at": max(expires_at, last + (whole.within or _YEAR)),
    }
