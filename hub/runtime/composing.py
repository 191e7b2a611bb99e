"""Triggers made of triggers: a compound fires when enough of its parts have, a sequence when all have, in order. Pure.

A part fires as an automation with its trigger would. Of each part the last time counts, for a sequence the latest
beginning: if some firings fit `within`, these do. What a whole has remembered is forgotten when it fires.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from hub.runtime.counting import MOST_KEPT, Seen, Trigger, Verdict, Window, count, miss
from hub.types import SECOND, Id, Micros, derived_id

Place: TypeAlias = tuple[int, ...]
"""Where a part stands: the first number is its place in the whole, the next its place in that part."""
Progress: TypeAlias = Mapping[int, tuple[Micros, tuple[Id, ...]]]
"""By part: when what it stands for began, and the events that led to it."""
KINDS = ("compound", "sequence")


@dataclass(frozen=True, slots=True)
class Whole:
    """A compound or a sequence. `require`: how many different parts must fire; of a sequence all of them."""

    kind: Literal["compound", "sequence"]
    parts: tuple[Trigger | Whole, ...]
    require: int
    within: Micros = 0

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Whole:
        """From the document of an automation's trigger."""
        parts = tuple(cls.of(part) if part.get("kind") in KINDS else Trigger.of(part) for part in stored["triggers"])
        said = stored.get("require", "all")
        require = len(parts) if said == "all" or stored["kind"] == "sequence" else 1 if said == "any" else int(said)
        return cls(stored["kind"], parts, require, int((stored.get("within") or 0) * SECOND))

    def leaves(self, place: Place = ()) -> Iterator[tuple[Place, Trigger]]:
        """The triggers on events, with their places."""
        for number, part in enumerate(self.parts):
            here = (*place, number)
            if isinstance(part, Whole):
                yield from part.leaves(here)
            else:
                yield here, part

    def places(self, place: Place = ()) -> Iterator[Place]:
        """The places of all parts and of itself."""
        yield place
        for number, part in enumerate(self.parts):
            here = (*place, number)
            if isinstance(part, Whole):
                yield from part.places(here)
            else:
                yield here

    def at(self, place: Place) -> Whole:
        """The whole at a place."""
        found = self
        for number in place:
            part = found.parts[number]
            assert isinstance(part, Whole)
            found = part
        return found


def id_of(automation_id: Id, place: Place) -> Id:
    """Under which id the counting of a part is kept; that of the whole is the automation's."""
    return derived_id(automation_id, "part", *map(str, place)) if place else automation_id


def ids_of(automation_id: Id, stored: Mapping[str, Any]) -> list[Id]:
    """Under which ids the counting of an automation is kept."""
    if stored.get("kind") not in KINDS:
        return [automation_id]
    return [id_of(automation_id, place) for place in Whole.of(stored).places()]


