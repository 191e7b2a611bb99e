"""The rules of a run in random histories, and the bugs that those histories find.

Hypothesis plays the machine for the right code, as it gives the shortest history that breaks a promise. Bugs are looked
for by a quicker player of the same rules; with HUB_TEST_RULES_BUGS=1 (scripts/soak) Hypothesis has to find them too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random

import pytest
from hub.states import StateType
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from . import bugs
from .machine import HOWS, Runs

S = StateType
USUAL = settings(
    max_examples=int(os.environ.get("HUB_TEST_RULES_EXAMPLES", "50")), stateful_step_count=30, deadline=None,
    database=None, suppress_health_check=list(HealthCheck),
)  # fmt: skip


def play(seed: int) -> None:
    """One random history, every promise checked after each step."""
    random = Random(seed)
    run = Runs()
    budget = random.choice([None, 8.0])
    run.begin(random.randint(0, 2), random.choice([0.0, 5.0]), random.randint(0, 2), random.random() < 0.2, budget)
    for _ in range(30):
        random.choice(_possible(run, random))()
        run.slots_are_live_attempts()
        run.it_ends_once()
        run.names_fit_types()
    run.teardown()


def _possible(run: Runs, random: Random) -> list[Callable[[], object]]:
    """What may happen next; the likelier, the more often it is in the list."""
    steps: list[Callable[[], object]] = [run.try_to_dispatch, run.ring_again, run.pause, run.resume]
    if run.run.state.type is S.SCHEDULED:
        steps += [run.dispatch] * 4 + [run.wake]
    if run.run.attempt:
        steps += [run.nobody_can_take_it, run.cancel, lambda: run.lease_runs_out(random.random() < 0.3)]
    if run.bells:
        bell = random.choice(run.bells)
        steps += [lambda: run.answer(bell, again=random.random() < 0.3)] * 4
    alive = [child for child in run.children if not child.reported]
    if alive:
        steps += [lambda: run.ends(random.choice(alive), random.choice([*HOWS, "fail", "fail"]))] * 3
        steps += [lambda: run.waits(random.choice(alive), random.random() < 0.5)]
    return steps


def test_every_history_keeps_every_promise() -> None:
    run_state_machine_as_test(Runs, settings=USUAL)


def test_the_quicker_player_finds_nothing_in_the_right_code() -> None:
    _play_many(3000)


def _play_many(count: int) -> None:
    for seed in range(count):
        play(seed)


@pytest.mark.parametrize("bug", bugs.ALL, ids=lambda bug: bug.__name__)
def test_a_bug_in_the_rules_is_found(bug: bugs.Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    with pytest.raises(AssertionError, match=r"\w+: "):
        _play_many(1000)


@pytest.mark.skipif(os.environ.get("HUB_TEST_RULES_BUGS") != "1", reason="minutes long; scripts/soak runs it")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bug", bugs.ALL, ids=lambda bug: bug.__name__)
def test_hypothesis_finds_it_too(bug: bugs.Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    wide = settings(USUAL, max_examples=5000, phases=[Phase.generate])
    with pytest.raises(AssertionError, match=r"\w+: "):
        run_state_machine_as_test(Runs, settings=wide)
