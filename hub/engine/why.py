"""Why a run is where it is: the rule that holds it, who holds what it waits for, and when it is expected to go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from hub.engine.run import Run
from hub.states import TERMINAL, StateType
from hub.types import SECOND, Id, Micros

Rule: TypeAlias = Literal[
    "ended", "running", "cancelling", "paused", "not_due", "queue_paused", "queue_full", "no_worker", "no_slot",
    "broker_away", "no_upkeep", "published", "next", "inline",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run waits among. `taken` and `slots` count all live workers of its queue together."""

    queue: str
    queue_paused: bool = False
    queue_slots: int | None = None
    queue_taken: int = 0
    workers: int = 0
    slots: int = 0
    taken: int = 0
    ahead: int = 0
    holders: tuple[Id, ...] = ()
    worker: str = ""
    published_at: Micros | None = None
    lease_until: Micros | None = None
    broker_seen_at: Micros | None = None
    claim_timeout_s: float = 5.0
    cancel_grace_s: float = 10.0
    canary_s: float = 30.0
    broker_problem: str = ""
    upkeep: bool = True


@dataclass(frozen=True, slots=True)
class Reason:
    """The answer. `holder` is a run, queue or worker; `expected_at` None: it cannot be told."""

    rule: Rule
    sentence: str
    holder: str = ""
    expected_at: Micros | None = None
    hint: str = ""


def explain(run: Run, around: Surroundings, *, now: Micros) -> Reason:
    """Say why a run is where it is."""
    kind = run.state.type
    if kind in TERMINAL:
        return Reason("ended", f"It ended: {run.state.name}. {run.state.message}".strip())
    if run.home == "inline":
        return Reason("inline", "It runs in the process that called it, not on a worker.", around.worker)
    if kind is StateType.RUNNING:
        return _running(around)
    if kind is StateType.CANCELLING:
        return _cancelling(around, now)
    if kind is StateType.PAUSED:
        hint = f"`hub runs resume {run.id}` lets it go on."
        return Reason("paused", f"It is paused. {run.state.message}".strip(), hint=hint)
    if kind is StateType.PENDING:
        return _published(around, now)
    return _scheduled(run, around, now)


def _running(around: Surroundings) -> Reason:
    return Reason("running", f"It runs on worker {around.worker or 'unknown'}.", around.worker)


def _cancelling(around: Surroundings, now: Micros) -> Reason:
    worker = around.worker or "its worker"
    expected = now + int(around.cancel_grace_s * SECOND)
    return Reason("cancelling", f"It is being cancelled: {worker} was told to stop it.", around.worker, expected)


def _published(around: Surroundings, now: Micros) -> Reason:
    since = around.published_at or now
    expected = since + int(around.claim_timeout_s * SECOND)
    if _broker_silent(around, now):
        return _broker_away(around)
    seconds = (now - since) / SECOND
    sentence = f"Worker {around.worker or 'unknown'} was told {seconds:.1f} s ago and has not taken it yet."
    return Reason(
        "published", sentence, around.worker, expected, "It is told again, elsewhere if need be, at that time."
    )


def _scheduled(run: Run, around: Surroundings, now: Micros) -> Reason:
    if run.due_at > now:
        why = "It waits for its next try" if run.state.name == "AwaitingRetry" else "It is not due yet"
        return Reason(
            "not_due", f"{why}: {run.state.message}" if run.state.message else f"{why}.", expected_at=run.due_at
        )
    if around.queue_paused:
        hint = f"`hub queues set {around.queue} --resume` lets its runs go."
        return Reason("queue_paused", f"Queue {around.queue} is paused.", around.queue, hint=hint)
    if around.workers == 0:
        hint = f"Start one with `hub worker --queue {around.queue}`, or everything with `hub up`."
        return Reason("no_worker", f"No live worker serves queue {around.queue}.", around.queue, hint=hint)
    if around.queue_slots is not None and around.queue_taken >= around.queue_slots:
        limit = f"Queue {around.queue} runs at most {around.queue_slots} at once, and that many run."
        return Reason("queue_full", limit, _named(around.holders), hint=f"`hub queues set {around.queue} --slots N`.")
    if around.taken >= around.slots:
        sentence = (
            f"All {around.slots} slots of the {_count(around.workers, 'worker')} of queue {around.queue} are taken"
        )
        sentence += f", and {_count(around.ahead, 'run')} is before it." if around.ahead == 1 else (
            f", and {around.ahead} runs are before it." if around.ahead else "."
        )  # fmt: skip
        return Reason(
            "no_slot", sentence, _named(around.holders), hint="More workers or `--slots` would take it sooner."
        )
    if _broker_silent(around, now):
        return _broker_away(around)
    if not around.upkeep:
        hint = "Start one with `hub upkeep`, or everything with `hub up`."
        return Reason("no_upkeep", "No upkeep process is alive, so nothing is sent to workers.", hint=hint)
    return Reason("next", "It is due and a slot is free: it goes out with the next round.", expected_at=now + SECOND)


def _broker_silent(around: Surroundings, now: Micros) -> bool:
    seen = around.broker_seen_at
    if around.broker_problem:
        return True
    return seen is not None and now - seen > 3 * around.canary_s * SECOND


def _broker_away(around: Surroundings) -> Reason:
    hint = "Look at the broker (HUB_BROKER_URL). Runs go on by themselves when it is back."
    found = around.broker_problem
    sentence = f"{found[0].upper()}{found[1:].rstrip('.')}." if found else "No worker has heard from the broker lately."
    return Reason("broker_away", sentence, around.worker, hint=hint)


def _named(holders: tuple[Id, ...]) -> str:
    return ", ".join(holders[:3]) + (f" and {len(holders) - 3} more" if len(holders) > 3 else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
