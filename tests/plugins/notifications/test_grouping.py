"""Grouping against a small model of Alertmanager's, written from its rules and in another way; time is skipped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from hub_notifications import grouping
from hub_notifications.grouping import Group, Member, Timing, begin, join, look

KEYS = ("a", "b", "c")


@dataclass
class Model:
    """One group second by second: what fires, what was said of it, and a clock for the next flush."""

    wait: int
    interval: int
    repeat: int
    resolved_too: bool
    next_flush: int | None = None
    last_said: int | None = None
    count: dict[str, int] = field(default_factory=dict)
    """Occurrences of what fires or has been over since the last flush."""
    ended: set[str] = field(default_factory=set)
    said: dict[str, int] = field(default_factory=dict)
    """Occurrences that the last message spoke of, of what the receiver believes to be firing."""
    muted: set[str] = field(default_factory=set)
    quiet: set[str] = field(default_factory=set)

    def fire(self, key: str, now: int) -> None:
        self.count[key] = self.count.get(key, 0) + 1
        if self.next_flush is None:
            self.next_flush = now + self.wait

    def end(self, key: str) -> None:
        if key in self.count:
            self.ended.add(key)

    def tick(self, now: int) -> tuple[str, frozenset[str], frozenset[str]] | None:
        """(reason, firing, resolved) of the message of this second."""
        if self.next_flush is None or now < self.next_flush:
            return None
        self.next_flush = now + self.interval
        firing = {key for key in self.count if key not in self.ended and key not in self.muted}
        closed = {key for key in self.ended if key in self.said and key not in self.muted}
        closed = closed if self.resolved_too else set()
        reason = None
        if firing - self.said.keys():
            reason = "firing"
        elif any(self.count[key] > self.said[key] for key in firing - self.quiet):
            reason = "more"
        elif closed:
            reason = "resolved"
        elif firing - self.quiet and self.last_said is not None and now >= self.last_said + self.repeat:
            reason = "repeat"
        if reason:
            self.last_said = now
            self.said.update({key: self.count[key] for key in firing})
        for key in list(self.ended):
            if not (key in self.muted and key in self.said and self.resolved_too):
                self.ended.discard(key)
                self.count.pop(key, None)
                self.said.pop(key, None)
        if not self.count:
            self.next_flush = self.last_said = None
        return (reason, frozenset(firing), frozenset(closed)) if reason else None


@dataclass
class Real:
    """The code, driven as the router drives it."""

    timing: Timing
    group: Group | None = None
    alerts: dict[str, Member] = field(default_factory=dict)
    muted: set[str] = field(default_factory=set)
    quiet: set[str] = field(default_factory=set)

    def fire(self, key: str, now: int) -> None:
        known = self.alerts.get(key)
        count = known.count + 1 if known and known.is_firing else 1
        self.alerts[key] = Member(key, True, count)
        self.group = join(self.group or begin(now, self.timing), self.alerts[key])

    def end(self, key: str) -> None:
        if key in self.alerts:
            self.alerts[key] = Member(key, False, self.alerts[key].count)

    def tick(self, now: int) -> tuple[str, frozenset[str], frozenset[str]] | None:
        if self.group is None or now < self.group.due_at:
            return None
        as_is = {
            key: Member(
                key, self.alerts[key].is_firing, self.alerts[key].count, one.is_told, one.told_count, key in self.quiet
            )
            for key, one in self.group.members.items()
        }
        before = Group(self.group.due_at, self.group.told_at, as_is)
        self.group, notice = look(before, now, self.timing, muted=frozenset(self.muted))
        if notice is None:
            return None
        firing = frozenset(one.alert_id for one in notice.members if one.is_firing)
        return notice.reason, firing, frozenset(one.alert_id for one in notice.members) - firing


def step() -> st.SearchStrategy[tuple[str, str, int]]:
    """(what happens, to which alert, how many seconds pass afterwards)."""
    what = st.sampled_from(["fire", "fire", "end", "mute", "unmute", "quiet", "nothing"])
    return st.tuples(what, st.sampled_from(KEYS), st.integers(0, 40))


TIMINGS = st.tuples(st.integers(0, 20), st.integers(1, 30), st.integers(30, 90), st.booleans())


def run(timing: tuple[int, int, int, bool], steps: list[tuple[str, str, int]]) -> tuple[list[Any], list[Any]]:
    """What both said, with the second in which they did."""
    model, real = Model(*timing), Real(Timing(*timing))
    said: tuple[list[Any], list[Any]] = ([], [])
    now = 0
    for what, key, seconds in steps:
        for one in (model, real):
            if what == "fire":
                # An alert whose end is not told yet is another one when it comes again; that is tested elsewhere.
                if key not in model.ended:
                    one.fire(key, now)
            elif what == "end":
                if key not in model.ended or one is real:
                    one.end(key)
            elif what == "mute":
                one.muted.add(key)
            elif what == "unmute":
                one.muted.discard(key)
            elif what == "quiet" and key in model.count:
                one.quiet.add(key)
        for _ in range(seconds + 1):
            for one, log in ((model, said[0]), (real, said[1])):
                told = one.tick(now)
                if told:
                    log.append((now, *told))
            model.quiet &= model.count.keys()
            real.quiet &= model.count.keys()
            now += 1
    return said


@settings(max_examples=300)
@given(TIMINGS, st.lists(step(), min_size=1, max_size=25))
def test_it_says_what_the_model_says_in_the_same_second(
    timing: tuple[int, int, int, bool], steps: list[tuple[str, str, int]]
) -> None:
    wanted, found = run(timing, steps)
    assert found == wanted


def _whole() -> list[tuple[tuple[int, int, int, bool], list[tuple[str, str, int]]]]:
    """Stories that hold what the rules are about."""
    on, off = (5, 10, 40, True), (5, 10, 40, False)
    return [
        (on, [("fire", "a", 3), ("end", "a", 60)]),  # over before it was told
        (on, [("fire", "a", 8), ("end", "a", 60)]),
        (off, [("fire", "a", 8), ("end", "a", 60)]),
        (on, [("fire", "a", 40), ("nothing", "a", 90)]),  # repeated
        (on, [("fire", "a", 8), ("fire", "a", 20), ("fire", "b", 30), ("end", "a", 30)]),
        (on, [("fire", "a", 8), ("quiet", "a", 1), ("fire", "a", 90), ("end", "a", 20)]),
        (on, [("fire", "a", 8), ("mute", "a", 0), ("end", "a", 30), ("unmute", "a", 30)]),
        (on, [("mute", "a", 0), ("fire", "a", 40), ("unmute", "a", 30)]),
    ]


@pytest.mark.parametrize(("timing", "steps"), _whole())
def test_stories(timing: tuple[int, int, int, bool], steps: list[tuple[str, str, int]]) -> None:
    wanted, found = run(timing, steps)
    assert found == wanted


BUGS = {
    "told before group_wait": ("begin", lambda real: lambda now, timing: Group(now, None, {})),
    "a new alert moves the group": (
        "join",
        lambda real: lambda group, one: Group(group.due_at + 1, group.told_at, {**group.members, one.alert_id: one}),
    ),
    "never repeated": ("_reason", lambda real: lambda *args: None if real(*args) == "repeat" else real(*args)),
    "ends are not told": ("_reason", lambda real: lambda *args: None if real(*args) == "resolved" else real(*args)),
    "more is not told": ("_reason", lambda real: lambda *args: None if real(*args) == "more" else real(*args)),
    "what is new is said to be more": (
        "_reason", lambda real: lambda *args: "more" if real(*args) == "firing" else real(*args),
    ),
    "muted alerts are told": (
        "look", lambda real: lambda group, now, timing, muted: real(group, now, timing, muted=frozenset()),
    ),
    "ends are told though nobody wants them": (
        "look",
        lambda real: lambda group, now, timing, muted: real(
            group, now, Timing(timing.group_wait, timing.group_interval, timing.repeat_interval), muted=muted
        ),
    ),
    "looked at every second": (
        "look",
        lambda real: lambda group, now, timing, muted: real(
            group, now, Timing(timing.group_wait, 1, timing.repeat_interval, timing.send_resolved), muted=muted
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_seeded_bugs_are_caught(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, make = BUGS[bug]
    broken = make(getattr(grouping, name))
    monkeypatch.setattr(grouping, name, broken)
    if name in globals():
        monkeypatch.setitem(globals(), name, broken)
    assert any(found != wanted for wanted, found in (run(*story) for story in _whole())), bug
