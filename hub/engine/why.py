"""Why a run is where it is: the rule that holds it, who holds what it waits for, and when it is expected to go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from hub.engine.run import Run
from hub.states import TERMINAL, StateType
from hub.types import SECOND, Id, Micros

Rule: TypeAlias = Literal[
    "ended", "running", "cancelling", "paused", "not_due", "queue_paused", "queue_full", "no_worker", "no_slot",
    "broker_away", "no_upkeep", "published", "next", "inline", "limit", "sleeping", "waiting",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class LimitWait:
    """Code of a run that waits for a named limit. `holders` are runs; `position` counts from 1."""

    limit: str
    slots: int | None
    position: int
    holders: tuple[Id, ...] = ()
    task: str = ""


@dataclass(frozen=True, slots=True)
class Awaited:
    """What code of a run waits for. `resumable`: somebody who resumes the run lets it go on."""

    key: str
    kind: str
    expires_at: Micros | None = None

    @property
    def resumable(self) -> bool:
        """Whether resuming the run is the answer."""
        return self.kind == "pause"


@dataclass(frozen=True, slots=True)
class LaneWait:
    """The limit of a run's deployment (and key). `holders` are the runs that execute; `position` counts from 1."""

    deployment: str
    key: str
    slots: int
    holders: tuple[Id, ...]
    position: int


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
    awaited: tuple[Awaited, ...] = ()
    """What its code waits for, the oldest first."""
    upkeep: bool = True
    lane: LaneWait | None = None
    waits: tuple[LimitWait, ...] = ()
    chunks: tuple[Id, ...] = ()
    """Chunks of the run's tasks that no worker has taken yet."""
    all_wait: bool = False
    """Whether every slot for these chunks (for the run itself where there are none) is held by a flow that waits so."""


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
    if kind is StateType.RUNNING and around.waits:
        return _in_code(around)
    if run.state.name in ("Suspended", "Waiting"):
        return _awaiting(run, around)
    if run.home == "inline":
        sentence = f"It runs in the process that called it, not on a worker{_chunks(around)}."
        return Reason("inline", sentence, around.worker, hint=_of_chunk(around))
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


def _awaiting(run: Run, around: Surroundings) -> Reason:
    first = around.awaited[0] if around.awaited else None
    what = run.state.message or "waits for somebody to resume it"
    if run.state.name == "Suspended":
        where = ", without a process"
    elif run.home == "inline":
        where = ", in the process that called it"
    else:
        where = f"; it keeps its slot on worker {around.worker or 'unknown'}"
    hint = f"`hub runs resume {run.id}` lets it go on." if first is None or first.resumable else ""
    if first is not None and first.kind == "input":
        hint = f"`hub runs waits {run.id}` says what it asks for."
    expires = None if first is None else first.expires_at
    return Reason("waiting", f"It {what}{where}.", around.worker, expires, hint)


def _running(around: Surroundings) -> Reason:
    sentence = f"It runs on worker {around.worker or 'unknown'}{_chunks(around)}."
    return Reason("running", sentence, around.worker, hint=_of_chunk(around))


def _chunks(around: Surroundings) -> str:
    if not around.chunks:
        return ""
    stuck = "; all slots are held by flows that wait for such chunks" if around.all_wait else ""
    return f", and {_count(len(around.chunks), 'chunk')} of its tasks wait for a slot{stuck}"


def _of_chunk(around: Surroundings) -> str:
    if not around.chunks:
        return ""
    return _SEPARATE if around.all_wait else f"`hub runs why {around.chunks[0]}` says what the first of them waits for."


_SEPARATE = (
    "A flow keeps its slot while it waits: start more workers, or give the tasks a queue of their own "
    "(`CeleryTaskRunner(queue=...)`)."
)


def _in_code(around: Surroundings) -> Reason:
    first, more = around.waits[0], len(around.waits) - 1
    what = f"task {first.task}" if first.task else "its code"
    slots = "" if first.slots is None else f" of {_count(first.slots, 'slot')}"
    sentence = f"It runs, and {what} waits for limit {first.limit}{slots}, in place {first.position}"
    sentence += f"; {_count(more, 'task')} more wait{'s' if more == 1 else ''} for limits." if more else "."
    return Reason("limit", sentence, _named(first.holders), hint=f"`hub limits show {first.limit}` shows its line.")


def _in_lane(lane: LaneWait) -> Reason:
    key = f" for {lane.key}" if lane.key else ""
    sentence = f"Deployment {lane.deployment} runs at most {lane.slots} at once{key}, and that many run;"
    return Reason("limit", f"{sentence} this one is in place {lane.position}.", _named(lane.holders))


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
    if run.due_at > now and run.state.name == "Sleeping":
        return Reason("sleeping", f"It {run.state.message or 'sleeps'}, without a process.", expected_at=run.due_at)
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
    if around.lane is not None and len(around.lane.holders) >= around.lane.slots:
        return _in_lane(around.lane)
    if around.taken >= around.slots:
        sentence = (
            f"All {around.slots} slots of the {_count(around.workers, 'worker')} of queue {around.queue} are taken"
        )
        sentence += f", and {_count(around.ahead, 'run')} is before it." if around.ahead == 1 else (
            f", and {around.ahead} runs are before it." if around.ahead else "."
        )  # fmt: skip
        hint = "More workers or `--slots` would take it sooner."
        if around.all_wait:
            sentence, hint = f"{sentence.rstrip('.')}. Whoever holds them waits for chunks of its own tasks.", _SEPARATE
        return Reason("no_slot", sentence, _named(around.holders), hint=hint)
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
