"""A test of the test: every bug of bugs.py breaks an invariant in a history that the right code survives.

The histories are made of the state machine's own rules. With HUB_TEST_LINK_BUGS=1 (scripts/soak) the bugs are also
looked for in random histories.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from . import bugs
from .checks import RUNS
from .machine import Links

A, B, C = RUNS


class Play:
    """Plays rules one after the other and checks every invariant after each."""

    def __init__(self, *, cloud: bool = False) -> None:
        self.machine = Links()
        self.do("begin", cloud)

    def do(self, rule: str, *args: Any, **more: Any) -> Play:
        getattr(self.machine, rule)(*args, **more)
        for check in (
            "planes_hold_a_prefix", "every_change_has_one_event", "states_keep_their_promises",
            "withdrawn_commands_never_run", "needed_events_are_kept", "planes_show_what_sites_reported",
            "lines_are_kept_or_told",
        ):  # fmt: skip
            getattr(self.machine, check)()
        return self

    def work(self, run: str = A, times: int = 1, *, good: bool = True) -> Play:
        for _ in range(times):
            self.do("work", run, good, True)
        return self

    def push(self, name: str = "local", fate: str = "ok") -> Play:
        return self.do("push_one", self.machine.planes[name], 50, fate)

    def poll(self, name: str = "local", crash: int | None = None) -> Play:
        return self.do("poll_one", self.machine.planes[name], crash)

    def policy(self, name: str, level: str) -> Play:
        return self.do("policy_changes", name, level)

    def lines(self, fate: str = "ok", name: str = "local") -> Play:
        if self.machine.has_session(name):
            self.do("lines_one", self.machine.planes[name], fate)
        return self

    def ask(self, op: str, run: str = A, name: str = "local") -> Play:
        return self.do("user_asks", name, f"run.{op}", run)

    def open(self, name: str = "local") -> Play:
        return self.do("open_one", name)

    def withdraw(self, name: str = "local") -> Play:
        return self.do("withdraw_newest", self.machine.planes[name])


History = Callable[[Play], Any]


def late_request_after_a_restore(play: Play) -> None:
    play.work().push().do("back_up_site").work().push(fate="lost").do("restore_site").open()
    play.do("late", "local")


def answers_only_in_a_snapshot(play: Play) -> None:
    play.work().push().ask("cancel").do("back_up_plane", "local").poll().push().do("trim", 100)
    play.do("restore", "local")


def restored_twice(play: Play) -> None:
    play.work().push().do("back_up_site")
    for _ in range(2):
        play.work().push().do("restore_site").open()
    play.work(B, 2).push()


def forgotten_command(play: Play) -> None:
    play.do("back_up_plane", "local").ask("cancel", A).poll().do("restore", "local").ask("cancel", B)


def withdrawn_after_a_restore(play: Play) -> None:
    play.ask("cancel", A).do("back_up_plane", "local").poll().do("restore", "local").withdraw()


def session_forgotten_in_a_restore(play: Play) -> None:
    play.do("back_up_plane", "local").do("site_process_dies").open().work().push().do("restore", "local")


def late_snapshot_after_a_restore(play: Play) -> None:
    """Only its last page arrives after the restore: the plane would stand at the end without the runs."""
    play.work().push().do("back_up_plane", "local").do("back_up_site").work(B).push().do("restore_site")
    play.machine.planes["local"].network.fates = ["ok", "ok", "dup"]
    play.open().do("restore", "local").do("late", "local")


def switched(play: Play) -> Play:
    return play.work().push().push("cloud").ask("cancel").do("promote", "cloud")


def private_fields(play: Play) -> None:
    play.work(A, 3).work(A, good=False).push()


def lax_and_strict(play: Play) -> None:
    play.policy("cloud", "results").policy("local", "metadata").work(A, 4).push().push("cloud")


def lines_of(play: Play, count: int = 2) -> Play:
    return play.policy("local", "logs").work().do("write_lines", A, count)


def lines_lost_in_a_restore(play: Play) -> Play:
    lines_of(play).do("back_up_plane", "local").lines().do("write_lines", A, 2).lines()
    return play.do("restore", "local")


CASES: list[tuple[bugs.Patch, History]] = [
    (bugs.cursor_moves_before_the_command, lambda p: p.ask("cancel", A).ask("cancel", B).poll(crash=0)),
    (
        bugs.outcomes_are_not_looked_up,
        lambda p: p.work().push().ask("pause").poll(crash=0).do("somebody_resumes_here").open().poll(),
    ),
    (bugs.a_restored_plane_keeps_its_epoch, forgotten_command),
    (bugs.a_restored_plane_forgets_what_it_delivered, withdrawn_after_a_restore),
    (bugs.a_restored_plane_gives_out_a_fence_again, session_forgotten_in_a_restore),
    (bugs.a_restored_plane_gives_out_a_fence_again, late_snapshot_after_a_restore),
    (bugs.delivered_commands_can_be_withdrawn, lambda p: p.ask("cancel").poll().withdraw()),
    (bugs.delivery_is_not_noted, lambda p: p.ask("cancel").poll().withdraw()),
    (bugs.withdrawn_commands_are_delivered, lambda p: p.ask("cancel").withdraw().poll()),
    (bugs.the_plane_has_no_fence, late_request_after_a_restore),
    (bugs.forks_are_not_noticed, lambda p: p.do("back_up_site").work().push().do("restore_site").open()),
    (
        bugs.a_fork_keeps_its_epoch,
        lambda p: p.do("back_up_site").work().push().do("restore_site").open().work().push(),
    ),
    (bugs.left_epochs_are_followed_again, restored_twice),
    (bugs.events_are_trimmed_early, lambda p: p.work().do("trim", 10)),
    (bugs.a_cancel_leaves_no_tombstone, lambda p: p.ask("cancel").poll().work()),
    (bugs.a_state_changes_without_its_event, lambda p: p.work(A, 3)),
    (
        bugs.the_site_remembers_its_own_acked,
        lambda p: p.do("back_up_plane", "local").work().push().do("restore", "local"),
    ),
    (bugs.any_plane_is_obeyed, lambda p: switched(p).open().poll()),
    (
        bugs.an_old_authority_is_obeyed,
        lambda p: switched(p).open().push().push("cloud").do("promote", "local").open().poll(),
    ),
    (bugs.final_states_are_not_final, lambda p: p.work().push().ask("cancel").work(A, 3).poll()),
    (bugs.a_switched_link_goes_on, switched),
    (bugs.the_newest_state_is_written_over, lambda p: p.work().push().work().push()),
    (bugs.gone_runs_stay_in_the_replica, lambda p: p.do("back_up_site").work().push().do("restore_site").open()),
    (bugs.snapshots_leave_answers_out, answers_only_in_a_snapshot),
    (bugs.a_private_field_is_exported, private_fields),
    (bugs.the_policy_is_not_looked_at_when_an_event_leaves, lax_and_strict),
    (bugs.lines_are_shed_in_silence, lambda p: lines_of(p, 20).lines().lines()),
    (bugs.lines_go_on_where_the_site_stood, lambda p: lines_lost_in_a_restore(p).open().lines()),
    (bugs.a_plane_keeps_no_marks, lambda p: lines_of(p, 20).lines().lines()),
    (bugs.refusals_are_not_kept, lambda p: p.work().push().ask("cancel").work(A, 3).poll()),
]
NAMES = [patch.__name__ for patch, _ in CASES]


def run_through(history: History, *, cloud: bool) -> None:
    play = Play(cloud=cloud)
    try:
        history(play)
        play.machine.heal()
    finally:
        play.machine.shut()


def needs_cloud(patch: bugs.Patch) -> bool:
    return patch in (
        bugs.any_plane_is_obeyed,
        bugs.an_old_authority_is_obeyed,
        bugs.a_switched_link_goes_on,
        bugs.the_policy_is_not_looked_at_when_an_event_leaves,
    )


@pytest.mark.parametrize(("patch", "history"), CASES, ids=NAMES)
def test_the_right_code_survives_the_history(patch: bugs.Patch, history: History) -> None:
    run_through(history, cloud=needs_cloud(patch))


@pytest.mark.parametrize(("patch", "history"), CASES, ids=NAMES)
def test_the_bug_is_found(patch: bugs.Patch, history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    patch(monkeypatch)
    with pytest.raises(AssertionError, match=r"^[IL]\d+: "):
        run_through(history, cloud=needs_cloud(patch))


@pytest.mark.skipif(os.environ.get("HUB_TEST_LINK_BUGS") != "1", reason="minutes long; scripts/soak runs it")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("patch", [patch for patch, _ in CASES], ids=NAMES)
def test_the_bug_is_found_in_random_histories(patch: bugs.Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    patch(monkeypatch)
    wide = settings(
        max_examples=400, stateful_step_count=50, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Links, settings=wide)
