"""A run, its worker children and everybody who may act on it, with the real rules between them.

Children execute attempts, die, come back late as zombies; doorbells arrive in any order or twice; leases run out while
what they stood for still lives. The checks are named; what breaks one says its name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hub.engine import rules
from hub.engine.retry import RetryPolicy
from hub.engine.run import (
    Cancel,
    Claim,
    Complete,
    Dispatch,
    Fail,
    GoOn,
    Lose,
    MarkLate,
    Pause,
    Redispatch,
    Reject,
    Release,
    Resume,
    Run,
    Signal,
    Stopped,
    Suspend,
    Transition,
    Wait,
    Wake,
)
from hub.states import MOVES, TERMINAL, State, StateType
from hub.types import SECOND
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

S = StateType
WORKER = "w" * 32
HOWS = [
    "fail", "fail_for_good", "time_out", "complete", "release", "stopped", "reject", "die", "sleep", "leave_to_retry",
    "suspend", "suspend_late",
]  # fmt: skip
WAITING_NAMES = {"Recovering", "AwaitingRetry", "Late", "Scheduled", "Sleeping"}
NAP = 7 * SECOND


@dataclass(eq=False)
class Child:
    """A process that executes an attempt. `accepted`: its claim was; `told`: it has reported and will say no more."""

    attempt: int
    epoch: int
    alive: bool = True
    reported: str = ""


class Attempts:
    """The attempt rows, as the store keeps them for the rules' transitions."""

    def __init__(self) -> None:
        self.live: tuple[int, int] | None = None
        self.opened = 0

    def follow(self, made: Transition) -> None:
        """Do what `attempt_move` says."""
        if made.attempt_move == "open":
            check("slots", self.live is None, "an attempt was opened while another was live")
            self.opened += 1
            self.live = (made.attempt, made.epoch)
        elif made.attempt_move == "reopen":
            check("slots", self.live is not None and self.live[0] == made.attempt, "reopened what was not live")
            self.live = (made.attempt, made.epoch)
        elif made.attempt_move in ("end", "lose", "release"):
            self.live = None


def check(name: str, holds: bool, what: str) -> None:
    """Fail under the invariant's name."""
    assert holds, f"{name}: {what}"