def timing(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The set times of a stored trigger, as a schedule says them."""
    said = {"kind": "cron", "spec": stored["cron"]} if stored.get("cron") else None
    said = said or ({"kind": "rrule", "spec": stored["rrule"]} if stored.get("rrule") else None)
    said = said or {"kind": "interval", "spec": f"{stored['interval']:.15g}"}
    return {**said, "timezone": stored.get("timezone") or "UTC"}


def in_words(stored: Mapping[str, Any]) -> str:
    """What a stored trigger waits for."""
    if stored.get("kind") == "schedule":
        times = timing(stored)
        named = f"at {times['spec']} ({times['timezone']})"
        return f"every {times['spec']} s" if times["kind"] == "interval" else named
    if stored.get("kind") not in KINDS:
        types = ", ".join(stored.get("types") or []) or "any event"
        return f"no {types}" if stored.get("posture") == "proactive" else types
    parts = [f"({said})" if "," in (said := in_words(part)) else said for part in stored["triggers"]]
    if stored["kind"] == "sequence":
        return ", then ".join(parts)
    return f"{stored.get('require', 'all')} of {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class Fired:
    """What the firing of a part comes to. `events`: all that made the whole fire, None when it has not."""

    events: tuple[Id, ...] | None
    progress: Progress
    reason: str


def part_fired(whole: Whole, progress: Progress, number: int, at: Micros, events: tuple[Id, ...]) -> Fired:
    """A part has fired at a time because of some events."""
    step = _step_of_sequence if whole.kind == "sequence" else _step_of_compound
    return step(whole, progress, number, at, events)


def _step_of_compound(whole: Whole, progress: Progress, number: int, at: Micros, events: tuple[Id, ...]) -> Fired:
    fresh = {part: told for part, told in progress.items() if _fits(whole, told[0], at)}
    fresh[number] = (at, events)
    if len(fresh) >= whole.require:
        order = sorted(fresh.values())
        return Fired(_kept([one for _, some in order for one in some]), {}, f"{len(fresh)} of {whole.require} parts")
    return Fired(None, fresh, f"{len(fresh)} of {whole.require} parts have fired{_within(whole)}")


def _step_of_sequence(whole: Whole, progress: Progress, number: int, at: Micros, events: tuple[Id, ...]) -> Fired:
    began, before = (at, ()) if number == 0 else progress.get(number - 1, (None, ()))
    if began is None:
        return Fired(None, progress, f"part {number} has not fired before it")
    if not _fits(whole, began, at):
        return Fired(None, progress, f"the part before it began too long ago{_within(whole)}")
    chain = _kept([*before, *events])
    if number == len(whole.parts) - 1:
        return Fired(chain, {}, f"all {len(whole.parts)} parts, in order")
    # A later beginning of the same length is never worse.
    return Fired(None, {**progress, number: (began, chain)}, f"{number + 1} of {len(whole.parts)} parts, in order")


def _fits(whole: Whole, began: Micros, at: Micros) -> bool:
    return not whole.within or at - began <= whole.within


def _within(whole: Whole) -> str:
    return f" within {whole.within / SECOND:g} s" if whole.within else ""


def _kept(events: list[Id]) -> tuple[Id, ...]:
    unique = list(dict.fromkeys(events))
    return tuple(unique if len(unique) <= MOST_KEPT else [unique[0], *unique[1 - MOST_KEPT :]])


@dataclass(frozen=True, slots=True)
class Hit:
    """A part on events that means an event."""

    place: Place
    trigger: Trigger
    seen: Seen


class Memory(Protocol):
    """What is remembered of the parts of one automation for one key."""

    def window(self, place: Place) -> Window:
        """What a part has counted; of the whole itself, when it last fired."""

    def keep(self, place: Place, window: Window) -> None:
        """Keep it."""

    def progress(self, place: Place) -> Progress:
        """Which parts of a whole have fired."""

    def keep_progress(self, place: Place, progress: Progress) -> None:
        """Keep it."""


@dataclass(slots=True)
class Composer:
    """Decides what events mean for an automation whose trigger is made of triggers."""

    whole: Whole
    cool_down: Micros
    memory: Memory
    _said: list[str] = field(default_factory=list)

    def take(self, hits: list[Hit], at: Micros) -> Verdict:
        """What an event comes to that one part or several mean; windows that are overdue have been ended."""
        self._said = []
        counted = False
        # The last part first: one event is not two steps of a sequence.
        for hit in sorted(hits, key=lambda one: one.place, reverse=True):
            verdict, window = count(hit.trigger, self.memory.window(hit.place), hit.seen)
            self.memory.keep(hit.place, window)
            counted = counted or verdict.outcome != "filtered"
            if verdict.outcome != "fired":
                self._said.append(f"part {_number(hit.place)}: {verdict.reason}")
                continue
            fired = self._climb(hit.place, at, verdict.events)
            if fired is not None:
                return fired
        return Verdict("counted" if counted else "filtered", "; ".join(self._said))

    def miss(self, place: Place, trigger: Trigger, event_id: Id, at: Micros) -> Verdict:
        """What it comes to that a part's expected events did not come, which is the event of that id."""
        self._said = []
        verdict, window = miss(trigger, self.memory.window(place))
        self.memory.keep(place, window)
        return self._climb(place, at, (*verdict.events, event_id)) or Verdict("counted", "; ".join(self._said))

    def _climb(self, place: Place, at: Micros, events: tuple[Id, ...]) -> Verdict | None:
        """Tell the whole of a part that has fired, and so on up; None as long as the outermost has not fired."""
        while place:
            place, number = place[:-1], place[-1]
            found = part_fired(self.whole.at(place), self.memory.progress(place), number, at, events)
            self.memory.keep_progress(place, found.progress)
            if found.events is None:
                self._said.append(f"part {_number((*place, number))} fired: {found.reason}")
                return None
            events, reason = found.events, found.reason
        return self._fire(at, events, reason)

    def _fire(self, at: Micros, events: tuple[Id, ...], reason: str) -> Verdict:
        fired_at = self.memory.window(()).fired_at
        if self.cool_down and fired_at is not None and at < fired_at + self.cool_down:
            return Verdict("cooled_down", f"it fired {(at - fired_at) / SECOND:g} s ago and rests", events)
        if self.cool_down:
            self.memory.keep((), Window(fired_at=at))
        return Verdict("fired", reason, events)


def _number(place: Place) -> str:
    return ".".join(str(one + 1) for one in place)
