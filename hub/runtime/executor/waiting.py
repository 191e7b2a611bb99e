"""Code that waits: for a time, or for an answer to a wait point. Here, or by leaving the process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, Protocol

from hub.engine.run import GoOn, Signal, Wait
from hub.errors import ConflictError, PauseTimeout, UsageError
from hub.runtime import orchestrator
from hub.runtime import waits as answering
from hub.runtime.bell import Bell
from hub.runtime.drawing import pen
from hub.runtime.executor import passing
from hub.runtime.executor.branches import CancelledNow, Trunk
from hub.runtime.executor.leaving import leave, may_leave, wait_until
from hub.runtime.executor.loops import running_loop
from hub.runtime.executor.replayed import known, note, once, replays, step_of
from hub.runtime.executor.root import Leaving, Root
from hub.runtime.executor.rung import Heard, Rung
from hub.runtime.executor.session import Session
from hub.runtime.executor.steps import Blocking, Life, drive, drive_on_loop
from hub.runtime.journal import AttemptLost, Fact
from hub.sdk.context import RunContext, current
from hub.sdk.waiting import MISSING, Held, Nap
from hub.states import StateType
from hub.store import events, runs, stream, tasks, waits
from hub.store.base import Store, Tx
from hub.store.waits import Point
from hub.types import SECOND, Id, Micros, derived_id, now_us


@dataclass(frozen=True, slots=True)
class Asked:
    """What code waits for. `key` names the place; `leaves`: the process is left where that is possible."""

    kind: str
    name: str
    key: str | None = None
    timeout: float | None = None
    leaves: bool = False
    waits_for: str = "somebody to resume it"
    asks: dict[str, Any] = field(default_factory=dict)
    look: Callable[[Store, Point], Look] | None = None
    """Finds the answer where perhaps no upkeep does."""


class Look(Protocol):
    """Looks now and then for what a point waits for, and answers the point."""

    def step(self) -> None:
        """Look once."""


@dataclass(frozen=True, slots=True)
class Answered:
    """How a wait ended: with an answer, or because its time was over."""

    state: Literal["answered", "expired"]
    value: Any = None
    by: str | None = None


# --- what the SDK's door offers -------------------------------------------------------------------------------------


def sleep(nap: Nap) -> Any:
    """Sleep here; in a coroutine, a coroutine that does."""
    return lived(_sleep(nap))


def hold(held: Held) -> Any:
    """Wait until somebody resumes the run; in a coroutine, a coroutine that does."""
    return lived(_hold(held))


def lived(life: Life) -> Any:
    """Live it here; in a coroutine, a coroutine that does."""
    context = current.get()
    on_loop = running_loop() is not None if context is None else context.is_async
    return drive_on_loop(life) if on_loop else drive(life)


# --- sleeping -------------------------------------------------------------------------------------------------------


def _sleep(nap: Nap) -> Life:
    if pen.drawing.get() is not None:
        return
    context = current.get()
    if context is None or not replays(context):
        yield _Plainly(nap)
        return
    key = step_of(context, "sleep")
    due: Micros = yield from once(context, key, "sleep", lambda: _due(nap), lambda at: f"until {shown(at)}")
    yield from wait_until(context, due, Leaving("sleep", due, f"sleeps until {shown(due)}"))
    session: Session = context.session
    session.journal.put(Fact(also=lambda tx: tasks.lasted(tx, session.root.scope, context.run_id, key, due)))


def _due(nap: Nap) -> Micros:
    return nap.until if nap.until is not None else now_us() + int(nap.seconds * SECOND)


def shown(at: Micros) -> str:
    """A time for people."""
    return f"{datetime.fromtimestamp(at // SECOND, UTC):%Y-%m-%d %H:%M:%S} UTC"


class _Plainly:
    """The effect of sleeping outside any run."""

    def __init__(self, nap: Nap) -> None:
        self._nap = nap

    def _left(self) -> float:
        return max(0.0, (_due(self._nap) - now_us()) / SECOND)

    def here(self) -> None:
        """See Effect.here."""
        passing.passes.here(self._left(), threading.Event())

    async def on_loop(self) -> None:
        """See Effect.on_loop."""
        await passing.passes.on_loop(self._left(), threading.Event())


# --- pausing --------------------------------------------------------------------------------------------------------


def _hold(held: Held) -> Life:
    if pen.drawing.get() is not None:
        return None
    name = "suspend" if held.leaves else "pause"
    context = body_of(name)
    asked = Asked("pause", name, held.key, held.timeout, held.leaves)
    answered: Answered = yield from wait_for(context, asked)
    if answered.state == "expired" and held.default is MISSING:
        raise PauseTimeout(
            f"nobody resumed the run within {held.timeout:g} s", hint=f"Give {name}() a default= to go on all the same."
        )
    return None if answered.state == "answered" else held.default


def body_of(name: str) -> RunContext:
    """The body of a flow, which asks. Raises UsageError anywhere else."""
    context = current.get()
    if context is None or context.task_run_id is not None or not replays(context):
        raise UsageError(
            f"hub.{name}() is about the run of a flow, and this is not the body of one",
            hint="Call it in the flow, between two tasks.",
        )
    return context


def wait_for(context: RunContext, asked: Asked) -> Life:
    """The answer to a wait point, once there is one: it is a step, so that every attempt gets the same.

    While there is none the run leaves its process (where `leaves` says so and it may), else it waits here. Everything
    that waits for an answer goes through this; the other half is `hub.runtime.waits`.
    """
    session: Session = context.session
    if session.root.store is None and session.root.recording is None:
        raise UsageError(f"hub.{asked.name}() needs the hub's store", hint="Unset HUB_JOURNAL.")
    step = step_of(context, asked.name, asked.key)
    found = yield from known(context, step, asked.name)
    if found:
        return Answered(**found[0])
    point: Point = yield Blocking(lambda: _opened(session, asked, step))
    if point.state == "open":
        point = yield from _until_answered(context, point, asked)
    if point.state not in ("answered", "expired"):
        raise CancelledNow(f"the run has ended while it waited for {asked.waits_for}")
    answered = Answered(point.state, point.answer, point.answered_by)
    told = f"answered by {point.answered_by}" if point.state == "answered" else "nobody answered in time"
    value = {"state": answered.state, "value": answered.value, "by": answered.by}
    yield from note(context, step, asked.name, value, told)
    return answered


def _opened(session: Session, asked: Asked, step: str) -> Point:
    """The point of this step, of an earlier attempt or new. Only the live attempt of its run may open one."""
    root, info = session.root, session.info
    assert root.store is not None
    store, scope = root.store, root.scope
    with store.write() as tx:
        waits.hold_run(tx, info.run_id)
        run = runs.get(tx, root.scope, info.run_id)
        if run is not None and run.state.type is StateType.CANCELLING:
            raise CancelledNow
        if run is None or run.state.type is not StateType.RUNNING or run.attempt != info.attempt:
            raise AttemptLost(f"attempt {info.attempt} was given up")
        point, new = waits.opened(tx, scope, _new_point(tx, session, asked, step))
        if point.kind == "message" and point.state == "open" and answering.give_message(tx, scope, point):
            return waits.get(tx, scope, point.id) or point
        if new and point.kind == "input":
            events.append(
                tx, scope, "hub.input.asked", subject=info.run_id, run_id=info.run_id, key=point.key,
                point_id=point.id, expires_at=point.expires_at, description=point.asks["description"],
            )  # fmt: skip
        return point


def _new_point(tx: Tx, session: Session, asked: Asked, step: str) -> Point:
    run_id, scope = session.info.run_id, session.root.scope
    expires = None if asked.timeout is None else tx.now + int(asked.timeout * SECOND)
    before = waits.get(tx, scope, asked.asks["again_of"]) if "again_of" in asked.asks else None
    asks = asked.asks if asked.kind != "event" else {**asked.asks, "after": stream.read(tx).seq}
    return Point(
        _point_id(run_id, step), scope.workspace_id, run_id, _outermost(session).info.run_id, step, asked.kind,
        asked.key or asked.name, "open", asks, None, None, tx.now, expires if before is None else before.expires_at,
    )  # fmt: skip


def point_of(context: RunContext, step: str) -> Id:
    """The id that the wait point of a step has, or will have."""
    return _point_id(context.run_id, step)


def _point_id(run_id: Id, step: str) -> Id:
    return derived_id(run_id, "wait", step)


def _outermost(session: Session) -> Session:
    while session.outer is not None:
        session = session.outer
    return session


def _until_answered(context: RunContext, point: Point, asked: Asked) -> Life:
    until = f", until {shown(point.expires_at)}" if point.expires_at is not None else ""
    sentence = f"waits for {asked.waits_for}{until}"
    if asked.leaves and may_leave(context):
        yield from leave(context, Leaving("wait", None, sentence, point.id))
    root: Root = context.session.root
    branch: Trunk = context.session.branch
    yield Blocking(lambda: _show(context.session, sentence, waits=True))
    rung = Rung(branch.stop)
    assert root.store is not None
    look = None if asked.look is None else asked.look(root.store, point)
    with _heard(root, rung):
        while point.state == "open":
            rung.clear()
            point = yield Blocking(partial(_looked, root, point, look))
            branch.check()
            if point.state == "open":
                yield Heard(rung, _until_look(point))
                if point.expires_at is not None and not rung.rang:
                    passing.passes.reach(point.expires_at)
                branch.check()
    yield Blocking(lambda: _show(context.session, "", waits=False))
    return point


def _until_look(point: Point) -> float:
    look = passing.passes.look
    left = look if point.expires_at is None else (point.expires_at - now_us()) / SECOND
    return max(0.001, min(look, left))


@contextmanager
def _heard(root: Root, rung: Rung) -> Iterator[None]:
    assert root.store is not None
    bell = Bell(root.store, "waits", "events")
    try:
        with bell.heard(rung.ring):
            yield
    finally:
        bell.close()


def _looked(root: Root, point: Point, look: Look | None) -> Point:
    """The point as it is now. Where no upkeep runs, whoever waits sees to it that it is answered and expires."""
    store: Store | None = root.store
    assert store is not None
    if look is not None:
        look.step()
    with store.read() as tx:
        found = waits.get(tx, root.scope, point.id)
    if found is None:
        raise AttemptLost("what it waits for was removed")
    if found.state == "open" and found.expires_at is not None and found.expires_at <= now_us():
        with store.write() as tx:
            answering.expire(tx, root.scope, found)
            return waits.get(tx, root.scope, point.id) or found
    return found


def _show(session: Session, sentence: str, *, waits: bool) -> None:
    """Show the run, and those around it, as waiting while one of its codes does. Refused where it matters no more."""
    root = session.root
    with root.opening:
        root.in_place += 1 if waits else -1
        if root.in_place != (1 if waits else 0):
            return
    at: Session | None = session
    while at is not None and root.store is not None:
        kind = Wait if waits else GoOn
        signal: Signal = kind(at.info.attempt, at.epoch, sentence)
        with contextlib.suppress(ConflictError):
            orchestrator.handle(root.store, root.scope, at.info.run_id, signal, lease_s=root.lease_s)
        at = at.outer