class Runs(RuleBasedStateMachine):
    """One run of a worker's home, from its creation to its end and beyond."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000 * SECOND
        self.attempts = Attempts()
        self.children: list[Child] = []
        self.bells: list[tuple[int, int]] = []
        self.cancel_accepted = False
        self.finals: list[State] = []
        self.counts = {"retries": 0, "crashes": 0}

    @initialize(
        retries=st.integers(0, 2), delay=st.sampled_from([0.0, 5.0]), crash_retries=st.integers(0, 2),
        paused=st.sampled_from([False, False, True]), budget=st.sampled_from([None, 8.0, 2.0]),
    )  # fmt: skip
    def begin(self, retries: int, delay: float, crash_retries: int, paused: bool, budget: float | None) -> None:
        state = State(S.PAUSED, "Paused") if paused else State(S.SCHEDULED, "Scheduled")
        policy = RetryPolicy(retries=retries, delays=(delay,), budget=budget)
        self.run = Run("r" * 32, "w", state, retry=policy, crash_retries=crash_retries, due_at=self.now)

    # --- what every transition must hold to ------------------------------------------------------------------------

    def tell(self, signal: Signal) -> Transition | None:
        """Ask the rules and commit what they say."""
        before = self.run
        made = rules.decide(before, signal, now=self.now)
        if not isinstance(made, Transition):
            return None
        check("final", before.state.type not in TERMINAL, f"{before.state.name} became {made.state.name}")
        check("table", made.state.type in MOVES[before.state.type], f"{before.state.type} to {made.state.type}")
        check("event", bool(made.event), "a state changed without an event")
        self._counted(before, made, signal)
        self._cancel_holds(made, signal)
        self._attempt_numbers(before, made)
        self.attempts.follow(made)
        self.run = replace(
            before, state=made.state, version=before.version + 1, attempt=made.attempt, epoch=made.epoch,
            due_at=before.due_at if made.due_at is None else made.due_at, **made.changes,
            started_at=before.started_at or (self.now if made.started else None),
        )  # fmt: skip
        if made.state.type in TERMINAL:
            self.finals.append(made.state)
            check("ended", made.ended, "a final state without its time")
        return made

    def _counted(self, before: Run, made: Transition, signal: Signal) -> None:
        retries = made.changes.get("retries_used", before.retries_used) - before.retries_used
        crashes = made.changes.get("crashes", before.crashes) - before.crashes
        failed = isinstance(signal, Fail) and made.state.name == "AwaitingRetry"
        check("retries", retries == failed, f"{retries} counted for {made.state.name}")
        lost = made.attempt_move == "lose" and made.state.name == "Recovering"
        check("crashes", crashes == lost, f"{crashes} counted for {made.state.name} ({made.attempt_move})")
        check("retries", before.retries_used + retries <= before.retry.retries, "more retries than allowed")
        check("crashes", before.crashes + crashes <= before.crash_retries, "more crash retries than allowed")
        if isinstance(signal, Suspend) and made.state.type is S.SCHEDULED:
            check("delay", made.due_at == signal.due_at, "it is due at another time than its code asked for")
        if failed:
            delay = int(before.retry.delays[0] * SECOND)
            check("delay", (made.due_at or 0) >= self.now + delay, "due before its delay is over")
            check("budget", self._affords(before), "retried when its budget was spent")
        if made.state.name == "Recovering":
            check("delay", made.due_at is not None and made.due_at <= self.now, "a lost run waits")

    def _affords(self, run: Run) -> bool:
        due = self.now + int(run.retry.delays[0] * SECOND)
        return run.retry.budget is None or due - (run.started_at or 0) <= run.retry.budget * SECOND

    def _cancel_holds(self, made: Transition, signal: Signal) -> None:
        if self.cancel_accepted:
            check("cancel", made.state.type is S.CANCELLED, f"an accepted cancel became {made.state.name}")
        if isinstance(signal, Cancel):
            self.cancel_accepted = True
            check("cancel", made.state.type in (S.CANCELLING, S.CANCELLED), f"cancel became {made.state.name}")
            executing = any(self._current(child) and not child.reported for child in self.children)
            check("confirmed", not (executing and made.state.type is S.CANCELLED), "CANCELLED while it executes")

    def _attempt_numbers(self, before: Run, made: Transition) -> None:
        if made.attempt_move == "open":
            right = (made.attempt, made.epoch) == (before.attempt + 1, 1)
        elif made.attempt_move == "reopen":
            right = (made.attempt, made.epoch) == (before.attempt, before.epoch + 1)
        else:
            right = (made.attempt, made.epoch) == (before.attempt, before.epoch)
        check("fence", right, f"{before.attempt}.{before.epoch} became {made.attempt}.{made.epoch}")

    def _current(self, child: Child) -> bool:
        return (child.attempt, child.epoch) == self.attempts.live

    # --- the dispatcher and the sweeper ----------------------------------------------------------------------------

    @precondition(lambda self: self.run.state.type is S.SCHEDULED)
    @rule()
    def dispatch(self) -> None:
        """When it is due."""
        self.now = max(self.now, self.run.due_at)
        self.try_to_dispatch()

    @rule()
    def try_to_dispatch(self) -> None:
        ready = self.run.state.type is S.SCHEDULED
        if self.run.due_at > self.now:
            return
        made = self.tell(Dispatch(WORKER))
        check("dispatch", (made is not None) == ready, f"{self.run.state.name}: dispatched {made is not None}")
        if made is not None:
            self.bells.append((made.attempt, made.epoch))

    @precondition(lambda self: self.run.state.type in (S.PENDING, S.RUNNING))
    @rule()
    def ring_again(self) -> None:
        made = self.tell(Redispatch(WORKER))
        if made is not None:
            self.bells.append((made.attempt, made.epoch))

    @precondition(lambda self: self.run.state.type in (S.PENDING, S.RUNNING))
    @rule()
    def nobody_can_take_it(self) -> None:
        before = self.run.state.type
        if self.tell(MarkLate("no worker")) is not None:
            check("late", before is S.PENDING, "a run that was not published became late")

    @precondition(lambda self: self.run.attempt > 0)
    @rule(late=st.booleans())
    def lease_runs_out(self, late: bool) -> None:
        """The sweeper ends the live attempt, or (late) says so of one that it read a while ago."""
        live = self.attempts.live or (self.run.attempt, self.run.epoch)
        attempt, epoch = (live[0] - 1, 1) if late else live
        made = self.tell(Lose(attempt, epoch, "its lease ran out"))
        if made is not None:
            check("fence", not late, "the loss of an attempt that was over ended another")
            spent = self.run.crashes >= self.run.crash_retries and made.state.name == "Crashed"
            check("crashes", made.state.name != "Crashed" or spent, "CRASHED with crash retries left")

    # --- worker children -------------------------------------------------------------------------------------------

    @precondition(lambda self: self.bells)
    @rule(data=st.data(), again=st.booleans())
    def bell_arrives(self, data: st.DataObject, again: bool) -> None:
        """In any order, and perhaps once more later: brokers deliver at least once."""
        self.answer(data.draw(st.sampled_from(self.bells)), again=again)

    def answer(self, bell: tuple[int, int], *, again: bool) -> None:
        if not again:
            self.bells.remove(bell)
        made = self.tell(Claim(*bell))
        if made is not None:
            check("fence", self.attempts.live == bell, "an old doorbell was answered")
            rivals = [c for c in self.children if (c.attempt, c.epoch) == bell]
            check("once", not rivals, "two children execute one attempt")
            self.children.append(Child(*bell))

    @precondition(lambda self: any(not child.reported for child in self.children))
    @rule(data=st.data(), how=st.sampled_from(HOWS))
    def child_ends(self, data: st.DataObject, how: str) -> None:
        """Any child, also one that was given up and lives on."""
        self.ends(data.draw(st.sampled_from([child for child in self.children if not child.reported])), how)

    @precondition(lambda self: any(not child.reported and self._current(child) for child in self.children))
    @rule(how=st.sampled_from(HOWS))
    def live_child_ends(self, how: str) -> None:
        self.ends(next(child for child in self.children if self._current(child) and not child.reported), how)

    def ends(self, child: Child, how: str) -> None:
        child.reported = how
        current, before = self._current(child), self.run
        at = (child.attempt, child.epoch)
        signals: dict[str, Signal] = {
            "complete": Complete(*at), "fail": Fail(*at, "no"), "fail_for_good": Fail(*at, "no", retryable=False),
            "time_out": Fail(*at, "slow", timed_out=True), "release": Release(*at, "stopping"),
            "stopped": Stopped(*at, "stopped"), "reject": Reject("no such flow", *at),
            "sleep": Suspend(*at, "sleep", self.now + NAP), "leave_to_retry": Suspend(*at, "retry", self.now + NAP),
            "suspend": Suspend(*at, "wait"), "suspend_late": Suspend(*at, "wait", self.now),
        }  # fmt: skip
        if how == "die":
            child.alive = False
            return
        made = self.tell(signals[how])
        if made is None:
            done = self.run.state.type in TERMINAL
            idle = how == "stopped" and before.state.type is S.RUNNING
            check("heard", not current or done or idle, f"{how} of the live attempt was refused: {before.state.name}")
            return
        check("fence", current, f"a report of attempt {child.attempt}.{child.epoch} was taken as {before.attempt}")
        if not self.cancel_accepted:
            self._means(how, before, made)

    def _means(self, how: str, before: Run, made: Transition) -> None:
        left = before.retry.left(before.retries_used) and self._affords(before)
        wanted = {
            "complete": "Completed", "fail": "AwaitingRetry" if left else "Failed", "fail_for_good": "Failed",
            "time_out": "AwaitingRetry" if left else "TimedOut", "release": "Recovering", "reject": "Failed",
            "stopped": "Cancelled", "sleep": "Sleeping", "leave_to_retry": "AwaitingRetry", "suspend": "Suspended",
            "suspend_late": "Scheduled",
        }  # fmt: skip
        check("meaning", made.state.name == wanted[how], f"{how} became {made.state.name}, not {wanted[how]}")

    @precondition(lambda self: any(not child.reported for child in self.children))
    @rule(data=st.data(), waits=st.booleans())
    def child_waits_in_place(self, data: st.DataObject, waits: bool) -> None:
        """Any child says that its code waits, or goes on; also one that was given up and lives on."""
        self.waits(data.draw(st.sampled_from([child for child in self.children if not child.reported])), waits)

    def waits(self, child: Child, waits: bool) -> None:
        current, before = self._current(child), self.run.state.type
        kind = Wait if waits else GoOn
        made = self.tell(kind(child.attempt, child.epoch))
        check("waiting", (made is not None) == (current and before is S.RUNNING), f"{kind.__name__} of {before}")
        if made is not None:
            check("waiting", made.attempt_move is None, "an attempt that waits in its process gave up its slot")

    # --- people ----------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.run.attempt > 0 or self.run.state.type is S.PAUSED)
    @rule()
    def cancel(self) -> None:
        self.tell(Cancel("enough"))

    @precondition(lambda self: self.run.attempt > 1 or self.run.state.type is S.CANCELLING)
    @rule(fails=st.booleans())
    def declare(self, fails: bool) -> None:
        """Somebody says how it ended, whatever executes it."""
        before = self.run
        done = Complete(before.attempt, before.epoch, message="done", declared=True)
        made = self.tell(Reject("hopeless") if fails else done)
        executes = before.state.type in (S.RUNNING, S.CANCELLING)
        if made is None:
            refused = not fails or before.state.type in (S.CANCELLING, *TERMINAL)
            check("declared", refused, f"{before.state.name} could not be declared to have failed")
            return
        check(
            "declared", before.state.type is not S.CANCELLING, "a run that is being cancelled was declared to be over"
        )
        check("declared", not executes or made.attempt_move == "release", "its process was not taken away")
        check("declared", made.state.name == ("Failed" if fails else "Completed"), f"it became {made.state.name}")

    @rule()
    def pause(self) -> None:
        made = self.tell(Pause("wait"))
        if made is not None:
            check("pause", self.attempts.live is None, "paused while an attempt was live")

    @rule()
    def resume(self) -> None:
        made = self.tell(Resume())
        if made is not None:
            check("resume", made.state.type is S.SCHEDULED, f"resumed to {made.state.name}")

    @precondition(lambda self: self.run.state.type is S.SCHEDULED)
    @rule()
    def wake(self) -> None:
        """A flow nested in it was cancelled while both had left."""
        asleep = self.run.state.name in ("Sleeping", "AwaitingRetry")
        made = self.tell(Wake("it was cancelled"))
        check("wake", (made is not None) == asleep, f"{self.run.state.name}: woken {made is not None}")
        if made is not None:
            check("wake", made.due_at == self.now and made.attempt_move is None, "woken, and it sleeps on")

    # --- always ----------------------------------------------------------------------------------------------------

    @invariant()
    def slots_are_live_attempts(self) -> None:
        occupied = self.run.state.type in (S.PENDING, S.RUNNING, S.CANCELLING)
        check("slots", (self.attempts.live is not None) == occupied, f"{self.run.state.name}: {self.attempts.live}")
        if self.attempts.live is not None:
            check("slots", self.attempts.live == (self.run.attempt, self.run.epoch), "another attempt holds the slot")

    @invariant()
    def it_ends_once(self) -> None:
        check("final", len(self.finals) <= 1, f"it ended as {[state.name for state in self.finals]}")

    @invariant()
    def names_fit_types(self) -> None:
        waiting = self.run.state.type is S.SCHEDULED
        check("names", waiting == (self.run.state.name in WAITING_NAMES), f"{self.run.state}")

    def teardown(self) -> None:
        """With a willing dispatcher and a child that does its work, every run ends."""
        for _ in range(40):
            if self.run.state.type in TERMINAL:
                break
            self.now = max(self.now, self.run.due_at)
            if self.run.state.type is S.PAUSED:
                self.resume()
            elif self.run.state.type is S.SCHEDULED:
                self.dispatch()
            elif self.run.state.type is S.PENDING:
                self.tell(Claim(self.run.attempt, self.run.epoch))
            else:
                self.tell(Complete(self.run.attempt, self.run.epoch))
        check("progress", self.run.state.type in TERMINAL, f"it stays {self.run.state.name}")
