"""Flow control: in which order controls are applied, which may not be combined, and what each does. Pure.

Times are integer microseconds. How the words are meant is written in docs/flow-control.md, whose tables are made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hub.types import Micros

ORDER: Mapping[str, str] = {
    "idempotency": "a request whose key was seen in the last 24 hours is dropped; it is answered with the first run",
    "rate_limit": "a request beyond `limit` in a `period` is dropped",
    "batch": "the request is put to others; they start one run together",
    "debounce": "the request waits for `period`; a later one takes its place",
    "singleton": "while a run of the key is active the request is dropped (`skip`) or that run is cancelled (`cancel`)",
    "throttle": "a run that is due waits until it may start",
    "concurrency": "a run that is due waits until fewer than `limit` execute",
    "cancel_on": "from its making to its end an event may cancel the run",
}
"""The controls in the order in which they are applied, and what each does."""
DAY: Micros = 24 * 3600 * 1_000_000
IDEMPOTENCY_WINDOW = DAY
MOST_IN_BATCH = 100
MOST_BYTES = 262_144
"""At so many bytes of JSON a batch is full."""
EVENTS = "events"
"""The parameter in which a run gets the requests of its batch."""

_REASONS: Mapping[frozenset[str], str] = {
    frozenset(("batch", "idempotency")): "a key names one request, and the run of a batch has many",
    frozenset(("batch", "rate_limit")): "it would be requests that are counted and dropped, not runs: "
    "the size of a batch and `throttle` limit these",
    frozenset(("batch", "debounce")): "both say when a waiting run starts and with what: a batch keeps every request, "
    "a debounce the last one",
    frozenset(("batch", "singleton")): "while a run is active `skip` would drop requests that a batch promises to keep",
    frozenset(("batch", "cancel_on")): "an event is compared with the parameters of one request, and a batch has many",
}
_SAME_KEY: Mapping[frozenset[str], str] = {
    frozenset(("debounce", "singleton")): "a later request takes the place of one that waits, and must not become the "
    "run of another key by that",
    frozenset(("batch", "throttle")): "requests of one batch start together, so they must wait together",
    frozenset(("batch", "concurrency")): "requests of one batch execute together, so they must belong to one key",
}
"""Pairs that go together only if their keys are the same; with a batch also where the other has no key."""


def clash(one: str, other: str) -> str:
    """Why two controls may not be combined; empty when they may."""
    return _REASONS.get(frozenset((one, other)), "")


def key_clash(one: str, other: str) -> str:
    """Why two controls may be combined only with the same key; empty when their keys are free."""
    return _SAME_KEY.get(frozenset((one, other)), "")


def problems(keys: Mapping[str, str]) -> list[str]:
    """What is wrong with a set of controls, given with their keys ("" for none). Empty: they may be combined."""
    names = [name for name in ORDER if name in keys]
    found = []
    for at, one in enumerate(names):
        for other in names[at + 1 :]:
            if reason := clash(one, other):
                found.append(f"{one} and {other} cannot be combined: {reason}")
            reason, free = key_clash(one, other), one == "batch" and not keys[other]
            if reason and not free and _plain(keys[one]) != _plain(keys[other]):
                found.append(f"{one} and {other} must have the same key: {reason}")
    return found


def _plain(key: str) -> str:
    return "".join(key.split())


def combinations_table() -> str:
    """Which controls may be combined, as a table in Markdown, with the reasons under it."""
    names = list(ORDER)
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    notes: list[str] = []

    def cell(one: str, other: str) -> str:
        if one == other:
            return "-"
        refused = clash(one, other)
        reason = refused or key_clash(one, other)
        if not reason:
            return "yes"
        if reason not in notes:
            notes.append(reason)
        return f"{'**no**' if refused else 'same key'} ({notes.index(reason) + 1})"

    lines += [f"| {one} | {' | '.join(cell(one, other) for other in names)} |" for one in names]
    return "\n".join([*lines, "", *(f"{number}. {note}." for number, note in enumerate(notes, 1))])


def order_table() -> str:
    """The order of application, as a numbered list in Markdown."""
    return "\n".join(f"{number}. `{name}`: {does}." for number, (name, does) in enumerate(ORDER.items(), 1))


@dataclass(frozen=True, slots=True)
class Window:
    """How many were let through since the first of them. `opened_at` None: nobody yet."""

    opened_at: Micros | None = None
    count: int = 0


def let_through(window: Window, limit: int, period: Micros, now: Micros) -> tuple[bool, Window]:
    """Whether one more request is let through, and the window after it. A window begins with its first request."""
    if window.opened_at is None or now >= window.opened_at + period:
        return True, Window(now, 1)
    if window.count < limit:
        return True, Window(window.opened_at, window.count + 1)
    return False, window


def start_at(free_at: Micros, limit: int, period: Micros, burst: int, now: Micros) -> tuple[Micros, Micros]:
    """When a run may start (GCRA), and the theoretical arrival time after it.

    One each period/limit; after a rest `burst` at once. In any stretch of `period` at most `limit + burst - 1` start.
    """
    gap = -(-period // limit)
    start = max(now, free_at - (burst - 1) * gap)
    return start, max(start, free_at) + gap


def opens_at(free_at: Micros, limit: int, period: Micros, burst: int) -> Micros:
    """From when on one more run may start."""
    return free_at - (burst - 1) * -(-period // limit)


def turn_at(ahead: int, free_at: Micros, limit: int, period: Micros, burst: int, now: Micros) -> Micros:
    """When a run may start before which so many others start as soon as they may."""
    gap = -(-period // limit)
    return max(now, opens_at(max(free_at, now) + ahead * gap, limit, period, burst))


def quiet_until(opened_at: Micros, period: Micros, timeout: Micros | None, now: Micros) -> Micros:
    """When a debounced run starts if no further request comes."""
    until = now + period
    return until if timeout is None else min(until, opened_at + timeout)


def is_full(count: int, size: int, max_size: int) -> bool:
    """Whether a batch starts now: so many requests, of so many bytes together."""
    return count >= max_size or size >= MOST_BYTES
