"""What an event means for an automation that counts: windows, thresholds, cool-down. Pure; times are those of events.

Reactive: it fires when `threshold` events came `within` the window, and ignores the rest of the window.
Proactive: it fires when they did not come. `after` says which events open a window; without it the first expected
one does, and for a proactive automation each time that enough have come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from hub.types import SECOND, Id, Micros, rfc3339

OUTCOMES = ("fired", "error", "counted", "filtered", "cooled_down", "loop_stopped")
MOST_KEPT = 100
TICKED = "hub.automation.ticked"
"""The event of a set time; its subject is the automation."""
"""Ids of counted events that a window remembers: the last ones."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """The counting part of a stored trigger; what an older hub has stored lacks most of it."""

    expect: tuple[str, ...] = ("*",)
    match: str = ""
    plugin: str = ""
    after: tuple[str, ...] = ()
    for_each: tuple[str, ...] = ()
    threshold: int = 1
    within: Micros = 0
    cool_down: Micros = 0
    is_proactive: bool = False
    is_whole: bool = False
    """It is made of triggers, whose types these are: `hub.runtime.composing` decides."""
    is_scheduled: bool = False
    """It fires at set times, and listens to their events."""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Trigger:
        """From the document of the automation."""
        if stored.get("kind") == "schedule":
            return cls(expect=(TICKED,), is_scheduled=True)
        if "triggers" in stored:
            parts = [cls.of(part) for part in stored["triggers"]]
            return cls(
                expect=tuple(dict.fromkeys(name for part in parts for name in (*part.expect, *part.after))),
                for_each=tuple(stored.get("for_each") or ()),
                cool_down=int((stored.get("cool_down") or 0) * SECOND),
                is_whole=True,
            )
        return cls(
            expect=tuple(stored.get("types") or ["*"]),
            match=stored.get("match") or "",
            plugin=stored.get("plugin") or "",
            after=tuple(stored.get("after") or ()),
            for_each=tuple(stored.get("for_each") or ()),
            threshold=stored.get("threshold") or 1,
            within=int((stored.get("within") or 0) * SECOND),
            cool_down=int((stored.get("cool_down") or 0) * SECOND),
            is_proactive=stored.get("posture") == "proactive",
        )

    def listens_to(self, type_: str) -> bool:
        """Whether events of a type are expected, or open a window."""
        return any(fnmatchcase(type_, pattern) for pattern in (*self.expect, *self.after))

    @property
    def is_plain(self) -> bool:
        """Whether every event that matches fires it, so that nothing must be remembered."""
        counts = self.is_proactive or self.after or self.within or self.cool_down or self.is_whole
        return not counts and self.threshold == 1


@dataclass(frozen=True, slots=True)
class Window:
    """What was counted so far for one key. `opened_at` None: nothing is being counted."""

    opened_at: Micros | None = None
    until_at: Micros | None = None
    count: int = 0
    events: tuple[Id, ...] = ()
    fired_at: Micros | None = None
    is_spent: bool = False

    def opened(self, trigger: Trigger, at: Micros, *events: Id) -> Window:
        """A new window from then on."""
        until = at + trigger.within if trigger.within else None
        return Window(at, until, 0, events, self.fired_at)

    def closed(self) -> Window:
        """No window; the cool-down is remembered."""
        return Window(fired_at=self.fired_at)


@dataclass(frozen=True, slots=True)
class Seen:
    """An event that an automation matched: whether it is one of the expected, and one of those that open a window."""

    id: Id
    at: Micros
    is_expected: bool = True
    opens: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What comes of it, and why. `events`: all that made it fire."""

    outcome: str
    reason: str
    events: tuple[Id, ...] = ()


def count(trigger: Trigger, window: Window, seen: Seen) -> tuple[Verdict, Window]:
    """What one event does to a window that is not `overdue`."""
    if window.until_at is not None and seen.at >= window.until_at:
        window = window.closed()
    if trigger.after and window.opened_at is None:
        if not seen.opens:
            return Verdict("filtered", "no event of `after` came before it"), window
        window = window.opened(trigger, seen.at, seen.id)
        return Verdict("counted", f"it opened a window until {_time(window.until_at)}"), window
    if not seen.is_expected:
        return Verdict("filtered", f"a window is open already, until {_time(window.until_at)}"), window
    if window.opened_at is None:
        window = window.opened(trigger, seen.at)
    if window.is_spent:
        return Verdict("filtered", f"it has fired in this window, which ends at {_time(window.until_at)}"), window
    kept = (*window.events, seen.id)
    # The event that opened the window stays the first of them.
    kept = (*kept[:1], *kept[1 - MOST_KEPT :]) if len(kept) > MOST_KEPT else kept
    window = replace(window, count=window.count + 1, events=kept)
    if window.count < trigger.threshold:
        return Verdict("counted", f"{window.count} of {trigger.threshold}{_within(trigger)}"), window
    if trigger.is_proactive:
        after = window.closed() if trigger.after else window.opened(trigger, seen.at)
        return Verdict("counted", f"it came in time: {window.count} of {trigger.threshold}{_within(trigger)}"), after
    return _fire(trigger, window, seen.at)


def is_overdue(trigger: Trigger, window: Window, at: Micros) -> bool:
    """Whether what was expected did not come."""
    return trigger.is_proactive and window.until_at is not None and at >= window.until_at


def miss(trigger: Trigger, window: Window) -> tuple[Verdict, Window]:
    """The end of a window that is overdue. The next one is opened by the next event."""
    at = window.until_at or 0
    verdict, after = _fire(trigger, window, at)
    if verdict.outcome == "fired":
        reason = f"{window.count} of {trigger.threshold} came between {_time(window.opened_at)} and {_time(at)}"
        verdict = replace(verdict, reason=reason)
    return verdict, after.closed()


def _fire(trigger: Trigger, window: Window, at: Micros) -> tuple[Verdict, Window]:
    if trigger.cool_down and window.fired_at is not None and at < window.fired_at + trigger.cool_down:
        until = _time(window.fired_at + trigger.cool_down)
        return Verdict("cooled_down", f"it fired at {_time(window.fired_at)} and rests until {until}"), window.closed()
    fired = replace(window, fired_at=at, is_spent=True)
    reason = "it matched" if trigger.threshold == 1 else f"{window.count} of {trigger.threshold}{_within(trigger)}"
    return Verdict("fired", reason, window.events), fired if trigger.within else fired.closed()


def _within(trigger: Trigger) -> str:
    return f" within {trigger.within / SECOND:g} s" if trigger.within else ""


def _time(at: Micros | None) -> str:
    return "ever" if at is None else rfc3339(at)
