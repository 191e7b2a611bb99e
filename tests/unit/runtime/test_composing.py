"""Compounds and sequences against a slow model that looks at all that ever happened."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import pytest
from hub.runtime.composing import Composer, Hit, Place, Progress, Whole, id_of, ids_of
from hub.runtime.counting import Seen, Trigger, Window
from hub.types import SECOND, new_id
from hypothesis import given
from hypothesis import strategies as st


class Memory:
    def __init__(self) -> None:
        self.windows: dict[Place, Window] = {}
        self.told: dict[Place, Progress] = {}

    def window(self, place: Place) -> Window:
        return self.windows.get(place, Window())

    def keep(self, place: Place, window: Window) -> None:
        self.windows[place] = window

    def progress(self, place: Place) -> Progress:
        return self.told.get(place, {})

    def keep_progress(self, place: Place, progress: Progress) -> None:
        self.told[place] = progress


def whole(kind: str, parts: int, within: float, require: Any = "all") -> Whole:
    said = {"kind": kind, "triggers": [{"types": [str(n)]} for n in range(parts)], "within": within, "require": require}
    return Whole.of(said)


def outcomes(made: Whole, happened: list[tuple[int, int]], cool_down: int = 0) -> list[bool]:
    """Which of the events - part that it is meant by, seconds - made it fire."""
    composer = Composer(made, cool_down * SECOND, Memory())
    found = []
    for number, (part, at) in enumerate(happened):
        seen = Seen(f"e{number}", at * SECOND)
        verdict = composer.take([Hit((part,), Trigger(expect=(str(part),)), seen)], at * SECOND)
        assert verdict.reason
        found.append(verdict.outcome == "fired")
    return found


def compound_model(parts: int, require: int, within: int, happened: list[tuple[int, int]]) -> list[bool]:
    """Fires when, since it last did, `require` different parts fired within so many seconds before now."""
    found, begin = [], 0
    for number, (_, now) in enumerate(happened):
        lately = {part for part, at in happened[begin : number + 1] if not within or now - at <= within}
        fires = len(lately) >= require
        found.append(fires)
        begin = number + 1 if fires else begin
    assert parts >= require
    return found


def sequence_model(parts: int, within: int, happened: list[tuple[int, int]]) -> list[bool]:
    """Fires when, since it last did, some choice of firings in order ends here and fits."""
    found, begin = [], 0
    for number, (part, now) in enumerate(happened):
        fires = False
        if part == parts - 1:
            earlier = [[at for at in range(begin, number) if happened[at][0] == one] for one in range(parts - 1)]
            for choice in product(*earlier):
                in_order = all(a < b for a, b in pairwise(choice))
                fires = fires or (in_order and (not within or now - happened[choice[0]][1] <= within))
        found.append(fires)
        begin = number + 1 if fires else begin
    return found


moves = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), max_size=12)


def timed(steps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    now, found = 100, []
    for part, pause in steps:
        now += pause
        found.append((part, now))
    return found


@given(moves, st.integers(1, 3), st.sampled_from([0, 3, 6]))
def test_a_compound_is_as_its_model(steps: list[tuple[int, int]], require: int, within: int) -> None:
    happened = timed(steps)
    expected = compound_model(3, require, within, happened)
    assert outcomes(whole("compound", 3, within, require), happened) == expected


@given(moves, st.sampled_from([0, 3, 6]))
def test_a_sequence_is_as_its_model(steps: list[tuple[int, int]], within: int) -> None:
    happened = timed(steps)
    assert outcomes(whole("sequence", 3, within), happened) == sequence_model(3, within, happened)


def test_one_event_is_not_two_steps_of_a_sequence() -> None:
    composer = Composer(whole("sequence", 2, 0), 0, Memory())
    for number, expected in enumerate(["counted", "fired", "counted"]):
        hits = [Hit((part,), Trigger(), Seen(f"e{number}", number)) for part in (0, 1)]
        verdict = composer.take(hits, number)
        assert verdict.outcome == expected, verdict
    assert composer.memory.progress(()) == {0: (2, ("e2",))}


def test_it_rests_after_it_fired() -> None:
    assert outcomes(whole("compound", 2, 0, "any"), [(0, 0), (1, 5), (0, 10)], cool_down=10) == [True, False, True]


def test_parts_may_be_wholes_and_all_events_are_handed_on() -> None:
    inner = {"kind": "sequence", "triggers": [{"types": ["a"]}, {"types": ["b"], "threshold": 2, "within": 60}]}
    made = Whole.of({"kind": "compound", "triggers": [inner, {"types": ["c"]}], "require": "all"})
    composer = Composer(made, 0, Memory())
    triggers = dict(made.leaves())
    assert list(triggers) == [(0, 0), (0, 1), (1,)]
    said = []
    for number, place in enumerate([(0, 0), (0, 1), (1,), (0, 1)]):
        said.append(composer.take([Hit(place, triggers[place], Seen(f"e{number}", number))], number))
    assert [verdict.outcome for verdict in said] == ["counted", "counted", "counted", "fired"]
    assert said[1].reason == "part 1.2: 1 of 2 within 60 s"
    assert said[2].reason == "part 2 fired: 1 of 2 parts have fired"
    assert said[3].events == ("e2", "e0", "e1", "e3")


def test_the_whole_counts_under_the_automations_id() -> None:
    automation, said = new_id(), {"kind": "sequence", "triggers": [{"types": ["a"]}, {"types": ["b"]}]}
    assert ids_of(automation, said) == [automation, id_of(automation, (0,)), id_of(automation, (1,))]
    assert ids_of(automation, {"kind": "event"}) == [automation]


@pytest.mark.parametrize(("require", "number"), [("any", 1), ("all", 3), (2, 2)])
def test_require_is_a_word_or_a_number(require: Any, number: int) -> None:
    assert whole("compound", 3, 0, require).require == number
