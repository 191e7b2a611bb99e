"""Must always hold of limits, whatever ends, dies or is cancelled: what is held is what lives, in the order of asking.

The same stories are told to versions with a bug, each of which must be found out.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hub.store import Store, attempts, limits, open_store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .slots_model import SCOPE, Step, World, play

small = st.integers(0, 9)
ASK = st.tuples(st.just("ask"), small, st.lists(small, min_size=1, max_size=2).map(tuple), st.integers(1, 2))
STEPS = st.one_of(
    st.tuples(st.just("begin")),
    ASK,
    ASK,
    st.tuples(st.just("again"), small),
    st.tuples(st.just("give"), small),
    st.tuples(st.just("end"), small, st.sampled_from(["complete", "cancel", "lose", "release"])),
    st.tuples(st.just("crash"), small),
    st.tuples(st.just("renew"), small),
    st.tuples(st.just("resize"), small, st.integers(0, 4)),
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(slots=st.lists(st.integers(0, 3), min_size=1, max_size=3), script=st.lists(STEPS, max_size=25))
def test_what_is_held_is_what_lives_and_nobody_is_passed_or_forgotten(
    store: Store, slots: list[int], script: list[Step]
) -> None:
    play(store, slots, script)


# --- versions with a bug -------------------------------------------------------------------------------------------


def no_end_with_the_attempt(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(limits, "end_of_attempt", lambda *_: None)


def nobody_is_behind(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(limits, "_behind", lambda *_: False)


def everybody_is_behind(patch: pytest.MonkeyPatch) -> None:
    real = limits._behind
    patch.setattr(limits, "_behind", lambda tx, limit, _ticket: real(tx, limit, None))


def dead_attempts_may_ask(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(limits, "_fence", lambda *_: "RUNNING")


def expired_leases_count(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(limits, "_drop_expired", lambda *_: None)


def off_by_one(patch: pytest.MonkeyPatch) -> None:
    real = limits.blocked
    patch.setattr(limits, "blocked", lambda facts, kind, occupy: real(facts, kind, occupy - 1))


def only_the_first_limit_is_looked_at(patch: pytest.MonkeyPatch) -> None:
    real = limits._locked
    patch.setattr(limits, "_locked", lambda tx, scope, names: real(tx, scope, names)[:1] if len(names) > 1 else
                  real(tx, scope, names))  # fmt: skip


def the_place_in_line_is_kept_when_granted(patch: pytest.MonkeyPatch) -> None:
    real = limits.release
    patch.setattr(limits, "release", lambda tx, request: 0 if _caller() == "_grant" else real(tx, request))


def giving_back_forgets_the_row(patch: pytest.MonkeyPatch) -> None:
    real = limits.release
    patch.setattr(limits, "release", lambda tx, request: real(tx, request) if _caller() == "_grant" else 0)


def asking_again_draws_a_new_ticket(patch: pytest.MonkeyPatch) -> None:
    real = limits._rows_of

    def forgets(tx: Any, request: Any) -> tuple[int, dict[str, int]]:
        limits.release(tx, request.id)
        return real(tx, request)

    patch.setattr(limits, "_rows_of", forgets)


def renewing_frees(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(limits, "renew", lambda tx, keys, **_: [limits.end_of_attempt(tx, key) for key in keys])


BUGS = [
    no_end_with_the_attempt, nobody_is_behind, everybody_is_behind, dead_attempts_may_ask, expired_leases_count,
    off_by_one, only_the_first_limit_is_looked_at, the_place_in_line_is_kept_when_granted, giving_back_forgets_the_row,
    asking_again_draws_a_new_ticket, renewing_frees,
]  # fmt: skip


def _caller() -> str:
    import sys

    return sys._getframe(2).f_code.co_name


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_version_with_a_bug_is_found_out(bug: Callable[[pytest.MonkeyPatch], None]) -> None:
    store = open_store("sqlite://")
    store.migrate()
    draw = random.Random(7)
    with pytest.MonkeyPatch.context() as patch:
        bug(patch)
        with pytest.raises(AssertionError):
            _many_stories(store, draw)
    store.close()


def _many_stories(store: Store, draw: random.Random) -> None:
    for _ in range(150):
        play(store, [draw.randint(0, 3) for _ in range(draw.randint(1, 3))], _story(draw))


def _story(draw: random.Random) -> list[Step]:
    found: list[Step] = []
    for _ in range(25):
        kind = draw.choice(["begin", "ask", "ask", "ask", "again", "give", "end", "crash", "renew", "resize"])
        who = draw.randint(0, 9)
        more: dict[str, Step] = {
            "begin": (),
            "ask": (who, tuple(draw.randint(0, 9) for _ in range(draw.randint(1, 2))), draw.randint(1, 2)),
            "end": (who, draw.choice(["complete", "cancel", "lose", "release"])),
            "resize": (who, draw.randint(0, 4)),
        }
        found.append((kind, *more.get(kind, (who,))))
    return found


# --- at the same time ------------------------------------------------------------------------------------------------


def test_two_who_ask_at_the_same_time_never_get_the_same_slot(store: Store) -> None:
    world = World(store, [1])
    for _ in range(2):
        world.begin()
    requests = [
        limits.Request(f"{number}", (world.names[0],), 1, "slots", one.run_id, one.number, one.key)
        for number, one in enumerate(world.attempts)
    ]
    answers: list[str] = []
    asked = threading.Event()

    def second() -> None:
        asked.set()
        with store.write() as tx:
            answers.append(limits.ask(tx, SCOPE, requests[1]).status)

    thread = threading.Thread(target=second)
    with store.write() as tx:
        answers.append(limits.ask(tx, SCOPE, requests[0]).status)
        thread.start()
        asked.wait(5)
        thread.join(0.2)
    thread.join(20)
    assert answers == ["granted", "waits"]


def test_an_attempt_that_ends_while_it_asks_leaves_nothing_behind(store: Store) -> None:
    from hub.engine.run import Lose
    from hub.runtime.orchestrator import handle

    world = World(store, [1])
    world.begin()
    (one,) = world.attempts
    request = limits.Request("a", (world.names[0],), 1, "slots", one.run_id, one.number, one.key)
    thread = threading.Thread(target=lambda: handle(store, SCOPE, one.run_id, Lose(one.number, 1, "gone")))
    with store.write() as tx:
        assert limits.ask(tx, SCOPE, request).status == "granted"
        thread.start()
        thread.join(0.2)
    thread.join(20)
    with store.read() as tx:
        assert tx.conn.execute(limits.SLOTS.select()).all() == []
        row = attempts.get(tx, one.key)
    assert row is not None
    assert row["state"] == "LOST"


def test_the_version_without_a_bug_tells_the_same_stories_well() -> None:
    store = open_store("sqlite://")
    store.migrate()
    _many_stories(store, random.Random(7))
    store.close()
